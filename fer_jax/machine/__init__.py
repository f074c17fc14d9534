"""The machine's devices, the precision of products, and the cache of compiled programs."""
