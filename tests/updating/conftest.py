"""Small indexes of vectors and of texts, and an exact search to compare them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

import colstore
from colstore import Document
from colstore.encode import FakeEncoder
from colstore.types import FloatMatrix

DIM = 16
Vectors: TypeAlias = Callable[..., FloatMatrix]
MakeIndex: TypeAlias = Callable[..., colstore.Index]


def _vectors(seed: int, tokens: int = 4) -> FloatMatrix:
    made = np.random.default_rng(seed).standard_normal((tokens, DIM)).astype(np.float32)
    unit: FloatMatrix = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def _document(number: int, seed: int | None = None, tokens: int = 4) -> Document:
    return Document(
        id=f"d{number}",
        text=f"text {number}",
        title=f"title {number}",
        metadata={"number": number},
        vectors=_vectors(number if seed is None else seed, tokens),
    )


@pytest.fixture(scope="session")
def vectors() -> Vectors:
    """Return a function: unit vectors ``(tokens, DIM)`` from a seed."""
    return _vectors


@pytest.fixture(scope="session")
def document() -> Callable[..., Document]:
    """Return a function: document ``d<number>`` with texts, metadata and vectors of its own."""
    return _document


@pytest.fixture
def index(tmp_path: Path) -> colstore.Index:
    """Return an open index of the documents d0..d19, built from vectors, at 16 bits."""
    documents = [_document(i) for i in range(20)]
    path = tmp_path / "vectors.colstore"
    return colstore.build_from_vectors(
        path, [x.id for x in documents], [x.vectors for x in documents if x.vectors is not None], bits=16
    )


@pytest.fixture
def unmerged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep segments from being merged automatically."""
    monkeypatch.setattr("colstore.updating.merge_policy.FANOUT", 1_000)


TEXTS = {
    "bees": "A scout returns and dances on the comb.",
    "bread": "Yeast makes gas and gas makes dough rise.",
    "tides": "The moon pulls the sea towards it.",
}


@pytest.fixture
def texts(tmp_path: Path) -> colstore.Index:
    """Return an open index of three texts, encoded by the fake encoder."""
    documents = [{"id": name, "text": text, "year": 2020} for name, text in TEXTS.items()]
    return colstore.build(tmp_path / "texts.colstore", documents, model=FakeEncoder(dim=DIM), bits=8)


def _exact(collection: Mapping[str, FloatMatrix], query: FloatMatrix, k: int) -> list[tuple[str, float]]:
    """Return ids and MaxSim scores of the best ``k`` documents of a dict."""
    scored = [(name, float((query @ rows.T).max(axis=1).sum())) for name, rows in collection.items()]
    return sorted(scored, key=lambda item: (-item[1], item[0]))[:k]


@pytest.fixture(scope="session")
def exact() -> Callable[..., list[tuple[str, float]]]:
    return _exact


def tree(path: Path) -> dict[str, bytes]:
    """Return every file of an index but the lock, with its content."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != "LOCK"
    }


@pytest.fixture(scope="session")
def files_of() -> Callable[[Path], dict[str, bytes]]:
    return tree
