"""What a paper says, as data: specs, claims, conventions, protocols. No JAX."""
