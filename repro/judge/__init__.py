"""Records against claims: which runs belong together, what they measure, which verdict follows."""
