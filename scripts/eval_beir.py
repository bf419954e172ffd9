"""nDCG@10 of colstore and of BM25 on the collections beside the checkout.

    python scripts/eval_beir.py --collections scifact nfcorpus --bits 16 4 2 1

The vectors are the token vectors of the embedded all-MiniLM-L6-v2, with all 384 dimensions unless ``--dim`` is given.
Search is exhaustive unless ``--search`` says otherwise. Each index is also copied to another folder and searched there,
which must give equal hits.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bench_common import (
    SHARED,
    Collection,
    load_collection,
    machine,
    median,
    ndcg,
    print_table,
    recall,
    timed,
    write_json,
)

import colstore
from colstore import SearchParams
from colstore.corpus import group_run, read_run

PUBLISHED = {"scifact": 0.70724, "nfcorpus": 0.35779}
"""Exact token-level MaxSim of all-MiniLM-L6-v2, from Qdrant's article on token embeddings of ordinary encoders."""


def bm25(collection: Collection) -> float:
    """Return nDCG@10 of the BM25 run beside the collection."""
    path = SHARED / collection.name / "runs" / "bm25.test.trec.gz"
    found = {query: [line.doc_id for line in lines] for query, lines in group_run(read_run(path))}
    return float(np.mean([ndcg(found.get(q, []), collection.qrels[q]) for q in collection.query_ids]))


def row(
    collection: Collection, bits: int, params: SearchParams, folder: Path, truth: list[list[str]] | None
) -> tuple[dict[str, Any], list[list[str]]]:
    """Build an index, search it, copy it, and search the copy; return a row of the table and the ids found."""
    path = folder / "index.colstore"
    vectors = [collection.documents[a:b] for a, b in zip(collection.offsets[:-1], collection.offsets[1:], strict=True)]
    with colstore.build_from_vectors(path, collection.ids, vectors, bits=bits, overwrite=True) as index:  # type: ignore[arg-type]  # one of Bits
        answers, milliseconds = timed(lambda q: index.search(q, 10, params=params), collection.queries)
        info = index.info()
    shutil.copytree(path, folder / "elsewhere")
    with colstore.open(folder / "elsewhere") as copied:
        again = [copied.search(q, 10, params=params) for q in collection.queries[:50]]
    shutil.rmtree(folder / "elsewhere")
    if again != answers[:50]:
        raise SystemExit("the copied index returns other hits than the original")
    found = [[hit.id for hit in hits] for hits in answers]
    values = [ndcg(f, collection.qrels[q]) for f, q in zip(found, collection.query_ids, strict=True)]
    truth = truth or found
    return {
        "collection": collection.name,
        "bits": bits,
        "nDCG@10": float(np.mean(values)),
        "recall@10 of float16": float(np.mean([recall(f, t) for f, t in zip(found, truth, strict=True)])),
        "published": PUBLISHED.get(collection.name, ""),
        "BM25": bm25(collection) if (SHARED / collection.name / "runs").exists() else "",
        "ms": median(milliseconds),
        "bytes/token": info.bytes_per_token,
    }, found


def main() -> None:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collections", nargs="+", default=["scifact", "nfcorpus"])
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 4])
    parser.add_argument("--dim", type=int)
    parser.add_argument("--search", choices=["exact", "default"], default="exact")
    arguments = parser.parse_args()
    params = SearchParams(exact=arguments.search == "exact")
    rows = []
    for name in arguments.collections:
        collection = load_collection(name, arguments.dim)
        truth = None
        for bits in arguments.bits:
            with tempfile.TemporaryDirectory() as folder:
                result_row, found = row(collection, bits, params, Path(folder), truth)
            truth = truth or found
            rows.append(result_row)
    print(machine(), "\nseed 0")
    print_table(f"{arguments.search} search", rows)
    write_json(f"eval-{arguments.search}-{arguments.dim or 'all'}", {"arguments": vars(arguments), "rows": rows})


if __name__ == "__main__":
    main()
