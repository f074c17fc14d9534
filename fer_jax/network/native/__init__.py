"""Convolution and batch norm with pooling in C++, called through XLA's foreign function interface; for CPU.

Matrix products, the only operation that XLA does fast on CPU, need every pixel written several times over, and the map
before pooling written and read again. The loops here (``convolution.cc``, ``strips.cc``, ``winograd.cc``) keep both in
registers; so does ``overlapping.cc`` where the pooling's windows overlap. Convolutions with strides, depthwise
convolutions, other poolings whose windows overlap, and batch norm have separate calls (``strided.cc``,
``depthwise.cc``, ``pooling.cc``, ``batch_norm.cc``).

``compiler.py`` and ``library.py`` find the C++ compiler, and compile, keep and load the library. They import no JAX, so
that a command can begin with it before JAX is imported. ``calls.py`` makes the library known to JAX, and the other
modules call it. If it cannot run (no C++ compiler, another dtype, an unknown window or kernel), ``backends.py`` uses
the routines in pure JAX. Results differ by rounding only.

``FER_JAX_NATIVE=0`` in the environment switches it off.
"""
