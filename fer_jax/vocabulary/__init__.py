"""The building blocks of a spec: layers, data steps, training settings. Structs; no JAX, no NumPy."""
