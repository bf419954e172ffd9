"""The cost of many small additions: their time, the number of segments, and search speed against a single build.

    python scripts/bench_updates.py --documents 20000 --adds 10000

Documents are runs of 32 consecutive tokens of real documents. Each addition is one document and one commit. The two
indexes contain the same documents, have the same number of centroids, and take turns at each query. Recall is measured
against scoring every document with the same codes.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from bench_common import (
    Collection,
    Floats,
    load_collection,
    machine,
    median,
    p95,
    print_table,
    recall,
    write_json,
)

import colstore
from colstore import Document, SearchParams

TOKENS, ROUNDS = 32, 5


def runs(collection: Collection, count: int) -> list[Floats]:
    """Return ``count`` runs of 32 tokens, sampled uniformly from the whole collection, in random order."""
    ends = pairwise(collection.offsets.tolist())
    starts = np.concatenate([np.arange(first, last - TOKENS + 1, TOKENS) for first, last in ends])
    if len(starts) < count:
        raise SystemExit(f"{collection.name} has {len(starts):,} runs of {TOKENS} tokens, but {count:,} are needed")
    chosen = np.random.default_rng(0).permutation(starts)[:count]
    return [collection.documents[start : start + TOKENS] for start in chosen]


def grow(path: Path, rows: list[Floats], first: int, bits: int) -> tuple[colstore.Index, list[dict[str, Any]]]:
    """Build an index of the first documents, add the others one by one, and return the cost of each tenth of them."""
    index = colstore.build_from_vectors(path, [f"d{i}" for i in range(first)], rows[:first], bits=bits)  # type: ignore[arg-type]  # one of Bits
    table: list[dict[str, Any]] = []
    for numbers in np.array_split(np.arange(first, len(rows)), 10):
        milliseconds, processor, merged = [], [], 0
        for number in numbers.tolist():
            start, busy = perf_counter(), process_time()
            merged += index.add([Document(id=f"d{number}", vectors=rows[number])]).merged > 0
            milliseconds.append(1000 * (perf_counter() - start))
            processor.append(1000 * (process_time() - busy))
        info = index.info()
        table.append(
            {
                "documents": info.documents,
                "ms an add, median": median(milliseconds),
                "CPU ms an add, median": median(processor),
                "p95": p95(milliseconds),
                "mean": float(np.mean(milliseconds)),
                "adds that merged": merged,
                "segments": info.segments,
            }
        )
        print_table("so far", table[-1:])
    return index, table


def compare(indexes: dict[str, colstore.Index], queries: list[Floats]) -> list[dict[str, Any]]:
    """Return the speed and recall of each index; they take turns, so that noise affects all of them."""
    best = {name: np.full(len(queries), np.inf) for name in indexes}
    for _ in range(ROUNDS):
        for number, query in enumerate(queries):
            for name, index in indexes.items():
                start = perf_counter()
                index.search(query, 10)
                best[name][number] = min(best[name][number], 1000 * (perf_counter() - start))
    table = []
    for name, index in indexes.items():
        exact = [[hit.id for hit in index.search(query, 10, params=SearchParams(exact=True))] for query in queries]
        found = [[hit.id for hit in index.search(query, 10)] for query in queries]
        table.append(
            {
                "index": name,
                "segments": index.info().segments,
                "ms a query, median": float(np.median(best[name])),
                "recall@10": float(np.mean([recall(f, e) for f, e in zip(found, exact, strict=True)])),
            }
        )
    return table


def main() -> None:
    """Run the benchmark, print the results, and save them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", default="scifact")
    parser.add_argument(
        "--documents", type=int, default=20_000, help="number of documents in the index before the first addition"
    )
    parser.add_argument("--adds", type=int, default=10_000)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--queries", type=int, default=100)
    options = parser.parse_args()
    print(machine())
    collection = load_collection(options.collection, None)
    rows = runs(collection, options.documents + options.adds)
    with tempfile.TemporaryDirectory() as folder:
        grown, additions = grow(Path(folder) / "grown", rows, options.documents, options.bits)
        info = grown.info()
        fresh = colstore.build_from_vectors(
            Path(folder) / "fresh",
            [f"d{i}" for i in range(len(rows))],
            rows,
            bits=options.bits,
            centroids=info.centroids,
        )
        speeds = compare({"grown": grown, "fresh": fresh}, collection.queries[: options.queries])
        sound = grown.verify("deep").ok
    ratio = speeds[0]["ms a query, median"] / speeds[1]["ms a query, median"]
    print_table(f"{options.adds:,} additions to {options.documents:,} documents", additions)
    print_table(f"searching: {ratio:.2f} times as slow as a fresh build; verify --deep: {sound}", speeds)
    write_json("updates", {"arguments": vars(options), "additions": additions, "speeds": speeds, "ratio": ratio})


if __name__ == "__main__":
    main()
