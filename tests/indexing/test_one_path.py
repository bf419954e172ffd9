"""A document's stored arrays do not depend on the way it came in: built, added, replaced, or encoded for one query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import colstore
from colstore import Document
from colstore.codec.nearest import FEWEST
from colstore.encode import FakeEncoder, fit_projection
from colstore.indexing.ingest import Compressor, Ingest
from colstore.indexing.meters import EncodeMeter
from colstore.indexing.read_ahead import in_order
from colstore.search.unstored import PassageScorer
from colstore.snapshot.document_encoder import stored_projection
from colstore.snapshot.snapshot import Snapshot
from colstore.store import Passages

DIM = 64
ENCODER = FakeEncoder(dim=DIM, max_tokens=22)  # its vectors are float32: float16 rounds them; most documents are cut
Arrays = dict[str, dict[str, NDArray[Any]]]


def words(first: int, count: int) -> str:
    return " ".join(f"w{first + number}" for number in range(count))


CORPUS = [{"id": f"d{i}", "text": words(10 * i, 10)} for i in range(1_000)]
LARGE = [{"id": f"d{i}", "text": words(25 * i, 25)} for i in range(800)]  # several tokens a centroid, also of many
LENGTHS = (1, 2, 3, 7, 40, 9, 60, 25, 30, 50)
NEW = [{"id": f"new{i}", "text": words(370 * i, count)} for i, count in enumerate(2 * LENGTHS)]
PASSAGES = [str(document["text"]) for document in NEW]
IDS = [str(document["id"]) for document in NEW]
SIMPLE: dict[str, Any] = {"centroids": 100}
EVERYTHING: dict[str, Any] = {"centroids": FEWEST + 100, "dim": 44, "pool_factor": 2.0}
CASES = [(bits, EVERYTHING) for bits in (16, 8, 4, 2, 1)] + [(4, SIMPLE), (1, SIMPLE), (16, SIMPLE)]


def stored(path: Path, ids: Sequence[str]) -> Arrays:
    """Return the token arrays of documents as they lie in the segments."""
    snapshot = Snapshot.open(path)
    arrays: Arrays = {}
    for segment, deleted in zip(snapshot.segments, snapshot.deleted, strict=True):
        offsets = segment.doc_offsets().astype(np.int64)
        for name, local in zip(ids, segment.ids.find_many(ids).tolist(), strict=True):
            if local >= 0 and (deleted is None or local not in deleted):
                start, stop = int(offsets[local]), int(offsets[local + 1])
                arrays[name] = {key: segment.rows(key, start, stop).copy() for key in snapshot.codec.token_arrays}
                passages = segment.passages_of(local, local + 1) or Passages.whole([stop - start])
                arrays[name]["passages"] = passages.table()
    snapshot.close()
    return arrays


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        assert found[name].keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[name][key], array, err_msg=f"{name}: {key}")


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]} bits, {case[1]['centroids']} centroids")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[colstore.Index]:
    bits, how = request.param
    path = tmp_path_factory.mktemp("built") / "x.colstore"
    with colstore.build(path, [*LARGE, *NEW], model=ENCODER, bits=bits, **how) as index:
        assert (index.info().centroids >= FEWEST) == (how["centroids"] >= FEWEST)
        yield index


def ingest_of(index: colstore.Index, threads: int = 2) -> Ingest:
    snapshot = Snapshot.open(Path(index.path))
    projection = stored_projection(snapshot.path, snapshot.manifest)
    return Ingest(ENCODER, snapshot.config, Compressor(snapshot.codec, projection), threads)


def encoded(ingest: Ingest, documents: Sequence[Mapping[str, Any]]) -> Arrays:
    found: Arrays = {}
    stream = (Document(id=str(d["id"]), text=str(d["text"])) for d in documents)
    for some, batch in ingest.batches(stream, EncodeMeter(None, None)):
        ends = np.cumsum(batch.counts)[:-1]
        parts = {key: np.split(array, ends) for key, array in batch.arrays.items()}
        for number, document in enumerate(some):
            found[document.id] = {key: part[number] for key, part in parts.items()}
            passages = batch.passages or Passages.whole(batch.counts)
            found[document.id]["passages"] = passages.between(number, number + 1).table()
    return found


def test_every_way_in_gives_the_same_arrays(built: colstore.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = stored(built.path, IDS)
    assert len(expected) == len(NEW)
    assert [len(expected[f"new{i}"]["passages"]) for i in range(7)] == [1, 1, 1, 1, 2, 1, 3]
    scores = {hit.id: hit.score for hit in built.rerank("w3 w40 w80 w150", IDS)}

    built.delete(IDS)
    for document in NEW:
        built.add([document])
    assert_same(stored(built.path, IDS), expected)

    built.delete(IDS)
    built.add(reversed(NEW))
    assert_same(stored(built.path, IDS), expected)

    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 4)
    monkeypatch.setattr("colstore.indexing.ingest.BATCH_TOKENS", 5)
    monkeypatch.setattr("colstore.updating.add.available_cores", lambda: 1)
    assert built.replace(NEW).replaced == len(NEW)
    assert_same(stored(built.path, IDS), expected)

    built.compact()
    assert_same(stored(built.path, IDS), expected)
    assert {hit.id: hit.score for hit in built.rerank("w3 w40 w80 w150", IDS)} == scores


def test_passages_that_are_not_stored_score_exactly_as_stored_ones(built: colstore.Index) -> None:
    query = "w3 w40 w80 w150 w7 " + words(100, 40)  # more than one pass of the kernels
    expected = {hit.id: hit.score for hit in built.rerank(query, IDS)}
    texts = {f"copy {name}": text for name, text in zip(IDS, PASSAGES, strict=True)}
    hits = built.rerank(query, [*IDS, *texts], missing="score", texts=texts)
    found = {hit.id.removeprefix("copy "): hit.score for hit in hits if hit.stage == "encoded"}
    assert found == expected
    alone = built.rerank(query, ["copy new4"], missing="score", texts=texts)
    assert alone[0].score == expected["new4"]


def test_the_scorer_takes_the_same_path(built: colstore.Index) -> None:
    scorer = PassageScorer(Snapshot.open(Path(built.path)), ENCODER if built.info().dim == DIM else None)
    query = built.encoder.encode_queries(["w3 w40"])[0]
    together = scorer.score(query, PASSAGES)
    assert together == [scorer.score(query, [passage])[0] for passage in PASSAGES]


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_batches_windows_and_threads_change_nothing(built: colstore.Index, data: st.DataObject) -> None:
    expected = encoded(ingest_of(built), NEW)
    order = data.draw(st.permutations(NEW))
    some = order[: data.draw(st.integers(1, len(NEW)))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", data.draw(st.integers(1, 7)))
        patch.setattr("colstore.indexing.ingest.WINDOW_CHARACTERS", data.draw(st.integers(1, 400)))
        patch.setattr("colstore.indexing.ingest.BATCH_TOKENS", data.draw(st.integers(1, 60)))
        found = encoded(ingest_of(built, threads=data.draw(st.integers(1, 3))), some)
    assert_same(found, {str(document["id"]): expected[str(document["id"])] for document in some})


def test_an_index_that_grew_from_nothing_is_the_one_that_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first training sees the float16 vectors that a build keeps in its parts."""
    monkeypatch.setattr("colstore.updating.add.TRAIN_FROM", 5_000)
    ids = [str(document["id"]) for document in CORPUS]
    with colstore.build(tmp_path / "built", CORPUS, model=ENCODER, pool_factor=1.5) as whole:
        expected = stored(whole.path, ids)
    for name, sizes in {"at once": [1_000], "in steps": [1, 9, 90, 400, 500]}.items():
        with colstore.create(tmp_path / name, model=ENCODER, pool_factor=1.5) as index:
            for stop, size in zip(np.cumsum(sizes).tolist(), sizes, strict=True):
                index.add(CORPUS[stop - size : stop])
            assert index.info().trained
            assert_same(stored(index.path, ids), expected)


@pytest.mark.parametrize(("dim_in", "dim"), [(384, 100), (384, 128), (128, 96)])
def test_a_projected_row_does_not_depend_on_the_others(dim_in: int, dim: int) -> None:
    """A product from BLAS does: one row, and few rows, take other kernels."""
    rows = np.random.default_rng(0).standard_normal((300, dim_in)).astype(np.float32)
    projection = fit_projection(rows, dim)
    together = projection.apply(rows)
    for size in (1, 2, 3, 7, 33):
        apart = [projection.apply(rows[start : start + size]) for start in range(0, 300, size)]
        np.testing.assert_array_equal(np.concatenate(apart), together)


def test_in_order_keeps_the_order_and_passes_errors_on() -> None:
    assert list(in_order(lambda n: n * n, range(50), 3)) == [n * n for n in range(50)]
    results = in_order(lambda n: 1 // (3 - n), range(10), 2)
    assert [next(results), next(results), next(results)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
