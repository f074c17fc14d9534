"""What a spec is made of: layers, data steps, settings of training. Structs; no JAX, no NumPy."""
