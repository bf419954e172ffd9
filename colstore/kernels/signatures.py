"""Sources of the compiled kernels, one module each, and the C signatures by which they are called.

In :data:`SIGNATURES` ``p`` is an address, ``i`` a signed size and ``f`` a float32. This module imports nothing, so
that a process whose kernels lie in the cache never imports numba. Each kernel's plain numpy twin is in
``colstore/kernels/twins.py``.
"""

SIGNATURES = {
    "assign": "ppiippp",
    "compress": "pppfippp",
    "dense": "pppipipp",
    "gather": "ppppppiiiipppp",
    "interact": "pppippip",
    "prepare": "ppiiiiiffppppppppp",
    "probe": "ppiiiipppp",
    "refine": "ppppppipfppip",
    "scan": "pipppppppp",
    "score": "pppppippppiipp",
    "select": "ppiipp",
}
