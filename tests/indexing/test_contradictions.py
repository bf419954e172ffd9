"""A build that cannot succeed leaves what was there untouched, byte for byte, and one that succeeds is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import colstore
from colstore.encode import FakeEncoder
from colstore.errors import (
    ColstoreError,
    CommittedError,
    ConfigError,
    CorpusError,
    EncoderError,
    StorageError,
    VectorError,
)
from colstore.indexing import output
from colstore.search.session import Session
from colstore.store import Part
from colstore.types import FloatMatrix

TEXTS = [{"id": f"d{n}", "text": f"page {n} about ships"} for n in range(12)]


class TwoFaced(FakeEncoder):
    """Makes other vectors of queries than of documents."""

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        return [np.ones((2, self.dim + 1), np.float32) for _ in texts]


def with_vectors(*dims: int) -> list[colstore.Document]:
    return [
        colstore.Document(id=f"v{n}", text="bees", vectors=np.eye(dim, dtype=np.float32)[:3])
        for n, dim in enumerate(dims)
    ]


def content(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    colstore.build(tmp_path / "x", TEXTS, model=FakeEncoder(dim=16)).close()
    return tmp_path / "x"


MODEL = FakeEncoder(dim=16)
CONTRADICTIONS: dict[str, tuple[type[ColstoreError], str, dict[str, Any]]] = {
    "vectors of another model": (VectorError, "expected 16", {"corpus": with_vectors(8, 8), "model": MODEL}),
    "texts, then vectors of another model": (
        VectorError,
        "expected 16",
        {"corpus": [{"id": "t", "text": "page"}, *with_vectors(8)], "model": MODEL},
    ),
    "vectors as the projection makes them": (
        VectorError,
        "expected 16",
        {"corpus": with_vectors(8), "model": MODEL, "dim": 8},
    ),
    "a projection on more axes than there are": (
        ConfigError,
        r"dim must lie in 1\.\.16",
        {"corpus": TEXTS, "model": MODEL, "dim": 32},
    ),
    "queries of another dimension": (EncoderError, "encode_queries returned", {"corpus": TEXTS, "model": TwoFaced(16)}),
    "BM25 of no texts": (
        ConfigError,
        "BM25 needs texts",
        {
            "corpus": [{"id": "v", "text": "", "vectors": np.eye(16, dtype=np.float32)[:2].tolist()}],
            "model": MODEL,
            "first_stage": "bm25",
        },
    ),
    "no documents": (CorpusError, "no documents", {"corpus": [], "model": MODEL}),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_leaves_the_index_alone(path: Path, name: str) -> None:
    kind, message, arguments = CONTRADICTIONS[name]
    before = {name: data for name, data in content(path).items() if name != "LOCK"}
    with pytest.raises(kind, match=message):
        colstore.build(path, overwrite=True, **arguments)
    after = content(path)
    assert {name: after[name] for name in before} == before
    with colstore.open(path) as index:
        assert index.search("page 3", k=1)[0].id == "d3"
        assert index.generation == 1


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_leaves_no_index(tmp_path: Path, name: str) -> None:
    kind, _, arguments = CONTRADICTIONS[name]
    with pytest.raises(kind):
        colstore.build(tmp_path / "new", **arguments)
    assert not list((tmp_path / "new").glob("manifest-*"))


def test_the_encoder_is_compared_again_before_the_commit(path: Path) -> None:
    before = content(path)
    entry = Part({"kind": "fake", "dim": 8}, ())
    with (
        mock.patch("colstore.indexing.build.write_encoder", return_value=entry),
        pytest.raises(EncoderError, match="vectors of 8 components, the documents have 16"),
    ):
        colstore.build(path, TEXTS, model=FakeEncoder(dim=16), overwrite=True)
    after = content(path)
    assert {name: after[name] for name in before if name != "LOCK"} == {
        name: data for name, data in before.items() if name != "LOCK"
    }


def test_a_place_that_cannot_be_written_is_named_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "access", lambda *_: False)
    acts: list[Callable[[], colstore.Index]] = [
        lambda: colstore.build(tmp_path / "a" / "x", TEXTS, model="no/such-model"),
        lambda: colstore.create(tmp_path / "x", model="no/such-model"),
        lambda: colstore.build_from_vectors(tmp_path / "x", ["a"], [np.eye(4)]),
    ]
    for act in acts:
        with pytest.raises(StorageError, match=r"may not write in .*choose another output path"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_bm25_belongs_to_the_commit_of_the_build(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x", TEXTS, model=FakeEncoder(dim=16), first_stage="bm25") as index:
        assert index.generation == 1
        assert index.search("page 4", k=1, first_stage="bm25")[0].id == "d4"
        assert index.report is not None
        assert "bm25" in index.report.seconds
    assert colstore.verify(tmp_path / "x", "deep").ok


def test_an_index_that_cannot_be_opened_after_the_build_is_no_failed_build(tmp_path: Path) -> None:
    def failing(*_: object, **__: object) -> Session:
        raise MemoryError("too many maps")

    with (
        mock.patch.object(Session, "open", failing),
        pytest.raises(CommittedError, match=r"committed as generation 1, so do not repeat it.*too many maps") as caught,
    ):
        colstore.build(tmp_path / "x", TEXTS, model=FakeEncoder(dim=16))
    assert (caught.value.path, caught.value.generation) == (tmp_path / "x", 1)
    with colstore.open(tmp_path / "x") as index:
        assert len(index) == 12


@pytest.mark.parametrize(
    "act",
    [
        lambda index: index.add([{"id": "n", "text": "new"}]),
        lambda index: index.delete(["d1"]),
        lambda index: index.build_bm25(analyzer="plain"),
        lambda index: index.recover(1),
    ],
)
def test_a_change_whose_object_cannot_move_on_is_reported(
    path: Path, act: Callable[[colstore.Index], colstore.ChangeReport]
) -> None:
    with colstore.open(path) as index:
        with mock.patch.object(Session, "refreshed", side_effect=StorageError("too many open files")):
            report = act(index)
        assert report.committed
        assert "still shows generation 1" in report.notes[0]
        assert "too many open files" in report.notes[0]
        assert index.refresh()
        assert index.generation == report.generation == 2


class Breaks:
    name = "breaks"

    def score(self, pairs: object) -> Any:
        raise RuntimeError("no memory on the device")


def test_tuning_and_calibrating_are_one_commit(path: Path) -> None:
    with colstore.open(path) as index:
        with pytest.raises(RuntimeError, match="no memory on the device"):
            index.tune(["page 1", "page 2"], k=2, reranker=Breaks())
        assert index.info().tuned is None
        assert colstore.history(path)[0].number == 1
