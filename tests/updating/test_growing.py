"""An index that is created empty: what it does without documents, and how it becomes what it was created for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import BuildConfig, Document, SearchParams
from colstore.encode import FakeEncoder
from colstore.errors import ConfigError, EncoderError, IndexExistsError, NotAnIndexError, StorageError, VectorError
from colstore.store import commit, latest
from colstore.types import FloatMatrix

DIM = 16
LIMIT = 400


@pytest.fixture(autouse=True)
def _early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train from a few hundred tokens."""
    monkeypatch.setattr("colstore.updating.add.TRAIN_FROM", LIMIT)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[colstore.Index]:
    with colstore.create(tmp_path / "x.colstore", dim=DIM, bits=4) as index:
        yield index


def filled(index: colstore.Index, document: Any, first: int, stop: int) -> colstore.ChangeReport:
    """Add documents of 40 tokens each."""
    return index.add([document(i, tokens=40) for i in range(first, stop)])


def segment_files(path: Path) -> set[str]:
    return {file.name for file in (path / "segments").glob("*")}


# --- without documents ------------------------------------------------------------------------------------------


def test_an_empty_index_does_all_that_an_index_does(empty: colstore.Index, vectors: Any, tmp_path: Path) -> None:
    query = vectors(1)
    assert len(empty) == 0
    assert "d1" not in empty
    assert empty.search(query) == []
    assert empty.search(query, params=SearchParams(exact=True)) == []
    assert empty.search(query, params=SearchParams(exact_tokens=0)) == []
    assert empty.search_many([query, query]) == [[], []]
    assert empty.search(query, ids=[]) == []
    assert [hit.stage for hit in empty.rerank(query, ["d1"], missing="last")] == ["missing"]
    for level in ("quick", "full", "deep"):
        assert empty.verify(level).ok
    assert empty.compact().documents == 0
    assert empty.compact(retrain=True).documents == 0
    assert empty.delete([]).documents == 0
    info = empty.info()
    assert (info.documents, info.tokens, info.bits, info.trained, info.config["bits"]) == (0, 0, 16, False, 4)
    assert info.advice == ()
    shutil.copytree(empty.path, tmp_path / "copy")
    with colstore.open(tmp_path / "copy") as copy:
        assert copy.search(query) == []


def test_texts_need_a_model(empty: colstore.Index) -> None:
    with pytest.raises(EncoderError, match="built from vectors"):
        empty.search("a text")
    with pytest.raises(colstore.ColstoreError, match="no vectors, and there is no model"):
        empty.add(["a text"])
    assert len(empty) == 0
    assert empty.generation == 1


