"""Quality and latency of search: codecs and settings against exact float32 and bfloat16 scans with torch, in one run.

    python scripts/bench_search.py --collection scifact --dim 128

Every engine uses one thread unless stated otherwise. Recall is measured against the exact float32 top 10 (or 100).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from bench_common import (
    Collection,
    load_collection,
    machine,
    median,
    ndcg,
    p95,
    print_table,
    recall,
    timed,
    write_json,
)
from bench_others import installed

import colstore
from colstore import SearchParams

SETTINGS = {
    "fast": SearchParams(probes=8, candidates=150, scored=24),
    "default": SearchParams(),
    "careful": SearchParams(probes=32, candidates=1000, scored=150),
    "exact": SearchParams(exact=True),
}


def exact_scores(collection: Collection, dtype: str, queries: list[Any]) -> tuple[list[Any], list[float]]:
    """Score every document with one matrix product in torch and a maximum over each document's tokens."""
    import torch

    torch.set_num_threads(1)
    documents = torch.from_numpy(collection.documents).to(getattr(torch, dtype))
    starts = collection.offsets[:-1]

    def scan(query: Any) -> Any:
        similarity = (torch.from_numpy(query).to(documents.dtype) @ documents.T).float().numpy()
        return np.maximum.reduceat(similarity, starts, axis=1).sum(axis=0)

    return timed(scan, queries)


def top(scores: Any, ids: list[str], k: int) -> list[str]:
    """Return the ids of the ``k`` best scores."""
    best = np.argpartition(-scores, k)[:k]
    return [ids[i] for i in best[np.argsort(-scores[best], kind="stable")]]


def measure(
    name: str, collection: Collection, queries: list[Any], search: Any, truth: dict[int, list[list[str]]]
) -> dict[str, Any]:
    """Return one row of the table: latency, recall and nDCG at k=10 and k=100."""
    search(queries[0], 10), search(queries[1], 10)  # warm up: compile kernels, map files, verify blocks
    hundred, slower = timed(lambda query: search(query, 100), queries)
    if name.endswith("exact"):  # one pass is enough, because ``k`` affects neither time nor order
        ten, milliseconds = [found[:10] for found in hundred], slower
    else:
        ten, milliseconds = timed(lambda query: search(query, 10), queries)
    graded = [ndcg(found, collection.qrels[q]) for found, q in zip(ten, collection.query_ids, strict=False)]
    return {
        "engine": name,
        "ms k=10": median(milliseconds),
        "p95": p95(milliseconds),
        "ms k=100": median(slower),
        "recall@10": float(np.mean([recall(f, t) for f, t in zip(ten, truth[10], strict=True)])),
        "recall@100": float(np.mean([recall(f, t) for f, t in zip(hundred, truth[100], strict=True)])),
        "nDCG@10": float(np.mean(graded)),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", default="scifact")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 8, 4, 2, 1])
    parser.add_argument(
        "--others", action="store_true", help="also fast-plaid and TACHIOM, if installed (takes minutes)"
    )
    arguments = parser.parse_args()
    collection = load_collection(arguments.collection, arguments.dim)
    queries = collection.queries[: arguments.queries]
    print(
        machine(),
        f"\n{len(collection.ids):,} documents, {len(collection.documents):,} tokens, {len(queries)} queries, seed 0",
    )

    truth_scores, milliseconds = exact_scores(collection, "float32", queries)
    truth = {k: [top(scores, collection.ids, k) for scores in truth_scores] for k in (10, 100)}
    rows = [_scan_row("torch float32 scan", collection, truth_scores, milliseconds, truth)]
    some = queries[:4]  # a few only: bfloat16 is emulated, and very slow, if the processor lacks it
    scores, milliseconds = exact_scores(collection, "bfloat16", some)
    rows.append(_scan_row("torch bfloat16 scan", collection, scores, milliseconds, truth))
    builds = []
    with tempfile.TemporaryDirectory() as folder:
        for bits in arguments.bits:
            index, row = _build(collection, Path(folder) / f"{bits}.colstore", bits)
            builds.append(row)
            for name, params in SETTINGS.items():

                def search(
                    query: Any, k: int, params: SearchParams = params, index: colstore.Index = index
                ) -> list[str]:
                    return [hit.id for hit in index.search(query, k, params=params)]

                rows.append(measure(f"{bits} bit, {name}", collection, queries, search, truth))
            index.close()
        if arguments.others:
            for engine, build in installed():
                searches, seconds = build(collection, Path(folder))
                builds.append({"bits": engine, "seconds": seconds})
                rows += [
                    measure(f"{engine}, {name}", collection, queries, run, truth) for name, run in searches.items()
                ]
    for row in rows:
        row["x bfloat16"] = rows[1]["ms k=10"] / row["ms k=10"]
        row["x float32"] = rows[0]["ms k=10"] / row["ms k=10"]
    print_table("Build from vectors", builds)
    print_table(f"Search, one thread, {arguments.collection}, dim {arguments.dim}", rows)
    write_json(
        f"search-{arguments.collection}-{arguments.dim}",
        {"arguments": vars(arguments), "builds": builds, "rows": rows},
    )


def _scan_row(
    name: str,
    collection: Collection,
    scores: list[Any],
    milliseconds: list[float],
    truth: dict[int, list[list[str]]],
) -> dict[str, Any]:
    found = {k: [top(s, collection.ids, k) for s in scores] for k in (10, 100)}
    pairs = {k: zip(found[k], truth[k], strict=False) for k in found}
    return {
        "engine": name,
        "ms k=10": median(milliseconds),
        "p95": p95(milliseconds),
        "recall@10": float(np.mean([recall(f, t) for f, t in pairs[10]])),
        "recall@100": float(np.mean([recall(f, t) for f, t in pairs[100]])),
        "nDCG@10": float(
            np.mean([ndcg(f, collection.qrels[q]) for f, q in zip(found[10], collection.query_ids, strict=False)])
        ),
    }


def _build(collection: Collection, path: Path, bits: int) -> tuple[colstore.Index, dict[str, Any]]:
    vectors = [collection.documents[a:b] for a, b in zip(collection.offsets[:-1], collection.offsets[1:], strict=True)]
    start = perf_counter()
    index = colstore.build_from_vectors(path, collection.ids, vectors, bits=bits)  # type: ignore[arg-type]  # one of Bits
    seconds = perf_counter() - start
    info = index.info()
    stages = index.report.seconds if index.report else {}
    row = {
        "bits": bits,
        "seconds": seconds,
        **{f"{k} s": v for k, v in stages.items()},
        "centroids": info.centroids,
        "bytes/token": info.bytes_per_token,
    }
    return index, row


if __name__ == "__main__":
    main()
