"""The arithmetic: compiled kernels, chosen for this processor at run time, and the plain numpy twin of each.

``calls.py`` is what others use: functions of numpy arrays. ``sources/`` holds what is compiled, ``jit.py``
how and when, ``twins.py`` the same functions in plain numpy. Nothing here knows of files, documents or
models.
"""
