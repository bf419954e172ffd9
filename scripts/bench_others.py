"""Adapters of other engines for `bench_search.py --others`: fast-plaid and TACHIOM, if they are installed.

    pip install fast-plaid        # requires a certain version of torch: use a separate environment
    pip install tachiom           # needs a Rust compiler

Each adapter builds an index in a folder and returns search functions ``(query, k) -> ids`` by name. Each of them uses
one thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from bench_common import Collection, Floats, token_ids

Search = Callable[[Floats, int], list[str]]


def installed() -> Iterator[tuple[str, Callable[[Collection, Path], tuple[dict[str, Search], float]]]]:
    """Yield the name and the builder of each engine that can be imported."""
    if find_spec("fast_plaid"):
        yield "fast-plaid", fast_plaid
    if find_spec("tachiom"):
        yield "TACHIOM", tachiom


def fast_plaid(collection: Collection, folder: Path) -> tuple[dict[str, Search], float]:
    """Build fast-plaid's index with its defaults (4 bits), and search with 4 and 8 probes."""
    import torch
    from fast_plaid import search  # type: ignore[import-not-found]  # optional

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    index = search.FastPlaid(index=str(folder / "fast-plaid"), device="cpu")
    pairs = zip(collection.offsets[:-1], collection.offsets[1:], strict=True)
    start = perf_counter()
    index.create(documents_embeddings=[torch.from_numpy(collection.documents[a:b]) for a, b in pairs], nbits=4)
    seconds = perf_counter() - start
    torch.set_num_threads(1)

    def search_with(probes: int) -> Search:
        def run(query: Floats, k: int) -> list[str]:
            query_tensor = torch.from_numpy(query)[None]
            found = index.search(query_tensor, top_k=k, n_ivf_probe=probes, show_progress=False, n_processes=1)
            return [collection.ids[int(document)] for document, _ in found[0]]

        return run

    return {f"{probes} probes": search_with(probes) for probes in (4, 8)}, seconds


def tachiom(collection: Collection, _folder: Path) -> tuple[dict[str, Search], float]:
    """Build TACHIOM's index with its defaults, and search with 10 and 20 centroids for each token."""
    from tachiom import Tachiom  # type: ignore[import-not-found]  # as above

    start = perf_counter()
    index: Any = Tachiom.build_from_arrays(
        np.ascontiguousarray(collection.documents, np.float16).view(np.uint16),
        token_ids(collection).astype(np.uint32),
        np.diff(collection.offsets).astype(np.int32),
    )
    seconds = perf_counter() - start

    def search_with(centroids: int) -> Search:
        def run(query: Floats, k: int) -> list[str]:
            _, found = index.search(np.ascontiguousarray(query), k, k_centroids=centroids)
            return [collection.ids[number] for number in found.tolist() if number < len(collection.ids)]

        return run

    return {f"{centroids} centroids": search_with(centroids) for centroids in (10, 20)}, seconds
