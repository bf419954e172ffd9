"""The whole comparison on a corpus of 24 documents, with a fake encoder and fake rerankers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.encode import FakeEncoder
from colstore.errors import ConfigError, CorpusError, EncoderError, MissingDependencyError, VectorError
from colstore.evaluate import CompareConfig, Comparison, compare
from colstore.reports import Progress
from colstore.rerank.rerankers import CallableReranker
from colstore.types import Document

module = import_module("colstore.evaluate.compare")  # the package has the function under this name

Corpus = list[dict[str, str]]
Queries = dict[str, str]
Qrels = dict[str, dict[str, int]]


class Counting(FakeEncoder):
    """Counts the documents that it is asked for."""

    documents = 0

    def encode_documents(self, texts: Sequence[str]) -> Any:
        self.documents += len(texts)
        return super().encode_documents(texts)


class FakeBiEncoder:
    """The sum of the fake word vectors: not of length 1."""

    name = "bi"

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([text.vectors.sum(axis=0) for text in FakeEncoder().encode_documents(texts)])

    def query_vector(self, text: str) -> NDArray[np.float32]:
        return np.asarray(self.vectors([text])[0])


def knows_second(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Prefer passages that share words with the query, and among them the second of a subject."""
    return [len(set(query.split()) & set(passage.split())) + ("second" in passage) for query, passage in pairs]


@pytest.fixture(scope="module")
def found(corpus: Corpus, queries: Queries, qrels: Qrels) -> Comparison:
    encoder = Counting()
    made = compare(
        corpus,
        queries,
        qrels,
        model=encoder,
        cross_encoder=CallableReranker(knows_second, "knows"),
        config=CompareConfig(bits=(16, 4, 1), pool_factors=(2,), k=10, rerank_depth=6),
    )
    assert encoder.documents == len(corpus)  # once, for all rows
    return made


def test_every_row_is_there_in_order(found: Comparison) -> None:
    assert [row.key for row in found.rows] == [
        "bm25",
        "mean",
        "exact",
        "16-bit",
        "4-bit",
        "1-bit",
        "pool-2",
        "bm25-maxsim",
        "cross-always",
        "cross-uncertain",
    ]
    assert found.notes == []
    assert found.documents == 24
    assert len(found.queries) == 8
    json.dumps(found.to_json())


def test_figures_of_late_interaction_agree_with_exact_scoring(found: Comparison) -> None:
    exact, stored = found.row("exact"), found.row("16-bit")
    assert exact.yardstick
    assert exact.agreement == 1
    assert stored.agreement == 1
    assert stored.ndcg == pytest.approx(exact.ndcg)
    assert found.row("1-bit").bytes_per_document < stored.bytes_per_document
    assert exact.bytes_per_document == pytest.approx(4 * 32 * found.tokens / 24)


def test_every_row_has_times_and_sizes(found: Comparison) -> None:
    for row in found.rows:
        assert 0 < row.latency.median <= row.latency.p95
        assert row.bytes_per_document > 0
        assert (row.encode_seconds > 0) == (row.key != "bm25")
        assert (row.latency.encode > 0) == (row.key != "bm25")
        assert len(found.runs[row.key]) == 8
        assert all(len(ranking) <= 10 for ranking in found.runs[row.key].values())


def test_the_cross_encoder_reads_what_its_policy_says(found: Comparison) -> None:
    always, uncertain = found.row("cross-always"), found.row("cross-uncertain")
    assert always.pairs == 6
    assert 0 <= uncertain.pairs <= always.pairs
    assert always.base == "4-bit"
    assert always.ndcg >= found.row("4-bit").ndcg


def test_the_same_seed_gives_the_same_rankings(corpus: Corpus, queries: Queries, qrels: Qrels) -> None:
    plan = CompareConfig(bits=(4,), pool_factors=(), k=5, skip=("bm25",))
    one, other = (compare(corpus, queries, qrels, model=FakeEncoder(), config=plan) for _ in range(2))
    assert one.runs == other.runs
    assert [row.intervals for row in one.rows] == [row.intervals for row in other.rows]


def test_a_bi_encoder_takes_the_row_of_one_vector(corpus: Corpus, queries: Queries, qrels: Qrels) -> None:
    plan = CompareConfig(bits=(4,), pool_factors=(), skip=("exact", "4-bit", "bm25-maxsim"))
    made = compare(corpus, queries, qrels, model=FakeEncoder(), bi_encoder=FakeBiEncoder(), config=plan)
    assert [row.key for row in made.rows] == ["bm25", "mean"]
    assert made.settings["bi_encoder"] == "bi"
    scores = [score for _, score in made.runs["mean"]["q0"]]
    assert max(scores) <= 1.0001  # cosine, though its vectors are longer
    assert made.rows[0].agreement is None


def test_vectors_alone_leave_out_what_needs_texts(queries: Queries, qrels: Qrels, corpus: Corpus) -> None:
    encoder = FakeEncoder()
    texts = encoder.encode_documents([document["text"] for document in corpus])
    given = [Document(document["id"], vectors=text.vectors) for document, text in zip(corpus, texts, strict=True)]
    asked = dict(zip(queries, encoder.encode_queries(list(queries.values())), strict=True))
    made = compare(given, asked, qrels, model=None, config=CompareConfig(bits=(4,), pool_factors=()))
    assert [row.key for row in made.rows] == ["mean", "exact", "4-bit"]
    assert len(made.notes) == 2
    assert made.notes[0] == "BM25 was left out: it needs the texts of documents and queries"
    assert all(row.encode_seconds == 0 and row.latency.encode == 0 for row in made.rows)


