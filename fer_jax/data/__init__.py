"""Faces: read in any form, cached, drawn, and prepared by steps. NumPy; no JAX."""
