"""Source code of the kernels, imported only to compile them.

Each kernel has a module of its own with a function ``build(**parameters)``. ``emit.py``, ``byte_products.py`` and
``compile.py`` are shared by several kernels.
"""
