"""Searching: against plain numpy, whatever the codec, the plan, the filter and the threads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import colstore
from colstore import Index, SearchParams
from colstore.config import BITS, Bits
from colstore.errors import ConfigError, QueryError, UnknownIdError
from colstore.types import Document, FloatMatrix

DIM = 32
EXACT = SearchParams(exact=True)
PRUNED = SearchParams(exact_tokens=0)


def unit(rows: NDArray[Any]) -> FloatMatrix:
    scaled: FloatMatrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def corpus(count: int, seed: int = 0, longest: int = 20) -> list[FloatMatrix]:
    """Documents of 1 to ``longest`` tokens around common centers, as real tokens are."""
    generator = np.random.default_rng(seed)
    centers = generator.standard_normal((60, DIM))
    return [
        unit(centers[generator.integers(0, 60, n)] + 0.4 * generator.standard_normal((n, DIM)))
        for n in generator.integers(1, longest + 1, count)
    ]


def maxsim(query: FloatMatrix, document: FloatMatrix) -> float:
    return float((document @ query.T).max(axis=0).sum())


def names(count: int) -> list[str]:
    return [f"d{i:04d}" for i in range(count)]


@pytest.fixture(scope="module")
def documents() -> list[FloatMatrix]:
    return corpus(600)


@pytest.fixture(scope="module", params=BITS)
def index(
    request: pytest.FixtureRequest, documents: list[FloatMatrix], tmp_path_factory: pytest.TempPathFactory
) -> Index:
    path = tmp_path_factory.mktemp("search") / f"{request.param}.colstore"
    records = [
        Document(id=name, text=f"text {name}", metadata={"year": 2000 + i % 10, "odd": bool(i % 2)}, vectors=rows)
        for i, (name, rows) in enumerate(zip(names(len(documents)), documents, strict=True))
    ]
    return colstore.build(path, records, model=colstore_fake(), bits=request.param)


def colstore_fake() -> colstore.Encoder:
    from colstore.encode import FakeEncoder

    return FakeEncoder(dim=DIM)


def queries(documents: list[FloatMatrix], count: int = 12) -> list[FloatMatrix]:
    generator = np.random.default_rng(5)
    made = []
    for i in range(count):
        rows = documents[int(generator.integers(len(documents)))][: 1 + i * 3]
        made.append(unit(rows + 0.2 * generator.standard_normal(rows.shape)))
    return made


def test_scores_are_those_of_the_stored_vectors(index: Index, documents: list[FloatMatrix]) -> None:
    stored = dict(zip(names(len(documents)), index.vectors(names(len(documents))), strict=True))
    for query in queries(documents):
        for hit in index.search(query, 20, params=EXACT):
            assert hit.score == pytest.approx(maxsim(query, stored[hit.id]), abs=2e-3 * len(query))


def test_exact_search_finds_what_plain_numpy_finds_on_the_stored_vectors(
    index: Index, documents: list[FloatMatrix]
) -> None:
    stored = index.vectors(names(len(documents)))
    for query in queries(documents):
        truth = sorted((-maxsim(query, rows), name) for name, rows in zip(names(len(documents)), stored, strict=True))
        found = [hit.id for hit in index.search(query, 10, params=EXACT)]
        clear = truth[9][0] + 4e-3 * len(query)  # those that rounding cannot move out of the first ten
        assert {name for score, name in truth[:10] if score < clear - 4e-3 * len(query)} <= set(found) | {truth[9][1]}
        assert len({name for _, name in truth[:10]} & set(found)) >= 9


def test_pruned_search_finds_nearly_all_and_scores_it_the_same(index: Index, documents: list[FloatMatrix]) -> None:
    found = total = 0
    for query in queries(documents):
        exact = {hit.id: hit.score for hit in index.search(query, 10, params=EXACT)}
        pruned = {hit.id: hit.score for hit in index.search(query, 10, params=PRUNED)}
        found += len(exact.keys() & pruned.keys())
        total += len(exact)
        for name in exact.keys() & pruned.keys():
            assert exact[name] == pruned[name]
    assert found / total > 0.9


def test_alone_in_a_batch_and_in_any_number_of_threads(index: Index, documents: list[FloatMatrix]) -> None:
    asked = queries(documents)
    for params in (EXACT, PRUNED):
        alone = [index.search(query, 10, params=params) for query in asked]
        assert index.search_many(asked, 10, params=params, threads=1) == alone
        assert index.search_many(asked[::-1], 10, params=params, threads=2)[::-1] == alone
        assert [index.search(query, 10, params=params, threads=2) for query in asked] == alone


def test_a_search_never_alters_a_later_one(index: Index, documents: list[FloatMatrix]) -> None:
    query, other = queries(documents)[:2]
    before = index.search(query, 100)
    index.search(other, 3, params=PRUNED)
    index.search(query, 1, where={"year": 2003})
    assert index.search(query, 100) == before


def test_rerank_orders_the_given_documents_with_the_same_scores(index: Index, documents: list[FloatMatrix]) -> None:
    for query in queries(documents)[:4]:
        first = index.search(query, 30, params=EXACT)
        again = index.rerank(query, [hit.id for hit in first][::-1])
        assert [(hit.id, hit.score) for hit in again] == [(hit.id, hit.score) for hit in first]


@pytest.mark.parametrize("params", [EXACT, PRUNED, SearchParams(probes=1, candidates=1, scored=1, exact_tokens=0)])
def test_filters_give_k_hits_whenever_k_are_allowed(
    index: Index, documents: list[FloatMatrix], params: SearchParams
) -> None:
    query = queries(documents)[3]
    hits = index.search(query, 20, where={"year": 2004, "odd": False}, params=params)
    assert len(hits) == 20
    assert {hit.metadata["year"] for hit in hits} == {2004}
    few = index.search(query, 20, ids=["d0007", "d0003"], params=params)
    assert {hit.id for hit in few} == {"d0003", "d0007"}
    everything = {hit.id: hit.score for hit in index.search(query, 600, params=EXACT)}
    assert all(everything[hit.id] == hit.score for hit in [*hits, *few])


def test_comparisons_in_filters(index: Index, documents: list[FloatMatrix]) -> None:
    query = queries(documents)[0]
    found = index.search(query, 600, where={"year": {"gte": 2002, "lt": 2004}})
    assert {hit.metadata["year"] for hit in found} == {2002, 2003}
    assert {hit.metadata["year"] for hit in index.search(query, 600, where={"year": [2001, 2009]})} == {
        2001,
        2009,
    }
    assert index.search(query, 5, where={"year": 1066}) == []
    assert index.search(query, 5, where={"odd": [1, True], "year": 2002}) == [], "true is not 1"
    assert index.search(query, 5, ids=[]) == []


def test_filters_that_cannot_be_meant(index: Index, documents: list[FloatMatrix]) -> None:
    query = queries(documents)[0]
    with pytest.raises(QueryError, match="no document has the metadata field 'yaer'; there are odd, year"):
        index.search(query, where={"yaer": 2004})
    with pytest.raises(QueryError, match="'above' is not an operator"):
        index.search(query, where={"year": {"above": 3}})
    with pytest.raises(UnknownIdError, match="1 of 2 ids are not in the index, such as 'nobody'"):
        index.search(query, ids=["d0001", "nobody"])
    for where in ([1], "year", 5):
        with pytest.raises(QueryError, match="where must map"):
            index.search(query, where=where)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigError, match=r"must be a colstore.SearchParams, got \{'exact'"):
        index.search(query, params={"exact": True})  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("ids", [5, None, [5], ["d0001", None], [("d0001", 0.5)], [b"d0001"], "d0001"])
def test_ids_that_are_no_strings(index: Index, documents: list[FloatMatrix], ids: Any) -> None:
    query = queries(documents)[0]
    calls: list[Callable[[], object]] = [
        lambda: index.rerank(query, ids),
        lambda: index.vectors(ids),
        lambda: index.get(ids),
    ]
    if ids is not None:  # which is no choice
        calls.append(lambda: index.search(query, ids=ids))
        calls.append(lambda: index.iter_vectors(ids))
        calls.append(lambda: index.delete(ids))
    for call in calls:
        with pytest.raises(QueryError, match="ids must be"):
            call()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.zeros((0, DIM), np.float32), "no tokens"),
        (np.ones((2, DIM + 1), np.float32), r"shape \(tokens, 32\)"),
        (np.ones(DIM, np.float32), "shape"),
        (np.full((1, DIM), np.nan, np.float32), "NaN"),
        (np.full((1, DIM), np.inf, np.float32), "infinite"),
        (np.full((1, DIM), 1e300), "infinite"),
        (np.full((1, DIM), 1e20, np.float32), "scale the vectors"),
        (np.vstack([np.ones(DIM), np.zeros(DIM)]), "all zeros"),
        (np.array([["x"] * DIM]), "numbers"),
    ],
)
def test_bad_query_vectors(index: Index, query: NDArray[Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        index.search(query)


@pytest.mark.parametrize("k", [0, -1, 2.5, True, None])
def test_bad_k(index: Index, documents: list[FloatMatrix], k: int) -> None:
    with pytest.raises(QueryError, match="k must be"):
        index.search(documents[0], k)


def test_k_beyond_the_corpus_returns_everything_in_order(index: Index, documents: list[FloatMatrix]) -> None:
    hits = index.search(documents[0], 10_000)
    assert len(hits) == len(documents)
    assert [hit.rank for hit in hits] == list(range(1, len(documents) + 1))
    assert all(a.score >= b.score for a, b in pairwise(hits))


@pytest.mark.parametrize("bits", BITS)
def test_ties_are_broken_by_id_whatever_the_order_in_the_index(tmp_path: Path, bits: Bits) -> None:
    same = corpus(1)[0]
    ids = [f"t{i:02d}" for i in np.random.default_rng(1).permutation(60)]
    with colstore.build_from_vectors(tmp_path / "t.colstore", ids, [same] * 60, bits=bits) as index:
        for params in (EXACT, SearchParams()):
            assert [hit.id for hit in index.search(same, 10, params=params)] == [f"t{i:02d}" for i in range(10)]


@pytest.mark.parametrize("bits", BITS)
def test_negative_similarities_count(tmp_path: Path, bits: Bits) -> None:
    query = unit(np.ones((3, DIM), np.float32))
    away = unit(-np.ones((2, DIM), np.float32) + 0.1 * np.random.default_rng(0).standard_normal((2, DIM)))
    near = unit(np.ones((5, DIM), np.float32) + 0.1 * np.random.default_rng(1).standard_normal((5, DIM)))
    with colstore.build_from_vectors(tmp_path / "n.colstore", ["away", "near"], [away, near], bits=bits) as index:
        near_hit, away_hit = index.search(query, 2)
        assert (near_hit.id, away_hit.id) == ("near", "away")
        assert away_hit.score == pytest.approx(maxsim(query, index.vectors(["away"])[0]), abs=1e-2)
        assert away_hit.score < -2.5


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dim", [7, 48])
def test_odd_dimensions_one_document_one_token(tmp_path: Path, bits: Bits, dim: int) -> None:
    row = np.random.default_rng(dim).standard_normal((1, dim)).astype(np.float32)
    with colstore.build_from_vectors(tmp_path / "o.colstore", ["only"], [row], bits=bits) as index:
        (hit,) = index.search(row, 5)
        assert hit.score == pytest.approx(float((row @ row.T)[0, 0]), rel=2e-2)


def test_queries_longer_than_one_pass(index: Index, documents: list[FloatMatrix]) -> None:
    long = np.concatenate(documents[:12])[:90]
    stored = dict(zip(names(len(documents)), index.vectors(names(len(documents))), strict=True))
    for params in (EXACT, PRUNED):
        for hit in index.search(long, 5, params=params):
            assert hit.score == pytest.approx(maxsim(long, stored[hit.id]), abs=2e-3 * len(long))


def test_several_segments_answer_as_one(
    tmp_path: Path, documents: list[FloatMatrix], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = queries(documents)[4]
    with colstore.build_from_vectors(tmp_path / "one.colstore", names(600), documents) as whole:
        expected = whole.search(query, 50, params=EXACT)
    monkeypatch.setattr("colstore.indexing.ingest.BATCH_TOKENS", 256)
    config = colstore.BuildConfig(segment_documents=100)
    with colstore.build_from_vectors(tmp_path / "many.colstore", names(600), documents, config=config) as split:
        assert split.info().segments > 5
        found = split.search(query, 50, params=EXACT)
        assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in expected]
        pruned = split.search(query, 10, params=PRUNED)
        assert len({hit.id for hit in pruned} & {hit.id for hit in expected[:10]}) >= 9


def test_tuning_finds_settings_stores_them_and_later_searches_use_them(
    tmp_path: Path, documents: list[FloatMatrix]
) -> None:
    with colstore.build_from_vectors(tmp_path / "t.colstore", names(600), documents) as index:
        report = index.tune(queries(documents), recall=0.95)
        assert report.reached
        assert not report.pseudo
        assert report.curve
        assert all(a.recall < b.recall for a, b in pairwise(report.curve))
    with colstore.open(tmp_path / "t.colstore") as again:
        tuned = again.info().tuned
        assert tuned is not None
        assert tuned["params"]["scored"] == report.params.scored  # type: ignore[index, call-overload]  # JSON
        assert again.tune(recall=0.5).pseudo


def test_searching_imports_nothing_heavy(tmp_path: Path, documents: list[FloatMatrix]) -> None:
    import subprocess
    import sys

    path = tmp_path / "light.colstore"
    colstore.build_from_vectors(path, names(600), documents).close()
    code = (
        "import sys, numpy, colstore, colstore as c; i = colstore.open(sys.argv[1]);"
        "i.search(numpy.eye(32, dtype='f4')[:4], 5, params=c.SearchParams(exact_tokens=0));"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'h5py', 'faiss', 'numba'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    for _ in range(2):  # the first may compile, hence import numba
        run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
