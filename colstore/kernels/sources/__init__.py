"""What numba compiles: one module a kernel, each with ``build(**parameters)``. Imported only to compile."""
