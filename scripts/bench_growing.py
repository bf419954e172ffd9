"""What growing from nothing costs against one build, and from how many tokens the codec should be trained.

    python scripts/bench_growing.py --models embedded ../shared/models/mini-colbert-stanford

An index that is created empty takes a few documents, then batches of a quarter of what it holds, until it holds the
whole sample: all judged documents of the first ``--queries`` test queries of a collection, filled up with others to
``--documents``, in random order. Vectors are encoded once, before anything is measured, and kept in ``bench-results``.

For each number of tokens from which the codec is trained, and for further trainings each time the index has grown so
many times since the last (``again``): nDCG@10 and recall@10 of the exact ranking in float32 by the default search, the
same recall with every document scored on its stored codes, bytes a token, and seconds. A second table has small
indexes: what 4 bits and float16 come to at each size.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from bench_common import RESULTS, SHARED, Collection, machine, ndcg, print_table, recall, write_json

import colstore
from colstore import Document, SearchParams
from colstore.updating import add

SEED, NEVER = 0, 1 << 40
MODELS = SHARED.parent / "models"


def sampled(name: str, model: str, documents: int, queries: int) -> Collection:
    """Return a sample of a collection with its token vectors, encoded once."""
    label = f"growing-{name}-{Path(model).name}-{documents}-{queries}"
    rows_file, table_file = RESULTS / f"{label}.npy", RESULTS / f"{label}.json"
    if not table_file.exists():
        _encode(name, model, documents, queries, rows_file, table_file)
    table = json.loads(table_file.read_text())
    rows = np.load(rows_file).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(table["lengths"])])
    stop = int(offsets[-1])
    asked = np.split(rows[stop:], np.cumsum(table["query_lengths"])[:-1])
    return Collection(name, table["ids"], rows[:stop], offsets, table["query_ids"], asked, table["qrels"])


def _encode(name: str, model: str, documents: int, queries: int, rows_file: Path, table_file: Path) -> None:
    from colstore.corpus import read_documents, read_qrels, read_queries
    from colstore.encode import load_encoder

    folder = SHARED / name
    qrels = read_qrels(folder / "qrels" / "test.tsv")
    asked = [query for query in read_queries(folder) if query.id in qrels][:queries]
    judged = {document for query in asked for document in qrels[query.id]}
    corpus = list(read_documents(folder, on_error="skip"))
    corpus.sort(key=lambda document: document.id not in judged)  # stable: judged first, then in the corpus's order
    chosen = [corpus[i] for i in np.random.default_rng(SEED).permutation(min(documents, len(corpus))).tolist()]
    encoder = load_encoder(model)
    matrices: list[Any] = []
    start = perf_counter()
    for first in range(0, len(chosen), 256):
        texts = encoder.encode_documents([document.passage for document in chosen[first : first + 256]])
        matrices += [text.vectors.astype(np.float16) for text in texts]
    seconds = perf_counter() - start
    query_matrices = [encoder.encode_queries([query.text])[0] for query in asked]
    RESULTS.mkdir(exist_ok=True)
    np.save(rows_file, np.concatenate([*matrices, *[matrix.astype(np.float16) for matrix in query_matrices]]))
    table = {
        "ids": [document.id for document in chosen],
        "lengths": [len(matrix) for matrix in matrices],
        "query_ids": [query.id for query in asked],
        "query_lengths": [len(matrix) for matrix in query_matrices],
        "qrels": {query.id: dict(qrels[query.id]) for query in asked},
        "seconds": seconds,
    }
    table_file.write_text(json.dumps(table))


def exact_best(collection: Collection, documents: int) -> list[list[str]]:
    """Return the ids of each query's best ten of the first documents, in float32."""
    stop = int(collection.offsets[documents])
    found = []
    for query in collection.queries:
        best = np.maximum.reduceat(collection.documents[:stop] @ query.T, collection.offsets[:documents], axis=0)
        found.append([collection.ids[i] for i in np.argsort(-best.sum(axis=1), kind="stable")[:10].tolist()])
    return found


def figures(index: colstore.Index, collection: Collection, best: list[list[str]]) -> dict[str, Any]:
    """Return accuracy and size of an index."""
    hits = [[hit.id for hit in index.search(query, 10)] for query in collection.queries]
    codes = [[hit.id for hit in index.search(q, 10, params=SearchParams(exact=True))] for q in collection.queries]
    qrels = [collection.qrels[name] for name in collection.query_ids]
    info = index.info()
    return {
        "bits": info.bits,
        "centroids": info.centroids,
        "nDCG@10": float(np.mean([ndcg(h, q) for h, q in zip(hits, qrels, strict=True)])),
        "recall@10": float(np.mean([recall(h, b) for h, b in zip(hits, best, strict=True)])),
        "recall@10, all scored": float(np.mean([recall(h, b) for h, b in zip(codes, best, strict=True)])),
        "bytes a token": info.bytes_per_token,
    }


