"""Finding the nearest centroids of a query's tokens: an integer scan of all centroids against FAISS.

    python scripts/bench_probing.py --centroids 8192 32768 131072

One thread. The centroids are real token vectors. The scan produces a table of all similarities, which scoring needs
(the time includes both); FAISS returns only the nearest centroids. Recall is measured against the exact nearest 16.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from bench_common import Floats, load_collection, machine, median, print_table, timed, write_json

from colstore.codec import Centroids, random_rotation
from colstore.kernels import calls
from colstore.kernels.layout import CENTROID_MIDDLE

NEAREST = 16


def centroids_of(rows: Floats, number: int) -> Centroids:
    """Return a random selection of the rows as centroids."""
    rotation = random_rotation(rows.shape[1], rows.shape[1], 0)
    chosen = rows[np.sort(np.random.default_rng(0).choice(len(rows), number, replace=False))] @ rotation
    scale = float(np.abs(chosen).max()) / CENTROID_MIDDLE
    return Centroids(rotation, (np.rint(chosen / scale) + CENTROID_MIDDLE).astype(np.uint8), scale)


def overlap(found: Any, exact: Any) -> float:
    """Return the share of the exact nearest centroids that was found, over all tokens."""
    return float(np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))


def compared(rows: Floats, number: int, queries: list[Floats]) -> list[dict[str, Any]]:
    """Measure all methods with one number of centroids."""
    import faiss

    centroids = centroids_of(rows, number)
    floats = centroids.floats()
    exact = [np.argsort(-(query @ centroids.rotation @ floats.T), axis=1)[:, :NEAREST] for query in queries]

    def scan(query: Floats) -> Any:
        prepared = calls.prepare(query, centroids.rotation, 4, centroids.scale)
        return calls.probe(prepared, calls.scan(prepared, centroids.values), NEAREST).centroids[: len(query)]

    methods: list[tuple[str, Any]] = [("integer scan and probe", scan)]
    for kind, widths in (("SQ8", (0,)), ("HNSW16,SQ8", (16, 64))):
        index: Any = faiss.index_factory(rows.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        index.train(floats)
        index.add(floats)
        for width in widths:
            name = f"FAISS {kind}" + (f", efSearch {width}" if width else "")
            methods.append((name, lambda q, index=index, width=width: _faiss(index, q @ centroids.rotation, width)))
    table = []
    for name, method in methods:
        method(queries[0])
        found, milliseconds = timed(method, queries)
        table.append(
            {
                "centroids": number,
                "way": name,
                "ms": median(milliseconds),
                "min ms": min(milliseconds),
                "recall": float(np.mean([overlap(f, e) for f, e in zip(found, exact, strict=True)])),
            }
        )
    return table


def _faiss(index: Any, query: Floats, width: int) -> Any:
    if width:
        index.hnsw.efSearch = width
    return index.search(query, NEAREST)[1]


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--centroids", type=int, nargs="+", default=[8_192, 32_768, 131_072])
    parser.add_argument("--queries", type=int, default=100)
    options = parser.parse_args()
    import faiss

    faiss.omp_set_num_threads(1)
    collection = load_collection("scifact", 128)
    queries = [query[:32] for query in collection.queries[: options.queries]]
    print(machine(), "\nseed 0")
    table = [row for number in options.centroids for row in compared(collection.documents, number, queries)]
    print_table("The nearest 16 centroids of each query token, 128 dimensions, one thread", table)
    write_json("probing", {"arguments": vars(options), "rows": table})


if __name__ == "__main__":
    main()
