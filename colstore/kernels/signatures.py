"""C signatures of the kernels.

``p`` is an address, ``i`` a signed size and ``f`` a float32. This module imports nothing, so that a process whose
kernels are all in the cache never imports numba. The numpy twin of each kernel is in ``colstore/kernels/twins.py``.
"""

SIGNATURES = {
    "assign": "ppiipppp",
    "compress": "pppfipppp",
    "dense": "pppipipp",
    "gather": "ppppppiiippp",
    "interact": "pppippipp",
    "prepare": "ppiiiiifpppp",
    "probe": "ppiiiipppp",
    "product": "pppipp",
    "refine": "ppppppipfppiip",
    "rotate": "pipiip",
    "scan": "pippppppp",
    "score": "pppppippppiipp",
    "select": "ppiipp",
}
