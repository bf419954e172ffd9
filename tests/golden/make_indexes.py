"""Make the whole golden indexes of a format version: one of each codec, and one with a BM25 index.

Run once for each version, then check them in; those that are there stay as they are.

    python -m tests.golden.make_indexes

A golden index is never made again: it stands for the indexes that people have. If a test on one fails, the reader is
wrong, or the format changed without a new version. (``make.py`` makes the one of the storage layer alone.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import colstore
from colstore import Document, SearchParams
from colstore.config import BITS, Bits
from colstore.snapshot.bm25 import load_bm25
from colstore.snapshot.snapshot import Snapshot
from colstore.store import FORMAT_VERSION
from tests.proofs.small_index import TableEncoder, documents, make_index

HERE = Path(__file__).resolve().parent
QUESTIONS = ("bees dance in the dark hive", "an old river runs to sea", "why is bread dough of yeast", "moon")
WAYS: dict[str, dict[str, Any]] = {
    "exact": {"exact": True},
    "probing": {"exact_tokens": 0, "probes": 4, "candidates": 20, "scored": 12},
}
DELETED = ("odd", "d0-004")
DECODED = ("β-carotene 🥕", "d0-007", "d1-003")
"""Documents whose vectors are recorded."""
FROZEN: Bits = 4
"""The index that has a frozen encoder, and a generation before: the others are kept small."""
BM25 = "bm25"
"""The index that has one, and a note of its newest generation."""
LEXICAL_QUESTIONS = ("dancing bees", "old river", "Orange", "yeast bread of stone")
ODD = [
    Document("β-carotene 🥕", "Orange bees dance.", "", {}),
    Document(" d ", "bread of stone mill", 'Quotes " and\nlines', {"nested": {"x": None, "y": [0.5, "é"]}}),
    Document("odd", "wind and moon", "Will be deleted", {"number": 7}),
]


def hits(index: colstore.Index, question: str, way: str) -> list[list[Any]]:
    """Return id and score of each of the best five."""
    vectors = TableEncoder().encode_queries([question])[0]
    found = index.search(vectors, k=5, params=SearchParams(**WAYS[way]))
    return [[hit.id, hit.score] for hit in found]


def lexical_hits(path: Path, question: str) -> list[list[Any]]:
    """Return number and BM25 score of the best five."""
    numbers, scores = load_bm25(Snapshot.open(path)).best(question, 5)
    return [list(pair) for pair in zip(numbers.tolist(), scores.tolist(), strict=True)]


def content(index: colstore.Index) -> list[dict[str, Any]]:
    """Return everything that a search may return of an index, in the order of ids."""
    found = sorted(index.search(TableEncoder().table[:1], k=1000), key=lambda hit: hit.id)
    return [
        {
            "id": hit.id,
            "title": hit.title,
            "text": hit.text,
            "metadata": dict(hit.metadata),
        }
        for hit in found
    ]


def decoded(index: colstore.Index) -> list[list[list[float]]]:
    """Return the stored vectors of some documents."""
    return [[[round(float(x), 6) for x in row] for row in rows] for rows in index.vectors(DECODED)]


def _parts() -> list[list[Document]]:
    return [[*documents(20, 0, 8), *ODD], documents(8, 1, 8)]


def directory_of(version: int, which: int | str) -> Path:
    """Return where a golden index lies: that of so many bits, or :data:`BM25`."""
    return HERE / f"index-{version}-{which}.colstore"


def _make(directory: Path, bits: Bits) -> dict[str, Any]:
    """Write the index of a codec, and return what it must answer."""
    make_index(directory, bits, _parts(), DELETED, frozen=bits == FROZEN)
    for older in sorted(directory.glob("manifest-*.json"))[: -1 if bits != FROZEN else 0]:
        older.unlink()
    (directory / "LOCK").unlink()  # names a machine
    with colstore.open(directory) as index:
        return {
            "documents": content(index),
            "vectors": decoded(index),
            "hits": {way: {question: hits(index, question, way) for question in QUESTIONS} for way in WAYS},
        }


def _make_bm25(directory: Path) -> dict[str, Any]:
    """Write the index with a BM25 index, and return what it must answer."""
    make_index(directory, 2, _parts(), DELETED, frozen=False)
    with colstore.open(directory, encoder=TableEncoder()) as index:
        index.build_bm25()
    answers = {question: lexical_hits(directory, question) for question in LEXICAL_QUESTIONS}
    for older in sorted(directory.glob("manifest-*.json"))[:-1]:
        older.unlink()
    (directory / "LOCK").unlink()
    return {"hits": answers}


def main() -> None:
    """Write the indexes that are not there yet and, beside them, what they must answer."""
    answers = HERE / f"index-{FORMAT_VERSION}.json"
    expected: dict[str, Any] = json.loads(answers.read_text("utf-8")) if answers.exists() else {}
    ways: dict[str, Callable[[Path], Any]] = {str(bits): partial(_make, bits=bits) for bits in BITS}
    for which, make in {**ways, BM25: _make_bm25}.items():
        directory = directory_of(FORMAT_VERSION, which)
        if directory.exists():
            print(f"{directory.name} is there already: a golden index is never made again")
        else:
            expected[which] = make(directory)
    answers.write_text(json.dumps(expected, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
