"""Adding and replacing: what comes in, what is refused, and that a refusal leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import Document, Index, Passage
from colstore.encode import FakeEncoder
from colstore.errors import ConfigError, CorpusError, DuplicateIdError, EncoderError, VectorError


def test_added_documents_are_found_and_read(index: Index, document: Any) -> None:
    report = index.add([document(100), document(101)])
    assert (report.added, report.replaced, report.documents, report.generation) == (2, 0, 22, 2)
    assert len(index) == 22
    assert index.generation == 2
    hit = index.search(document(101).vectors, k=1)[0]
    assert (hit.id, hit.title, hit.text, dict(hit.metadata)) == ("d101", "title 101", "text 101", {"number": 101})
    np.testing.assert_allclose(index.vectors(["d100"])[0], document(100).vectors, atol=1e-3)
    assert [hit.id for hit in index.search(document(0).vectors, k=5, where={"number": 100})] == ["d100"]


def test_texts_are_encoded_as_in_the_build(texts: Index, tmp_path: Path) -> None:
    texts.add([{"id": "rust", "text": "Iron rusts in damp air."}])
    assert texts.search("rusts in damp air", k=1)[0].id == "rust"
    again = colstore.open(texts.path)  # loads the encoder from its settings
    report = again.add([{"id": "fog", "text": "Fog is a cloud on the ground."}])
    assert report.added == 1
    assert again.search("a cloud on the ground", k=1)[0].id == "fog"


def test_an_added_document_scores_as_if_it_had_been_built(tmp_path: Path, document: Any) -> None:
    """At 16 bits, where the centroids have no part in a score."""
    documents = [document(i) for i in range(12)]
    ids, rows = [x.id for x in documents], [x.vectors for x in documents]
    whole = colstore.build_from_vectors(tmp_path / "whole", ids, rows, bits=16)
    grown = colstore.build_from_vectors(tmp_path / "grown", ids[:5], rows[:5], bits=16)
    grown.add(documents[5:9])
    grown.add(documents[9:])
    query = document(50).vectors
    assert [(h.id, h.score) for h in grown.search(query, 12)] == [(h.id, h.score) for h in whole.search(query, 12)]


@pytest.mark.parametrize("bits", [16, 8, 4, 2, 1])
def test_every_codec_takes_documents(tmp_path: Path, bits: Any, document: Any) -> None:
    documents = [document(i) for i in range(30)]
    index = colstore.build_from_vectors(
        tmp_path / "x", [x.id for x in documents], [x.vectors for x in documents], bits=bits
    )
    index.add([document(99)])
    assert index.search(document(99).vectors, k=1)[0].id == "d99"
    assert index.verify("deep").ok


def test_pooling_and_projection_are_those_of_the_build(tmp_path: Path) -> None:
    corpus = [{"id": f"w{i}", "text": " ".join(f"word{i * j % 17}" for j in range(1, 9))} for i in range(40)]
    more = [{"id": "new", "text": "word3 word5 word7 word11 word2 word8 word9 word1"}]
    settings: dict[str, Any] = {"bits": 16, "pool_factor": 2, "dim": 8}
    whole = colstore.build(tmp_path / "whole", corpus + more, model=FakeEncoder(dim=16), **settings)
    grown = colstore.build(tmp_path / "grown", corpus, model=FakeEncoder(dim=16), **settings)
    grown.add(more)
    assert grown.vectors(["new"])[0].shape == whole.vectors(["new"])[0].shape
    reopened = colstore.open(grown.path)
    reopened.add([{"id": "newer", "text": "word3 word5 word7 word11 word2 word8 word9 word1"}])
    np.testing.assert_array_equal(reopened.vectors(["new"])[0], reopened.vectors(["newer"])[0])
    assert reopened.search("word3 word5", k=2)[0].score == reopened.search("word3 word5", k=2)[1].score


# --- ids that are there already ---------------------------------------------------------------------------------


def test_a_known_id_is_an_error_and_nothing_changes(index: Index, document: Any, files_of: Any) -> None:
    before = files_of(index.path)
    with pytest.raises(DuplicateIdError, match=r"'d3'.*on_duplicate='replace'"):
        index.add([document(200), document(3)])
    assert files_of(index.path) == before
    assert "d200" not in index
    assert index.generation == 1


def test_an_id_twice_in_the_batch_is_an_error(index: Index, document: Any) -> None:
    with pytest.raises(DuplicateIdError, match="second time"):
        index.add([document(200), document(200, seed=7)])
    assert len(index) == 20


def test_known_ids_are_skipped_on_request(index: Index, document: Any) -> None:
    report = index.add([document(3, seed=77), document(200), document(200, seed=7)], on_duplicate="skip")
    assert (report.added, report.replaced, report.skipped) == (1, 0, {"duplicate": 2})
    np.testing.assert_allclose(index.vectors(["d3"])[0], document(3).vectors, atol=1e-3)
    np.testing.assert_allclose(index.vectors(["d200"])[0], document(200).vectors, atol=1e-3)


def test_a_batch_of_known_ids_only_makes_no_generation(index: Index, document: Any) -> None:
    report = index.add([document(3)], on_duplicate="skip")
    assert (report.committed, report.generation, index.generation) == (False, 1, 1)
    assert not index.add([]).committed


def test_replacing_shows_the_new_and_never_the_old(index: Index, document: Any) -> None:
    new = replace(document(3, seed=99), text="new text", metadata={"number": -1})
    report = index.replace([new, document(200)])
    assert (report.added, report.replaced, report.deleted, report.documents) == (1, 1, 0, 21)
    hits = index.search(document(99, seed=99).vectors, k=21)
    assert (hits[0].id, hits[0].text) == ("d3", "new text")
    assert sorted(hit.id for hit in hits) == sorted([f"d{i}" for i in range(20)] + ["d200"])
    np.testing.assert_allclose(index.vectors(["d3"])[0], new.vectors, atol=1e-3)
    assert index.search(new.vectors, k=5, where={"number": 3}, ids=["d3", "d4"]) == []
    assert index.rerank(new.vectors, ["d3"])[0].score == pytest.approx(4.0, abs=0.01)


def test_replacing_twice_in_a_batch_keeps_the_last(index: Index, document: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 2)  # so that the windows part the same ids
    batch = [document(300, seed=s) for s in (1, 2, 3)] + [document(3, seed=4), document(301), document(3, seed=5)]
    report = index.replace(batch)
    assert (report.added, report.replaced, report.skipped) == (2, 1, {"superseded": 3})
    assert len(index) == 22
    np.testing.assert_allclose(index.vectors(["d300"])[0], document(300, seed=3).vectors, atol=1e-3)
    np.testing.assert_allclose(index.vectors(["d3"])[0], document(3, seed=5).vectors, atol=1e-3)
    assert index.verify("deep").ok


def test_replacing_every_document_leaves_no_old_segment(index: Index, document: Any) -> None:
    index.replace([document(i, seed=1000 + i) for i in range(20)])
    info = index.info()
    assert (info.documents, info.deleted, info.segments) == (20, 0, 1)


# --- what is refused --------------------------------------------------------------------------------------------


def broken(document: Callable[..., Document]) -> Iterator[tuple[list[Any], type[Exception], str]]:
    good = document(200)
    yield [good, replace(good, id="x", vectors=np.ones((2, 3)))], VectorError, "have 3 components, expected 16"
    yield [good, replace(good, id="x", vectors=np.full((2, 16), np.nan))], CorpusError, "NaN"
    yield [good, replace(good, id="x", vectors=np.zeros((2, 16)))], VectorError, "zeros"
    yield [good, replace(good, id="x", vectors=None)], CorpusError, "no vectors, and there is no model"
    yield [good, {"id": "x", "text": 7}], CorpusError, "text"
    yield [good, 7], CorpusError, "item is a int"


@pytest.mark.parametrize("case", range(6))
def test_one_bad_document_refuses_the_batch(index: Index, document: Any, files_of: Any, case: int) -> None:
    before = files_of(index.path)
    batch, error, message = list(broken(document))[case]
    with pytest.raises(error, match=message):
        index.add(batch)
    assert files_of(index.path) == before
    assert len(index) == 20


def test_bad_records_are_counted_on_request(index: Index, document: Any) -> None:
    report = index.add([document(200), {"id": "x", "text": 7, "vectors": [[1.0] * 16]}, ""], on_error="skip")
    assert (report.added, report.skipped) == (1, {"error": 1, "empty": 1})
    assert report.examples


def test_a_source_that_fails_in_the_middle_leaves_nothing(index: Index, document: Any, files_of: Any) -> None:
    before = files_of(index.path)

    def documents() -> Iterator[Document]:
        yield from (document(i) for i in range(300, 900))  # more than a window
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        index.add(documents())
    assert files_of(index.path) == before


def test_another_encoder_is_refused(texts: Index) -> None:
    for other in (FakeEncoder(dim=16, seed=1), FakeEncoder(dim=16, max_tokens=3)):
        with colstore.open(texts.path, encoder=other) as opened, pytest.raises(EncoderError, match="differ"):
            opened.add(["a text"])


def test_an_index_of_vectors_takes_no_encoder_for_texts(index: Index) -> None:
    with colstore.open(index.path, encoder=FakeEncoder(dim=16)) as opened, pytest.raises(CorpusError, match="no model"):
        opened.add([{"id": "x", "text": "some text"}])


def test_own_vectors_fit_an_index_of_texts(texts: Index, vectors: Any) -> None:
    texts.add([Document(id="mine", text="anything", vectors=vectors(5))])
    assert texts.search(vectors(5), k=1)[0].id == "mine"


def test_unknown_choices_are_named(index: Index) -> None:
    with pytest.raises(ConfigError, match="on_duplicate"):
        index.add([], on_duplicate="keep")  # type: ignore[arg-type]  # the point of the test


def test_an_index_without_texts_stays_without(tmp_path: Path, document: Any) -> None:
    index = colstore.build_from_vectors(tmp_path / "x", ["a"], [document(0).vectors], store_texts=False)
    index.add([document(1)])
    assert index.search(document(1).vectors, k=1)[0].text is None
    index.compact()
    assert index.verify("deep").ok


def test_truncated_documents_are_counted(tmp_path: Path) -> None:
    index = colstore.build(tmp_path / "x", ["one two"], model=FakeEncoder(dim=16, max_tokens=3), passages=False)
    assert index.add([{"id": "long", "text": "one two three four"}]).truncated == 1


def test_long_documents_are_split_and_nothing_is_lost(tmp_path: Path) -> None:
    index = colstore.build(tmp_path / "x", ["one two"], model=FakeEncoder(dim=16, max_tokens=3))
    assert index.add([{"id": "long", "text": "one two three four"}]).truncated == 0
    hit = index.search("four", k=1)[0]
    assert (hit.id, hit.passage) == ("long", Passage("four", 14, 18, 1))


def test_progress_is_reported(index: Index, document: Any) -> None:
    steps: list[colstore.Progress] = []
    index.add([document(200), document(201)], progress=steps.append)
    assert [(step.stage, step.done) for step in steps] == [("add", 2)]
