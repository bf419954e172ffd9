"""Reranking by id: exact, whatever the order; missing candidates; fusion; early exit; hits that read late."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import colstore
from colstore import SearchParams
from colstore.encode import FakeEncoder
from colstore.errors import ConfigError, QueryError, UnknownIdError
from colstore.rerank.stage import RerankStage
from colstore.testing import FakeReranker
from colstore.types import Hit, Passage
from tests.rerank.conftest import passage

QUERY = "bees dance by the red moon"
EVERY = [f"d{i}" for i in range(40)]


def test_all_candidates_rank_as_an_exhaustive_search_ranks_them(index: colstore.Index) -> None:
    expected = index.search(QUERY, 40, params=SearchParams(exact=True))
    assert index.rerank(QUERY, EVERY) == expected
    assert index.rerank(QUERY, EVERY[::-1], threads=2) == expected


def test_a_score_does_not_depend_on_the_other_candidates(index: colstore.Index) -> None:
    scores = {hit.id: hit.score for hit in index.rerank(QUERY, EVERY)}
    generator = np.random.default_rng(0)
    for size in (1, 2, 7, 25):
        names = generator.choice(EVERY, size, replace=False).tolist()
        found = index.rerank(QUERY, names, k=max(1, size // 2))
        assert {hit.id: hit.score for hit in found}.items() <= scores.items()
        assert [hit.id for hit in found] == sorted(names, key=lambda name: (-scores[name], name))[: len(found)]


def test_a_candidate_that_comes_twice_counts_once(index: colstore.Index) -> None:
    assert [hit.id for hit in index.rerank(QUERY, ["d3", "d1", "d3"])] == [
        hit.id for hit in index.rerank(QUERY, ["d3", "d1"])
    ]
    assert index.rerank(QUERY, []) == []


def test_unknown_candidates_are_an_error_that_names_them(index: colstore.Index) -> None:
    with pytest.raises(UnknownIdError, match=r"2 of 3 candidates .*'x', 'y'.*missing='last'"):
        index.rerank(QUERY, ["d1", "x", "y"])


def test_unknown_candidates_stay_last_in_their_order(index: colstore.Index) -> None:
    found = index.rerank(QUERY, ["y", "d1", "x", "d2"], missing="last")
    assert [hit.id for hit in found[2:]] == ["y", "x"]
    assert [hit.stage for hit in found] == ["maxsim", "maxsim", "missing", "missing"]
    assert [hit.rank for hit in found] == [1, 2, 3, 4]
    assert found[1].score > found[2].score > found[3].score
    assert [hit.id for hit in index.rerank(QUERY, ["y", "x"], missing="last")] == ["y", "x"]
    assert len(index.rerank(QUERY, ["y", "d1", "x", "d2"], missing="last", k=3)) == 3


def test_unknown_candidates_are_encoded_as_if_they_were_stored(index: colstore.Index) -> None:
    texts = {f"copy{i}": f"title{i} {passage(i)}" for i in range(5)}
    found = index.rerank(QUERY, [*EVERY, *texts, "nothing"], missing="score", texts=texts)
    scores = {hit.id: hit for hit in found}
    for i in range(5):
        assert scores[f"copy{i}"].score == pytest.approx(scores[f"d{i}"].score, abs=5e-3)
        assert scores[f"copy{i}"].stage == "encoded"
        assert scores[f"copy{i}"].text == texts[f"copy{i}"]
    assert found[-1].id == "nothing"
    assert found[-1].stage == "missing"


def test_unknown_candidates_are_read_by_the_reranker_where_there_is_one(index: colstore.Index) -> None:
    def text_of(name: str) -> str | None:
        return QUERY if name == "answer" else None

    stage = RerankStage(FakeReranker(), policy="missing")
    found = index.rerank(QUERY, [*EVERY[:10], "answer", "x"], missing="score", texts=text_of, reranker=stage)
    stages = {hit.id: hit.stage for hit in found}
    assert stages.pop("answer") == "fake"
    assert stages.pop("x") == "missing"
    assert set(stages.values()) == {"maxsim"}
    assert found[-1].id == "x"


def test_scoring_by_text_needs_texts(index: colstore.Index) -> None:
    with pytest.raises(ConfigError, match="texts"):
        index.rerank(QUERY, ["d1"], missing="score")
    with pytest.raises(ConfigError, match="missing must be one of"):
        index.rerank(QUERY, ["d1"], missing="perhaps")  # type: ignore[arg-type]  # on purpose


def test_fusion_with_the_first_stage(index: colstore.Index) -> None:
    plain = [hit.id for hit in index.rerank(QUERY, EVERY)]
    scores = [float(-i) for i in range(40)]
    first = index.rerank(QUERY, EVERY, scores=scores, fusion="interpolate:0.0")
    assert [hit.id for hit in first] == EVERY
    assert {hit.stage for hit in first} == {"maxsim+first-stage"}
    assert [hit.id for hit in index.rerank(QUERY, EVERY, scores=scores, fusion="interpolate:1.0")] == plain
    by_rank = index.rerank(QUERY, EVERY, fusion="rrf")
    expected = {name: 1 / (61 + EVERY.index(name)) + 1 / (61 + plain.index(name)) for name in EVERY}
    assert {hit.id: hit.score for hit in by_rank} == pytest.approx(expected)


def test_first_stage_scores_that_do_not_fit_are_refused(index: colstore.Index) -> None:
    with pytest.raises(QueryError, match="needs the first stage's scores"):
        index.rerank(QUERY, ["d1"], fusion="interpolate")
    for scores in ([1.0], [1.0, float("nan")]):
        with pytest.raises(QueryError, match="one finite score"):
            index.rerank(QUERY, ["d1", "d2"], scores=scores)
    with pytest.raises(QueryError, match="list of strings"):
        index.rerank(QUERY, "d1")


def test_early_exit_finds_the_same_where_the_first_stage_is_right(index: colstore.Index) -> None:
    best = [hit.id for hit in index.rerank(QUERY, EVERY)]
    found = index.rerank(QUERY, best, k=5, early_exit=3)
    assert [hit.id for hit in found] == best[:5]
    patient = index.rerank(QUERY, best[::-1], k=5, early_exit=1000)
    assert [hit.id for hit in patient] == best[:5]


def test_early_exit_keeps_the_first_stages_order_behind_it(index: colstore.Index) -> None:
    best = [hit.id for hit in index.rerank(QUERY, EVERY)]
    order = [best[0], best[30], best[31], *best[1:30], *best[32:]]
    found = index.rerank(
        QUERY, order, k=1, early_exit=2, reranker=RerankStage(FakeReranker(), depth=40, policy="never")
    )
    assert found[0].id == best[0]
    whole = colstore.search.candidates.rerank(
        index._live(), index._session().encode(QUERY), order, colstore.search.candidates.RerankOptions(1, early_exit=2)
    )
    assert [hit.id for hit in whole][3:] == order[3:]
    assert {hit.stage for hit in whole[3:]} == {"first-stage"}
    with pytest.raises(ConfigError, match="needs k"):
        index.rerank(QUERY, order, early_exit=2)


def test_deleted_documents_are_missing(changing: colstore.Index) -> None:
    changing.delete(["d3"])
    with pytest.raises(UnknownIdError):
        changing.rerank(QUERY, ["d3", "d4"])
    assert [hit.id for hit in changing.rerank(QUERY, ["d3", "d4"], missing="last")] == ["d4", "d3"]


def test_candidates_in_several_segments(changing: colstore.Index) -> None:
    changing.add([colstore.Document(f"new{i}", passage(i + 20)) for i in range(5)])
    names = [f"d{i}" for i in range(20)] + [f"new{i}" for i in range(5)]
    assert changing.rerank(QUERY, names[::-1]) == changing.search(QUERY, 25, params=SearchParams(exact=True))


def test_hits_read_their_texts_late_and_after_closing(stored: object) -> None:
    with colstore.open(stored, encoder=FakeEncoder()) as opened:  # type: ignore[arg-type]  # a path
        hits = opened.rerank(QUERY, ["d7", "d8", "d9"])
        early = dict(opened.search(QUERY, 3)[0])
    by_id = {hit.id: hit for hit in hits}
    assert by_id["d7"].text == passage(7)
    assert by_id["d7"].title == "title7"
    assert by_id["d8"]["metadata"] == {"n": 8}
    assert set(early) == {"rank", "id", "score", "similarity", "title", "text", "metadata", "stage", "passage"}
    for again in (copy.copy(by_id["d9"]), pickle.loads(pickle.dumps(by_id["d9"])), replace(by_id["d9"])):
        assert again == by_id["d9"]
        whole = Passage(passage(9), 0, len(passage(9)), 0)
        assert again.placed(5, 1.0, "x") == Hit(
            5, "d9", 1.0, by_id["d9"].similarity, "title9", passage(9), {"n": 9}, "x", whole
        )
    with pytest.raises(AttributeError):
        _ = by_id["d9"].nothing  # type: ignore[attr-defined]  # on purpose


def test_reranking_reads_no_texts(index: colstore.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a text was read")

    monkeypatch.setattr("colstore.store.segment_reader.Segment.title_and_text", refuse)
    assert len(index.rerank(QUERY, EVERY)) == 40


def test_a_stage_behind_search_and_search_many(index: colstore.Index) -> None:
    fake = FakeReranker()
    found = index.search("word3 word4", 3, reranker=fake)
    assert {hit.id for hit in found[:2]} == {"d3", "d4"}
    assert {hit.stage for hit in found} == {"fake"}
    assert index.search_many(["word3 word4", QUERY], 3, reranker=fake) == [found, index.search(QUERY, 3, reranker=fake)]
    assert index.rerank("word3 word4", EVERY, k=3, reranker=RerankStage(fake, depth=40)) == found
    with pytest.raises(QueryError, match="read texts"):
        index.search(np.ones((2, index.dim)), 3, reranker=fake)


@pytest.mark.parametrize("store_texts", [True, False])
def test_texts_that_are_not_stored_are_a_named_error(tmp_path: Path, store_texts: bool) -> None:
    rows = np.eye(4, dtype=np.float32)
    path = tmp_path / "vectors.colstore"
    with colstore.build_from_vectors(path, ["a"], [rows], store_texts=store_texts) as bare:
        hits = bare.search(rows, 1)
    with pytest.raises(QueryError, match="no text of document 'a'"):
        RerankStage(FakeReranker()).rank("question", hits)


def test_calibrating_stores_a_threshold_that_uncertain_then_uses(changing: colstore.Index) -> None:
    stage = RerankStage(FakeReranker(), policy="uncertain", depth=20)
    with pytest.raises(ConfigError, match="calibrate"):
        changing.search(QUERY, 3, reranker=stage)
    queries = [f"word{i} {passage(i)[:9]}" for i in range(20)]
    found = changing.calibrate(queries, stage, k=3, keep=0.9)
    assert found.retained >= 0.9
    assert len(changing.search(QUERY, 3, reranker=stage)) == 3
    changing.tune(queries, recall=0.9, k=3)
    again = colstore.open(changing.path, encoder=FakeEncoder())
    assert again.search(QUERY, 3, reranker=stage) == changing.search(QUERY, 3, reranker=stage)
    again.close()
    judged = [{f"d{i}": 1} for i in range(20)]
    assert changing.calibrate(queries, stage, k=3, judgements=judged).with_judgements
    with pytest.raises(QueryError, match="judgements"):
        changing.calibrate(queries, stage, judgements=judged[:3])