def documents_of(collection: Collection, first: int, stop: int) -> list[Document]:
    """Return documents with their vectors."""
    ends = collection.offsets
    return [
        Document(id=collection.ids[i], vectors=collection.documents[ends[i] : ends[i + 1]]) for i in range(first, stop)
    ]


def grown(path: Path, collection: Collection, first: int, train_from: int, again: int, bits: Any) -> dict[str, Any]:
    """Grow an index from nothing; return seconds in all, of the longest addition, and tokens at its trainings."""
    add.TRAIN_FROM, add.GROWTH = train_from, again
    index = colstore.create(path, dim=collection.documents.shape[1], bits=bits)
    total, seconds, trained = 0, [], []
    while total < len(collection.ids):
        stop = min(len(collection.ids), total + max(first, total // 4))
        documents = documents_of(collection, total, stop)
        start = perf_counter()
        report = index.add(documents)
        tokens = index.info().tokens
        if report.trained:
            trained.append(tokens)
        seconds.append(perf_counter() - start)
        total = stop
    return {
        "index": index,
        "seconds": sum(seconds),
        "longest": max(seconds),
        "trained at": " ".join(f"{tokens:,}" for tokens in trained) or "-",
    }


Way = tuple[int, int, int, int]
"""Documents to start with, tokens to train at, growth to train again at, bits."""


def ways_to_grow(limits: list[int], starts: list[int], factors: list[int], bits: list[int]) -> list[Way]:
    """Return the limits without a second training, then the others at the middle limit."""
    middle = limits[len(limits) // 2]
    ways: list[Way] = [(starts[0], limit, NEVER, bits[0]) for limit in limits]
    ways += [(start, middle, factors[0], bits[0]) for start in starts[1:]]
    ways += [(starts[0], middle, factor, bits[0]) for factor in factors]
    return ways + [(starts[0], middle, again, some) for some in bits[1:] for again in (NEVER, factors[0])]


def growth(collection: Collection, ways: list[Way]) -> list[dict[str, Any]]:
    """Return a row for one build at each number of bits, and for each way to grow."""
    best = exact_best(collection, len(collection.ids))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        matrices: Any = [document.vectors for document in documents_of(collection, 0, len(collection.ids))]
        for number, (first, limit, again, bits) in enumerate(ways):
            if bits not in {row["bits"] for row in rows}:
                start = perf_counter()
                path = Path(folder) / f"built-{bits}"
                with colstore.build_from_vectors(path, collection.ids, matrices, bits=bits) as built:  # type: ignore[arg-type]  # one of Bits
                    seconds = perf_counter() - start
                    rows.append({"way": "one build", **figures(built, collection, best), "seconds": seconds})
            row = grown(Path(folder) / f"{number}", collection, first, limit, again, bits)
            with row.pop("index") as index:
                way = f"from {first}, train at {limit:,}" + (f", again x{again}" if again != NEVER else "")
                rows.append({"way": way, **figures(index, collection, best), **row})
            print_table("so far", rows[-2:])
    return rows


def sizes(collection: Collection, limits: list[int]) -> list[dict[str, Any]]:
    """Return rows of small indexes: a build at 4 bits and at 16 of as many documents as make so many tokens."""
    rows = []
    for limit in limits:
        documents = int(np.searchsorted(collection.offsets, limit, side="right")) - 1
        best = exact_best(collection, documents)
        for bits in (4, 16):
            with tempfile.TemporaryDirectory() as folder:
                some = documents_of(collection, 0, documents)
                matrices = [document.vectors for document in some]
                index = colstore.build_from_vectors(Path(folder) / "x", collection.ids[:documents], matrices, bits=bits)  # type: ignore[arg-type]  # as above
                row = figures(index, collection, best)
            row.pop("nDCG@10")  # most judged documents are not there
            rows.append({"tokens": limit, "documents": documents, **row})
    return rows


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collections", nargs="+", default=["scifact", "nfcorpus"])
    parser.add_argument("--models", nargs="+", default=[str(MODELS / "mini-colbert-stanford"), "embedded"])
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--limits", type=int, nargs="+", default=[4_096, 16_384, 32_768, 65_536, 131_072])
    parser.add_argument("--starts", type=int, nargs="+", default=[10, 1, 100])
    parser.add_argument("--again", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 2, 1])
    options = parser.parse_args()
    print(machine(), f"seed {SEED}")
    results: dict[str, Any] = {}
    for name in options.collections:
        for model in options.models:
            collection = sampled(name, model, options.documents, options.queries)
            title = (
                f"{name}, {Path(model).name}: {len(collection.ids):,} documents, {len(collection.documents):,} tokens"
            )
            print(f"\n{title}")
            table = growth(collection, ways_to_grow(options.limits, options.starts, options.again, options.bits))
            small = sizes(collection, options.limits)
            print_table(title, table)
            print_table(f"{title}: small indexes", small)
            results[title] = {"growth": table, "sizes": small}
    write_json("growing", {"options": vars(options), "seed": SEED, "results": results})


if __name__ == "__main__":
    main()
