"""Layers applied to a batch, in pure JAX and in C++."""
