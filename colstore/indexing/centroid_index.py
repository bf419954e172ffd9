"""The FAISS index over the centroids: flat bytes for few of them, HNSW for many. Derived, and rebuilt when bad."""

from __future__ import annotations

import numpy as np

from colstore.codec import Centroids

HNSW_FROM = 32_768
"""Centroids from which the stored index is a graph."""
LINKS = 16


def build_faiss(centroids: Centroids) -> bytes:
    """Return a serialised FAISS index (inner product, 8 bits a component) of the rotated centroids."""
    import faiss

    number, dim = centroids.values.shape
    kind = "SQ8" if number < HNSW_FROM else f"HNSW{LINKS},SQ8"
    index = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # the order of insertion, hence the graph, is then always the same
    try:
        floats = centroids.floats()
        index.train(floats)
        index.add(floats)
    finally:
        faiss.omp_set_num_threads(threads)
    return bytes(np.asarray(faiss.serialize_index(index)).tobytes())
