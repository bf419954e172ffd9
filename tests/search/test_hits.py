"""Hits: similarity, equality and hashes, copies, and tables for notebooks."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import colstore
from colstore import Document, Hit, Hits, RerankStage
from colstore.testing import FakeEncoder, FakeReranker
from tests.rerank.conftest import passage

MARKUP = "<script>alert('x')</script> & \"quoted\""


def test_similarity_is_the_score_over_the_tokens_of_the_query(index: colstore.Index) -> None:
    query = "bees dance moon"
    for hit in [*index.search(query, 5), *index.rerank(query, ["d1", "d2"])]:
        assert hit.stage == "maxsim"
        assert hit.similarity is not None
        assert hit.similarity == pytest.approx(hit.score / 3)
        assert -1 <= hit.similarity <= 1 + 1e-3
    vectors = index.encoder.encode_queries([query])[0]
    assert [hit.similarity for hit in index.search(vectors, 5)] == [hit.similarity for hit in index.search(query, 5)]


def test_a_document_is_as_similar_to_itself_as_can_be(index: colstore.Index) -> None:
    best = index.search(f"title3 {passage(3)}", 1)[0]
    assert best.id == "d3"
    assert best.similarity == pytest.approx(1, abs=0.02)


def test_later_stages_keep_the_similarity(index: colstore.Index) -> None:
    query, ids = "bees dance moon", [f"d{i}" for i in range(10)]
    similarities = {hit.id: hit.similarity for hit in index.rerank(query, ids)}
    for hits in (
        index.rerank(query, ids, fusion="reciprocal"),
        index.rerank(query, ids, reranker=FakeReranker()),
        index.rerank(query, ids, reranker=RerankStage(FakeReranker(), depth=3, fusion=colstore.Fusion("interpolate"))),
    ):
        assert {hit.id: hit.similarity for hit in hits} == similarities
        assert {hit.stage for hit in hits} != {"maxsim"}


def test_what_maxsim_has_not_scored_has_no_similarity(index: colstore.Index) -> None:
    missing = index.rerank("bees dance", ["d1", "nowhere"], missing="last")
    assert [hit.similarity is None for hit in missing] == [False, True]
    best = [hit.id for hit in index.rerank("bees dance", [f"d{i}" for i in range(40)])]
    early = index.rerank(
        "bees dance", best, k=1, early_exit=2, reranker=RerankStage(FakeReranker(), depth=40, policy="never")
    )
    assert early[0].similarity is not None
    texts = {"copy": f"title1 {passage(1)}"}
    encoded, _ = index.rerank("bees dance", ["copy", "nowhere"], missing="score", texts=texts)
    stored = index.rerank("bees dance", ["d1"])[0]
    assert encoded.similarity == pytest.approx(stored.similarity, abs=5e-3)


def test_hits_are_equal_by_value_and_have_the_hash_that_goes_with_it(index: colstore.Index) -> None:
    one, again = index.search("bees dance", 3), index.search("bees dance", 3)
    assert one == again
    assert set(one) == set(again)
    assert len({*one, *again}) == 3
    assert one[0] == dict(one[0])
    assert hash(one[0].placed(9, 0.0, "x")) != hash(one[0])
    for same in (copy.copy(one[0]), copy.deepcopy(one[0]), pickle.loads(pickle.dumps(one[0])), Hit(**one[0])):
        assert same == one[0]
        assert hash(same) == hash(one[0])


def test_hashing_reads_no_texts(index: colstore.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a text was read")

    monkeypatch.setattr("colstore.store.segment_reader.Segment.title_and_text", refuse)
    assert len(set(index.search("bees dance", 10))) == 10


def test_the_fields_come_in_one_order_everywhere(index: colstore.Index) -> None:
    fields = ["rank", "id", "score", "similarity", "title", "text", "metadata", "stage", "passage"]
    hit = index.search("bees dance", 1)[0]
    assert list(hit) == fields
    assert list(hit.to_json()) == fields
    assert json.loads(json.dumps(hit.to_json())) == dict(hit)
    assert Hit(1, "d", 2.0, 0.5, "title", "text", {"n": 1}, "maxsim").to_json() == {
        "rank": 1,
        "id": "d",
        "score": 2.0,
        "similarity": 0.5,
        "title": "title",
        "text": "text",
        "metadata": {"n": 1},
        "stage": "maxsim",
        "passage": None,
    }


def test_searches_return_lists_that_are_tables_in_notebooks(index: colstore.Index) -> None:
    lists = [
        index.search("bees", 3),
        index.search_many(["bees"], 3)[0],
        index.rerank("bees", ["d1", "d2"]),
        index.search("bees", 3, reranker=FakeReranker()),
        next(index.rerank_run({"q": ["d1"]}, {"q": "bees"}))[1],
        index.search("bees", 3, where={"n": -1}),
    ]
    for hits in lists:
        assert isinstance(hits, Hits)
        assert isinstance(hits[:1], Hits)
        assert hits == list(hits)
        assert hits._repr_html_().count("<tr>") == len(hits) + 1


def test_everything_in_a_table_is_escaped(tmp_path: Path) -> None:
    documents = [Document(MARKUP, f"ships {MARKUP}", title=MARKUP, metadata={MARKUP: MARKUP})]
    path = tmp_path / "a <b> &.colstore"
    with colstore.build(path, documents, model=FakeEncoder()) as index:
        for html in (index.search("ships", 1)._repr_html_(), index._repr_html_()):  # type: ignore[attr-defined]  # Hits
            assert "<script" not in html
            assert "<b>" not in html
            assert '"quoted' not in html.replace("&quot;quoted", "")
        assert "&lt;script&gt;" in index.search("ships", 1)._repr_html_()  # type: ignore[attr-defined]  # Hits
        assert "a &lt;b&gt; &amp;.colstore" in index._repr_html_()
        assert "<b>" not in index.info()._repr_html_()
    assert "<b>" not in index._repr_html_()


def test_long_texts_and_lone_surrogates_in_a_table() -> None:
    html = Hits([Hit(1, "\ud800", 1.0, text="long " * 1000)])._repr_html_()
    html.encode("utf-8")
    assert len(html) < 1000


def test_the_summaries_of_an_index_are_short(index: colstore.Index) -> None:
    assert len(repr(index.info())) < 300
    assert "40 documents" in repr(index.info())


def test_query_vectors_from_torch(index: colstore.Index) -> None:
    import torch

    vectors = index.encoder.encode_queries(["bees dance moon"])[0]
    expected = index.search(vectors, 5)
    tensor = torch.from_numpy(vectors.copy())
    assert index.search(tensor, 5) == expected  # type: ignore[arg-type]  # a tensor
    assert index.search(tensor.requires_grad_(), 5) == expected  # type: ignore[arg-type]  # a tensor
    assert index.search(vectors.tolist(), 5) == expected
    half = index.search(tensor.detach().to(torch.bfloat16), 5)  # type: ignore[arg-type]  # a tensor
    np.testing.assert_allclose([hit.score for hit in half], [hit.score for hit in expected], atol=0.05)


def test_integers_of_numpy_count_wherever_integers_do(index: colstore.Index) -> None:
    three = np.int64(3)
    params = colstore.SearchParams(probes=three, candidates=np.int32(8), scored=np.uint8(8), k=three)  # type: ignore[arg-type]
    assert type(params.probes) is int
    assert len(index.search("bees", three, params=params, threads=np.int64(1))) == 3  # type: ignore[arg-type]
    assert len(index.search_many(["bees"], k=three, threads=three)[0]) == 3  # type: ignore[arg-type]
    assert len(index.rerank("bees", ["d1", "d2", "d3", "d4"], k=three, early_exit=np.int64(9))) == 3  # type: ignore[arg-type]
    stage = RerankStage(FakeReranker(), depth=np.int64(4), max_pairs=np.int16(2))  # type: ignore[arg-type]
    assert len(index.search("bees", 3, reranker=stage)) == 3


def test_search_many_takes_any_iterable(index: colstore.Index) -> None:
    expected = index.search_many(["bees", "moon"], 3)
    assert index.search_many((text for text in ["bees", "moon"]), 3) == expected
    assert index.search_many({"a": "bees", "b": "moon"}.values(), 3) == expected
