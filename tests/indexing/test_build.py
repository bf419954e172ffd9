"""Building: what comes out, what bad input does, what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import colstore
from colstore import Document
from colstore.encode import FakeEncoder
from colstore.errors import (
    ConfigError,
    CorpusError,
    DuplicateIdError,
    EncoderError,
    IndexExistsError,
    NotAnIndexError,
    ResumeError,
    VectorError,
)

WORDS = ["moon", "star", "tide", "rock", "salt", "wine", "song", "rule", "code", "leaf", "bone", "coin"]


def documents(count: int, seed: int = 0) -> list[Document]:
    generator = np.random.default_rng(seed)
    return [
        Document(id=f"d{i}", title=f"Title {i}", text=" ".join(generator.choice(WORDS, 8)), metadata={"i": i})
        for i in range(count)
    ]


def test_a_document_comes_back_as_it_went_in(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x.colstore", documents(50), model=FakeEncoder()) as index:
        hits = {hit.id: hit for hit in index.search("moon", 50)}
        for document in documents(50):
            hit = hits[document.id]
            assert (hit.title, hit.text, hit.metadata) == (document.title, document.text, document.metadata)
        assert len(index) == 50
        assert "d7" in index
        assert "nobody" not in index


def test_without_texts_ids_and_scores_remain(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "a.colstore", documents(20), model=FakeEncoder(), store_texts=False) as index:
        hit = index.search("moon", 1)[0]
        assert hit.text is None
        assert hit.metadata == {}
        assert "texts" not in index.info().bytes


def test_a_copy_elsewhere_answers_the_same(tmp_path: Path) -> None:
    import shutil

    index = colstore.build(tmp_path / "a.colstore", documents(50), model=FakeEncoder(), dim=16)
    shutil.copytree(tmp_path / "a.colstore", tmp_path / "elsewhere" / "b.colstore")
    with colstore.open(tmp_path / "elsewhere" / "b.colstore") as copied:
        assert copied.search("moon rock", 10) == index.search("moon rock", 10)
        assert copied.dim == 16


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        colstore.build(tmp_path / name, documents(60), model=FakeEncoder(), pool_factor=1.5).close()
    first, second = (sorted((tmp_path / name / "segments").iterdir()) for name in "ab")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


@pytest.mark.parametrize("pooling", ["hierarchical", "neighbours"])
def test_pooling_keeps_fewer_vectors_and_is_recorded(tmp_path: Path, pooling: str) -> None:
    plain = colstore.build(tmp_path / "a", documents(40), model=FakeEncoder())
    pooled = colstore.build(tmp_path / "b", documents(40), model=FakeEncoder(), pool_factor=2, pooling=pooling)  # type: ignore[arg-type]  # one of two
    assert pooled.info().tokens < 0.7 * plain.info().tokens
    assert pooled.info().config["pooling"] == pooling


def test_vectors_of_a_document_of_its_own(tmp_path: Path) -> None:
    own = np.eye(32, dtype=np.float32)[:3]
    mixed = [*documents(10), Document(id="own", vectors=own)]
    with colstore.build(tmp_path / "x", mixed, model=FakeEncoder(), bits=16) as index:
        assert np.allclose(index.vectors(["own"])[0], own)


@pytest.mark.parametrize(
    ("vectors", "error"),
    [
        (np.ones((2, 5), np.float32), VectorError),
        (np.zeros((2, 4), np.float32), VectorError),
        (np.ones((0, 4), np.float32), (VectorError, CorpusError)),
        (np.full((2, 4), np.nan, np.float32), (VectorError, CorpusError)),
        (np.full((2, 4), 1e6, np.float32), VectorError),
        (np.ones(4, np.float32), (VectorError, CorpusError)),
    ],
)
def test_vectors_that_cannot_be(tmp_path: Path, vectors: NDArray[Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        colstore.build_from_vectors(tmp_path / "x", ["a", "b"], [np.ones((2, 4), np.float32), vectors])
    assert not (tmp_path / "x").exists()


def test_ids_and_vectors_of_different_number(tmp_path: Path) -> None:
    rows = [np.ones((1, 4), np.float32)] * 2
    with pytest.raises(CorpusError, match="equally many: the vectors end after 1"):
        colstore.build_from_vectors(tmp_path / "x", ["a", "b"], rows[:1])
    with pytest.raises(CorpusError, match="the ids end after 1"):
        colstore.build_from_vectors(tmp_path / "x", ["a"], rows)
    with pytest.raises(CorpusError, match="the texts end after 0"):
        colstore.build_from_vectors(tmp_path / "x", ["a", "b"], rows, texts=[])
    assert not (tmp_path / "x").exists()


def test_an_error_of_the_callers_own_comes_through(tmp_path: Path) -> None:
    def failing() -> Iterator[NDArray[np.float32]]:
        yield np.ones((1, 4), np.float32)
        raise ValueError("a bug of the caller's")

    with pytest.raises(ValueError, match="a bug of the caller's"):
        colstore.build_from_vectors(tmp_path / "x", ["a", "b"], failing())


def test_bad_documents_are_errors_or_counted(tmp_path: Path) -> None:
    twice = [*documents(5), documents(5)[2]]
    with pytest.raises(DuplicateIdError):
        colstore.build(tmp_path / "x", twice, model=FakeEncoder())
    with colstore.build(tmp_path / "x", twice, model=FakeEncoder(), on_duplicate="skip", overwrite=True) as index:
        assert index.report is not None
        assert index.report.skipped == {"duplicate": 1}
        assert len(index) == 5


def test_nothing_to_index(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no documents"):
        colstore.build(tmp_path / "x", [], model=FakeEncoder())
    assert not (tmp_path / "x").exists()
    with pytest.raises(CorpusError, match="no documents"):
        colstore.build_from_vectors(tmp_path / "x", [], [])
    assert not (tmp_path / "x").exists()


def test_bad_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bits"):
        colstore.build(tmp_path / "x", documents(3), model=FakeEncoder(), bits=3)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigError, match="pool_factor"):
        colstore.build(tmp_path / "x", documents(3), model=FakeEncoder(), pool_factor=0.5)
    with pytest.raises(ConfigError, match="model"):
        colstore.build(tmp_path / "x", documents(3), model=object())  # type: ignore[arg-type]  # on purpose
    assert not (tmp_path / "x").exists()


def test_an_index_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.colstore"
    colstore.build(path, documents(5), model=FakeEncoder()).close()
    (path / "notes.txt").write_text("mine")
    with pytest.raises(IndexExistsError, match="overwrite"):
        colstore.build(path, documents(9), model=FakeEncoder())
    with colstore.build(path, documents(9), model=FakeEncoder(), overwrite=True) as index:
        assert len(index) == 9
        assert index.generation == 2
    assert (path / "notes.txt").read_text() == "mine"
    assert len(list((path / "segments").iterdir())) == 2, "the old segment is gone: one .h5 and one .sums remain"


def test_a_failed_overwrite_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.colstore"
    colstore.build(path, documents(5), model=FakeEncoder()).close()
    with pytest.raises(DuplicateIdError):
        colstore.build(path, [*documents(5), documents(1)[0]], model=FakeEncoder(), overwrite=True)
    with colstore.open(path) as index:
        assert len(index) == 5
        assert index.search("moon", 3)


def test_vectors_that_do_not_fit_the_model_fail_before_anything_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x"
    colstore.build(path, documents(5), model=FakeEncoder(dim=32)).close()
    strangers = [Document(id=f"s{i}", vectors=np.eye(8)) for i in range(3)]
    for target in (path, tmp_path / "new"):
        with pytest.raises(VectorError, match="have 8 components, expected 32"):
            colstore.build(target, strangers, model=FakeEncoder(dim=32), overwrite=True)
    assert not (tmp_path / "new").exists()
    with colstore.open(path) as index:
        assert (len(index), index.generation) == (5, 1)


def test_other_peoples_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(NotAnIndexError, match="other files"):
            colstore.build(tmp_path, documents(3), model=FakeEncoder(), overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_an_index_of_vectors_needs_an_encoder_for_texts(tmp_path: Path) -> None:
    colstore.build_from_vectors(tmp_path / "x", ["a"], [np.eye(32, dtype=np.float32)[:2]]).close()
    with colstore.open(tmp_path / "x") as index, pytest.raises(EncoderError, match="built from vectors"):
        index.search("moon")
    with colstore.open(tmp_path / "x", encoder=FakeEncoder(dim=32)) as index:
        assert index.search("moon", 1)[0].id == "a"
    with pytest.raises(EncoderError, match="components"):
        colstore.open(tmp_path / "x", encoder=FakeEncoder(dim=8))


class Interrupted(Exception):  # noqa: N818 - not an error of anybody
    """Stands for whatever stops a build."""


def stopping_after(count: int) -> Iterator[Document]:
    for number, document in enumerate(documents(300)):
        if number == count:
            raise Interrupted
        yield document


@pytest.mark.parametrize("stop", [64, 100, 299])
def test_an_interrupted_build_goes_on_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr("colstore.indexing.parts.PART_DOCUMENTS", 32)
    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 16)
    colstore.build(tmp_path / "whole", documents(300), model=FakeEncoder()).close()
    path = tmp_path / "broken"
    with pytest.raises(Interrupted):
        colstore.build(path, stopping_after(stop), model=FakeEncoder())
    with pytest.raises(NotAnIndexError):
        colstore.open(path)
    with pytest.raises(NotAnIndexError, match="resume=True"):
        colstore.build(path, documents(300), model=FakeEncoder())
    colstore.build(path, documents(300), model=FakeEncoder(), resume=True).close()
    for whole in sorted((tmp_path / "whole" / "segments").iterdir()):
        assert (path / "segments" / whole.name).read_bytes() == whole.read_bytes()
    assert not (path / "building").exists()


def test_a_build_that_failed_early_is_in_nobodys_way(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        colstore.build(tmp_path / "x", stopping_after(1), model=FakeEncoder())
    colstore.build(tmp_path / "x", documents(9), model=FakeEncoder()).close()


def test_resuming_with_another_corpus_or_settings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colstore.indexing.parts.PART_DOCUMENTS", 32)
    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 16)
    path = tmp_path / "x"
    with pytest.raises(Interrupted):
        colstore.build(path, stopping_after(100), model=FakeEncoder())
    with pytest.raises(ResumeError, match="other settings"):
        colstore.build(path, documents(300), model=FakeEncoder(), bits=2, resume=True)
    with pytest.raises(ResumeError, match="corpus"):
        colstore.build(path, documents(300, seed=1), model=FakeEncoder(), resume=True)
    with colstore.build(path, documents(300), model=FakeEncoder(), overwrite=True) as index:
        assert len(index) == 300


_SLOW_BUILD = """
import sys, time, colstore
from colstore.encode import FakeEncoder
def slowly():
    for i in range(400):
        time.sleep(0.002)
        yield {"id": str(i), "text": f"word{i % 7} moon"}
