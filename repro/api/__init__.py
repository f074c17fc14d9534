"""The Python interface, for notebooks and scripts: `import repro`, then the dozen names of `repro.__all__`.

Each calls what the commands call, and returns an object that a notebook shows as a table or a plot.
"""