def test_a_missing_package_leaves_one_way_out(
    corpus: Corpus, queries: Queries, qrels: Qrels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> None:
        raise MissingDependencyError("pip install this")

    monkeypatch.setattr(module, "words", missing)
    made = compare(
        corpus,
        queries,
        qrels,
        model=FakeEncoder(),
        config=CompareConfig(bits=(4,), pool_factors=(), skip=("bm25-maxsim",)),
    )
    assert "bm25" not in {row.key for row in made.rows}
    assert made.notes == ["BM25 was left out: pip install this"]


def test_kept_vectors_are_not_encoded_again(tmp_path: Path, corpus: Corpus, queries: Queries, qrels: Qrels) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps(document) + "\n" for document in corpus))
    plan = CompareConfig(bits=(4,), pool_factors=(), skip=("bm25", "4-bit", "bm25-maxsim"))
    first, second = Counting(), Counting()
    kept = tmp_path / "kept"
    one = compare(file, queries, qrels, model=first, config=plan, keep_vectors=kept)
    other = compare(file, queries, qrels, model=second, config=plan, keep_vectors=kept)
    assert (first.documents, second.documents) == (24, 0)
    assert one.runs == other.runs
    assert other.rows[0].encode_seconds == one.rows[0].encode_seconds > 0
    with pytest.raises(ConfigError, match="another corpus or model"):
        compare(file, queries, qrels, model=FakeEncoder(seed=1), config=plan, keep_vectors=kept)
    with pytest.raises(ConfigError, match="corpus on disk only"):
        compare(corpus, queries, qrels, model=FakeEncoder(), config=plan, keep_vectors=kept)


def test_at_most_so_many_queries_are_drawn(corpus: Corpus, queries: Queries, qrels: Qrels) -> None:
    plan = CompareConfig(bits=(4,), pool_factors=(), max_queries=3, skip=("bm25", "bm25-maxsim", "4-bit"))
    one = compare(corpus, queries, qrels, model=FakeEncoder(), config=plan)
    other = compare(corpus, queries, qrels, model=FakeEncoder(), config=plan)
    assert len(one.queries) == 3
    assert one.queries == other.queries
    assert one.coverage.unjudged_queries == 0


def test_progress_is_told_stage_by_stage(corpus: Corpus, queries: Queries, qrels: Qrels) -> None:
    seen: list[Progress] = []
    compare(
        corpus,
        queries,
        qrels,
        model=FakeEncoder(),
        config=CompareConfig(bits=(4,), pool_factors=()),
        progress=seen.append,
    )
    stages = list(dict.fromkeys(progress.stage for progress in seen))
    assert stages[:4] == ["encode", "BM25", "one vector", "exact MaxSim"]
    assert any(stage.startswith("build 4 bits: ") for stage in stages)
    assert stages[-1] == "BM25, then MaxSim"


@pytest.mark.parametrize("error", [KeyboardInterrupt, CorpusError("broken")])
def test_temporary_files_go_whatever_happens(
    tmp_path: Path, corpus: Corpus, queries: Queries, qrels: Qrels, error: Any
) -> None:
    def interrupted(_: object) -> Any:
        assert list(tmp_path.iterdir())
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "exact", interrupted)
        with pytest.raises((KeyboardInterrupt, CorpusError)):
            compare(corpus, queries, qrels, model=FakeEncoder(), config=CompareConfig(bits=(4,)), work_folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_does_not_belong_together(corpus: Corpus, queries: Queries, qrels: Qrels) -> None:
    mixed: dict[str, str | NDArray[np.float64]] = {"q0": "bees", "q1": np.eye(2)}
    with pytest.raises(CorpusError, match="none of the 1 relevant documents of the qrels is in the corpus"):
        compare(corpus, queries, {"q0": {"elsewhere": 1}}, model=FakeEncoder())
    with pytest.raises(CorpusError, match="none of the 8 queries"):
        compare(corpus, queries, {"other": {"bees-1": 1}}, model=FakeEncoder())
    with pytest.raises(EncoderError, match="no model"):
        compare([Document("bees-1", vectors=np.eye(3))], queries, qrels, model=None)
    with pytest.raises(VectorError, match="'q0' has vectors of shape"):
        compare([Document("bees-1", vectors=np.eye(3))], {"q0": np.eye(2)}, qrels, model=None)
    with pytest.raises(ConfigError, match="all texts or all token vectors"):
        compare(corpus, mixed, qrels, model=FakeEncoder())


def test_documents_that_are_skipped_are_told(queries: Queries, qrels: Qrels, corpus: Corpus) -> None:
    broken = [*corpus, {"id": "bees-1", "text": "twice"}, {"id": "empty", "text": ""}, {"text": "no id"}]
    plan = CompareConfig(bits=(4,), pool_factors=(), skip=("bm25", "4-bit", "bm25-maxsim"))
    made = compare(
        broken, queries, qrels, model=FakeEncoder(max_tokens=6), config=plan, on_error="skip", on_duplicate="skip"
    )
    assert made.documents == 24
    told = " / ".join(made.notes)
    assert "a second time" in told
    assert "empty" in told
    assert "could not be read" in told
    assert "longer than the model reads" in told


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": ()}, "bits must be some of"),
        ({"bits": (3,)}, "bits must be some of"),
        ({"pool_factors": (1,)}, "pool factors must exceed 1"),
        ({"k": 0}, "k must be at least 1"),
        ({"skip": ("everything",)}, "no row is called 'everything'"),
    ],
)
def test_plans_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CompareConfig(**settings)


def test_the_main_codec_is_the_default_of_a_build_where_it_is_tried() -> None:
    assert CompareConfig().main == 4
    assert CompareConfig(bits=(8, 2)).main == 8
