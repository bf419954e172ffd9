"""A small index of texts, opened with the fake encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import colstore
from colstore import Document
from colstore.encode import FakeEncoder

WORDS = "bees dance moon red dough yeast tide sea rust iron hive comb sun light river wind".split()  # noqa: SIM905


def passage(number: int) -> str:
    """Return the text of document ``d<number>``: five words, and no other document has all of them."""
    return " ".join(WORDS[(number * step + number) % len(WORDS)] for step in (1, 3, 5, 7, 11)) + f" word{number}"


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of an index of documents d0..d39 (to be left as it is)."""
    path = tmp_path_factory.mktemp("rerank") / "texts.colstore"
    documents = [Document(f"d{i}", passage(i), title=f"title{i}", metadata={"n": i}) for i in range(40)]
    colstore.build(path, documents, model=FakeEncoder(), bits=8).close()
    return path


@pytest.fixture
def index(stored: Path) -> Iterator[colstore.Index]:
    """Return that index, open."""
    with colstore.open(stored, encoder=FakeEncoder()) as opened:
        yield opened


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[colstore.Index]:
    """Return an open index of d0..d19 of the test's own."""
    documents = [Document(f"d{i}", passage(i)) for i in range(20)]
    with colstore.build(tmp_path / "own.colstore", documents, model=FakeEncoder(), bits=8) as opened:
        yield opened
