"""What growing from nothing costs against one build, and when the first centroids should be trained.

    python scripts/bench_growing.py --collections scifact nfcorpus --models embedded ../shared/models/mini-colbert-stanford

An empty index takes the first 1, 10 or 100 documents, then batches that double, until it holds the whole sample: all
judged documents of the first ``--queries`` test queries, filled up with others to ``--documents``, in random order.
Vectors are encoded once and kept in ``bench-results``. Reported for each number of tokens from which centroids are
trained: nDCG@10, recall@10 of the exact (float32) ranking by the default search and with everything scored, the stored
codes alone ("codes"), bytes a token, and seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from bench_common import RESULTS, SHARED, Collection, machine, ndcg, print_table, recall, write_json

import colstore
from colstore import Document, SearchParams

SEED = 0


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
