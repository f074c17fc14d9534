"""Faces: read in any form, cached, generated, and prepared by steps. NumPy; no JAX."""
