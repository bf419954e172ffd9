"""Compiled kernels, chosen for the processor at run time, and a numpy twin of each that tests compare it with.

``calls.py`` is the interface: functions of numpy arrays. ``sources/`` holds the code that is compiled, ``jit.py``
compiles and loads it, and ``twins.py`` has the same functions in numpy. This room does not know about files,
documents or models.
"""
