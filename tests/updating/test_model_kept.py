"""The model that an index was built with is loaded once for all additions of an open index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colstore
from colstore.encode import FakeEncoder, load_encoder_from_settings
from colstore.snapshot import document_encoder


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the arguments of each load of a model."""
    seen: list[object] = []

    def counted(settings: Any, model: Any, **options: Any) -> Any:
        seen.append(model)
        return load_encoder_from_settings(settings, model, **options)

    monkeypatch.setattr(document_encoder, "load_encoder_from_settings", counted)
    return seen


@pytest.fixture
def index(tmp_path: Path) -> Iterator[colstore.Index]:
    corpus = [{"id": f"d{i}", "text": f"page {i}"} for i in range(5)]
    colstore.build(tmp_path / "i", corpus, model=FakeEncoder(dim=8)).close()
    with colstore.open(tmp_path / "i") as opened:
        yield opened


def test_the_model_is_loaded_once_for_additions_and_replacements(index: colstore.Index, loads: list[object]) -> None:
    index.add([{"id": "e1", "text": "one more"}])
    index.replace([{"id": "e1", "text": "another"}])
    index.delete(["d0"])
    index.add([{"id": "d0", "text": "back again"}], on_duplicate="skip")
    assert len(loads) == 1
    with colstore.open(index.path) as other:
        other.add([{"id": "e2", "text": "from elsewhere"}])
    assert len(loads) == 2
    assert index.refresh()
    index.add([{"id": "e3", "text": "after the refresh"}])
    index.compact()
    index.add([{"id": "e4", "text": "after compaction"}])
    assert len(loads) == 2
    assert index.count() == 9


def test_scoring_texts_that_are_not_stored_uses_the_same_model(index: colstore.Index, loads: list[object]) -> None:
    index.add([{"id": "e1", "text": "one more"}])
    query = index.vectors(["d1"])[0]
    index.rerank(query, ["d1", "x"], missing="score", texts={"x": "page of somebody else"})
    assert len(loads) == 1


def test_no_model_is_loaded_for_vectors(index: colstore.Index, loads: list[object]) -> None:
    (vectors,) = index.vectors(["d1"])
    index.add([colstore.Document(id="v", vectors=vectors)])
    assert loads == []


def test_other_options_load_the_model_anew(index: colstore.Index, loads: list[object], tmp_path: Path) -> None:
    index.add([{"id": "e1", "text": "one more"}])
    index.add([{"id": "e2", "text": "two more"}], model=tmp_path / "moved")
    index.add([{"id": "e3", "text": "three more"}], model=tmp_path / "moved")
    assert loads == [None, tmp_path / "moved"]