def test_an_index_with_a_model_takes_and_searches_texts(tmp_path: Path) -> None:
    with colstore.create(tmp_path / "x", model=FakeEncoder(dim=DIM)) as index:
        assert index.search("anything at all") == []
        index.add([{"id": "bees", "text": "Bees dance."}, {"id": "tides", "text": "The moon pulls the sea."}])
        assert index.search("dance", k=1)[0].id == "bees"
    with colstore.open(tmp_path / "x") as again:  # its encoder comes from the settings
        assert again.search("moon", k=1)[0].id == "tides"
        again.replace([{"id": "tides", "text": "Water rises."}])
        assert again.search("rises", k=1)[0].id == "tides"
        assert again.verify("deep").ok


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a model, or the dim"),
        ({"model": FakeEncoder(dim=DIM), "dim": 8}, "trained on a corpus"),
        ({"dim": 0}, "dim must be an integer"),
        ({"dim": True}, "dim must be an integer"),
        ({"dim": 1 << 30}, "dim must be an integer"),
        ({"dim": 8, "bits": 3}, "bits must be one of"),
        ({"dim": 8, "bits": 2, "config": BuildConfig(bits=4)}, "bits=2 contradicts config"),
        ({"model": 7}, "model must be a name"),
    ],
)
def test_arguments_that_cannot_make_an_index(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        colstore.create(tmp_path / "x", **arguments)
    assert not (tmp_path / "x").exists()


def test_nothing_that_exists_is_touched(empty: colstore.Index, tmp_path: Path, files_of: Any) -> None:
    before = files_of(empty.path)
    with pytest.raises(IndexExistsError):
        colstore.create(empty.path, dim=DIM)
    assert files_of(empty.path) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(NotAnIndexError, match="other files"):
        colstore.create(tmp_path / "mine", dim=DIM)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_the_settings_of_a_config_are_kept(tmp_path: Path) -> None:
    config = BuildConfig(bits=2, pool_factor=2.0, store_texts=False, seed=5)
    with colstore.create(tmp_path / "x", dim=DIM, config=config, bits=2) as index:
        assert dict(index.info().config) == {
            **{name: getattr(config, name) for name in config.__slots__},
            "passages": None,  # an index without a model splits no texts
        }


# --- growing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [16, 8, 4, 2, 1])
def test_the_addition_that_reaches_the_limit_trains(tmp_path: Path, document: Any, bits: Any) -> None:
    with colstore.create(tmp_path / "x", dim=DIM, bits=bits) as index:
        report = filled(index, document, 0, 9)  # 360 tokens
        assert (report.trained, index.info().trained, index.info().bits, index.info().centroids) == (
            False,
            False,
            16,
            1,
        )
        assert index.info().drift is None
        assert index.verify("deep").ok
        exact = {name: rows.copy() for name, rows in zip("ab", index.vectors(["d0", "d8"]), strict=True)}
        np.testing.assert_array_equal(exact["a"], document(0, tokens=40).vectors.astype(np.float16))

        report = filled(index, document, 9, 10)
        info = index.info()
        assert (report.trained, info.trained, info.bits, info.documents) == (True, True, bits, 10)
        assert info.centroids > 1
        assert report.loss is None  # nothing was rounded twice
        assert report.generation == 3
        assert index.verify("deep").ok
        assert [index.search(document(i, tokens=40).vectors, k=1)[0].id for i in (0, 9)] == ["d0", "d9"]
        assert index.search(document(3, tokens=40).vectors, k=1, where={"number": 3})[0].title == "title 3"

        report = filled(index, document, 10, 12)
        assert (report.trained, index.info().bits) == (False, bits)
        assert index.verify("deep").ok
    assert latest(tmp_path / "x").codec.settings.get("trained") is None  # as in an index that was built


def test_an_index_trains_again_when_it_has_grown_four_times(tmp_path: Path, document: Any) -> None:
    matrices = [document(i, tokens=40).vectors for i in range(20)]
    ids = [f"d{i}" for i in range(20)]

    def trained(name: str, first: int, more: int, **settings: Any) -> list[bool]:
        with colstore.build_from_vectors(tmp_path / name, ids[:first], matrices[:first], **settings) as index:
            reports = [filled(index, document, i, i + 1) for i in range(first, first + more)]
            assert index.verify("deep").ok
            assert index.info().trained
            return [report.trained for report in reports]

    assert trained("grown", 3, 13) == [False] * 8 + [True] + [False] * 4  # at 12, not at 16
    assert not any(trained("small", 2, 7))  # 360 tokens: all are scored at each search
    assert not any(trained("one bit", 3, 10, bits=1))
    assert not any(trained("chosen", 3, 10, centroids=16))


def test_replacing_everything_is_no_growth(empty: colstore.Index, document: Any) -> None:
    filled(empty, document, 0, 12)
    for seed in (100, 200, 300):
        assert not empty.replace([document(i, seed=seed + i, tokens=40) for i in range(12)]).trained
    assert empty.verify("deep").ok


def test_parameters_that_were_tuned_for_the_old_centroids_go_and_that_is_said(
    empty: colstore.Index, document: Any
) -> None:
    filled(empty, document, 0, 12)
    empty.tune([document(i, tokens=40).vectors for i in range(5)])
    report = filled(empty, document, 12, 50)
    assert report.trained
    assert empty.info().tuned is None
    assert [text for text in report.advice if "tune again" in text]


def test_a_reader_keeps_the_untrained_generation(empty: colstore.Index, document: Any) -> None:
    filled(empty, document, 0, 9)
    with colstore.open(empty.path) as reader:
        query = document(4, tokens=40).vectors
        before = [(hit.id, hit.score) for hit in reader.search(query)]
        filled(empty, document, 9, 12)
        assert [(hit.id, hit.score) for hit in reader.search(query)] == before
        assert reader.refresh()
        assert reader.info().trained
        assert reader.search(query, k=1)[0].id == "d4"


def test_searching_an_untrained_index_is_exact_whatever_the_parameters(
    empty: colstore.Index, document: Any, exact: Any
) -> None:
    filled(empty, document, 0, 9)
    collection = {f"d{i}": document(i, tokens=40).vectors.astype(np.float16).astype(np.float32) for i in range(9)}
    query: FloatMatrix = document(77).vectors
    expected = [name for name, _ in exact(collection, query, 2)]
    params = SearchParams(probes=1, candidates=2, scored=2, exact_tokens=0)
    assert [hit.id for hit in empty.search(query, 2, params=params)] == expected


def test_compact_retrain_trains_at_any_size(empty: colstore.Index, document: Any) -> None:
    filled(empty, document, 0, 3)
    report = empty.compact(retrain=True)
    assert (report.trained, empty.info().bits, empty.info().trained) == (True, 4, True)
    assert empty.verify("deep").ok
    assert not filled(empty, document, 3, 9).trained
    assert filled(empty, document, 9, 30).trained  # ten times as many tokens


@pytest.mark.usefixtures("unmerged")
def test_compact_merges_float16_segments(empty: colstore.Index, document: Any) -> None:
    for i in range(4):
        filled(empty, document, 2 * i, 2 * i + 2)
    empty.delete(["d2"])
    assert empty.info().segments == 4
    empty.compact()
    assert (empty.info().segments, empty.info().trained, len(empty)) == (1, False, 7)
    assert empty.verify("deep").ok


def test_training_tells_its_progress(empty: colstore.Index, document: Any) -> None:
    seen: list[colstore.Progress] = []
    empty.add([document(i, tokens=40) for i in range(20)], progress=seen.append)
    assert [step.stage for step in seen if step.stage == "add"]
    adding = [step for step in seen if step.stage == "add"]
    assert (adding[-1].done, adding[-1].total, adding[-1].tokens) == (20, 20, 800)
    assert {step.stage for step in seen} == {"add", "train", "compress"}
    assert [step.done for step in seen if step.stage == "compress"][-1] == 800


# --- failures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["retrain.train_codec", "change.commit", "change.write_codec"])
def test_a_training_that_fails_leaves_the_index_as_it_was(
    empty: colstore.Index, document: Any, files_of: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    filled(empty, document, 0, 3)
    before = files_of(empty.path)

    def full(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(f"colstore.updating.{where}", full)
        with pytest.raises(StorageError):
            filled(empty, document, 3, 20)
    assert set(before) >= {name for name in files_of(empty.path) if name.startswith("segments/")}
    assert {name: files_of(empty.path)[name] for name in before} == before
    assert len(colstore.open(empty.path)) == 3
    assert filled(empty, document, 3, 20).trained
    assert empty.verify("deep").ok


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the network is gone"), RuntimeError("a bug")])
def test_a_corpus_that_fails_in_the_middle_leaves_no_segment(
    empty: colstore.Index, document: Any, files_of: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 2)
    filled(empty, document, 0, 2)
    before = files_of(empty.path)

    def corpus() -> Iterator[Document]:
        yield from (document(i, tokens=40) for i in range(2, 30))
        raise error

    with pytest.raises(type(error)):
        empty.add(corpus())
    assert files_of(empty.path) == before


def test_an_interrupted_consumer_leaves_no_segment(
    empty: colstore.Index, document: Any, files_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C arrives in the caller's thread, here while it shows progress."""
    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 2)
    before = files_of(empty.path)

    def interrupted(progress: colstore.Progress) -> None:
        if progress.done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        empty.add((document(i, tokens=40) for i in range(30)), progress=interrupted)
    assert files_of(empty.path) == before


def test_vectors_of_another_dimension_are_refused(empty: colstore.Index) -> None:
    with pytest.raises(VectorError, match=f"expected {DIM}"):
        empty.add([Document(id="a", vectors=np.eye(DIM + 1))])
    assert len(empty) == 0


# --- emptying and filling again ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [1, 20])
def test_an_index_that_was_emptied_starts_over(
    empty: colstore.Index, document: Any, vectors: Any, files_of: Any, fill: int
) -> None:
    filled(empty, document, 0, 20)
    assert empty.info().trained
    empty.delete([f"d{i}" for i in range(20)])
    assert (len(empty), empty.search(vectors(1)), empty.info().segments) == (0, [], 0)
    assert empty.verify("deep").ok
    before = files_of(empty.path)
    with pytest.raises(VectorError):
        empty.add([Document(id="a", vectors=np.eye(3))])
    assert files_of(empty.path) == before
    report = filled(empty, document, 100, 100 + fill)
    assert (report.trained, empty.info().trained, empty.info().bits) == (
        (True, True, 4) if fill > 1 else (False, False, 16)
    )
    assert empty.search(document(100, tokens=40).vectors, k=1)[0].id == "d100"
    assert empty.verify("deep").ok


def test_a_built_index_that_was_emptied_keeps_projection_and_model(tmp_path: Path) -> None:
    corpus = [{"id": f"w{i}", "text": " ".join(f"word{i * j % 17}" for j in range(1, 9))} for i in range(40)]
    with colstore.build(tmp_path / "x", corpus, model=FakeEncoder(dim=DIM), dim=8, bits=2) as index:
        index.delete([str(document["id"]) for document in corpus])
        index.add(corpus[:5])
        assert (index.dim, index.info().trained) == (8, False)
        assert index.search("word3 word6 word9", k=1)[0].id == "w3"
        index.add(corpus[5:] + [{"id": f"more {d['id']}", "text": d["text"]} for d in corpus])
        assert (index.info().bits, index.info().trained) == (2, True)
        assert index.verify("deep").ok


def test_deep_verification_knows_trained_from_untrained(empty: colstore.Index, document: Any) -> None:
    filled(empty, document, 0, 20)
    manifest = latest(empty.path)
    settings = {**manifest.codec.settings, "trained": False}
    forged = replace(
        manifest,
        generation=manifest.generation + 1,
        parent=manifest.checksum,
        codec=replace(manifest.codec, settings=settings),
    )
    commit(empty.path, forged)
    assert [problem.file for problem in colstore.verify(empty.path, "deep").problems] == ["manifest"]