colstore.build(sys.argv[1], slowly(), model=FakeEncoder(), overwrite=True)
"""


@pytest.mark.parametrize("wait", [0.3, 0.8, 1.2, 2.0])
def test_kill_9_leaves_no_index_or_a_complete_one(tmp_path: Path, wait: float) -> None:
    path = tmp_path / "x.colstore"
    colstore.build(path, documents(5), model=FakeEncoder()).close()
    process = subprocess.Popen([sys.executable, "-c", _SLOW_BUILD, str(path)])
    time.sleep(wait)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with colstore.open(path) as index:
        assert len(index) in (5, 400)
        assert index.search("moon", 1)


def test_progress_says_how_far(tmp_path: Path) -> None:
    said: list[colstore.Progress] = []
    colstore.build(tmp_path / "x", documents(30), model=FakeEncoder(), progress=said.append).close()
    assert {"encode", "train", "compress"} <= {item.stage for item in said}
    assert max(item.done for item in said if item.stage == "encode") == 30


def test_the_report_is_plain_data(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x", documents(30), model=FakeEncoder()) as index:
        assert index.report is not None
        assert json.loads(json.dumps(index.report.to_json()))["documents"] == 30
        assert json.loads(json.dumps(index.info().to_json()))["tokens"] == index.info().tokens


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"first_stage": "bm25", "store_texts": False}, "built from texts"),
        ({"first_stage": "splade"}, "must be 'bm25' or None"),
    ],
)
def test_a_first_stage_that_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        colstore.build(tmp_path / "x.colstore", tmp_path / "no such corpus", model=FakeEncoder(), **settings)
    assert not (tmp_path / "x.colstore").exists()


def test_build_can_make_the_first_stage_too(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x.colstore", documents(30), model=FakeEncoder(), first_stage="bm25") as index:
        assert index.search("moon", 3, first_stage="bm25")
