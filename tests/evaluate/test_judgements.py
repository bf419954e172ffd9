"""Judgements twice, queries that are documents themselves, runs and queries in memory, and layouts of saved runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore.corpus import Query, RunLine
from colstore.corpus.run_layout import layout_for
from colstore.encode import FakeEncoder
from colstore.errors import ConfigError, CorpusError, DuplicateIdError, QueryError
from colstore.evaluate import CompareConfig, compare, evaluate_index, evaluate_run, load_qrels, load_run, save_run
from colstore.types import EncodedText

CLAIMS = ("zoos keep animals behind bars", "sugar deserves a tax", "uniforms hide poverty")
CORPUS = [
    {"id": f"{i} {side}", "text": f"{claim} {side}{i}"} for i, claim in enumerate(CLAIMS) for side in ("pro", "con")
]
QUERIES = {row["id"]: row["text"] for row in CORPUS if row["id"].endswith("pro")}
QRELS = {f"{i} pro": {f"{i} con": 1} for i in range(3)}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> colstore.Index:
    return colstore.build(tmp_path_factory.mktemp("claims") / "i.colstore", CORPUS, model=FakeEncoder(32), bits=16)


def test_a_query_that_is_a_document_is_noted_and_can_be_left_out(index: colstore.Index) -> None:
    found = evaluate_index(index, QUERIES, QRELS, k=3)
    assert found["MRR@10"] == 0.5
    assert found.coverage.identical_ids == 3
    (note,) = found.coverage.notes()
    assert "own id" in note
    assert "ignore_identical_ids=True" in note
    without = evaluate_index(index, QUERIES, QRELS, k=3, ignore_identical_ids=True)
    assert without["MRR@10"] == 1.0
    assert (without.coverage.identical_ids, without.coverage.ignored_identical_ids) == (0, 3)
    assert {len(ranking) for ranking in without.run.values()} == {3}  # one more was searched for
    again = evaluate_run(found.run, QRELS, baseline=found.run, ignore_identical_ids=True)
    assert again["MRR@10"] == 1.0
    assert again.differences["MRR@10"].mean == 0


def test_its_own_document_may_be_judged_relevant(index: colstore.Index) -> None:
    found = evaluate_index(index, QUERIES, {name: {name: 1} for name in QUERIES}, k=3)
    assert found.coverage.notes() == []


def test_ids_that_agree_by_chance_and_rank_low_are_not_noted() -> None:
    run = {"7": [(str(number), -float(number)) for number in range(100, 111)] + [("7", -200.0)]}
    assert evaluate_run(run, {"7": {"100": 1}}).coverage.identical_ids == 0


def test_a_comparison_leaves_them_out_in_every_row(index: colstore.Index) -> None:
    config = CompareConfig(bits=(8,), pool_factors=(), k=2, skip=("mean",))
    rows = {True: 1.0, False: 0.5}
    for ignore, expected in rows.items():
        found = compare(
            CORPUS, QUERIES, QRELS, model=FakeEncoder(32), config=config, ignore_identical_ids=ignore, samples=100
        )
        assert {row.intervals["MRR@10"].mean for row in found.rows if row.key in ("exact", "8-bit")} == {expected}
        assert all(len(ranking) <= 2 for run in found.runs.values() for ranking in run.values())
        assert (found.coverage.identical_ids, found.coverage.ignored_identical_ids) == ((0, 3) if ignore else (3, 0))


def test_a_pair_judged_twice_with_two_grades(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_text("q\td\t1\nq\td\t2\nq\te\t1\n")
    with pytest.raises(DuplicateIdError, match=r"test\.tsv:2"):
        load_qrels(path)
    run = {"q": [("d", 2.0)]}
    found = evaluate_run(run, path, on_duplicate="skip")
    assert found.coverage.duplicate_judgements == 1
    assert "judged before" in found.coverage.notes()[0]
    with pytest.raises(DuplicateIdError):
        evaluate_run(run, path)
    with pytest.raises(ConfigError, match="on_duplicate"):
        evaluate_run(run, path, on_duplicate="replace")  # type: ignore[arg-type]  # what this test is about


def test_a_document_twice_in_a_run(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    path.write_text("q Q0 d 1 3.0 x\nq Q0 d 2 2.0 x\nq Q0 e 3 1.0 x\n")
    twice: list[Any] = [path, {"q": [("d", 3.0), ("d", 2.0), ("e", 1.0)]}]
    for run in twice:
        with pytest.raises(DuplicateIdError, match="skip"):
            evaluate_run(run, {"q": {"e": 1}})
        assert evaluate_run(run, {"q": {"e": 1}}, on_duplicate="skip")["MRR@10"] == 0.5


def test_runs_in_memory_in_every_usual_form(index: colstore.Index) -> None:
    expected = {"0 pro": [("1 con", 2.0), ("0 con", 1.0)]}
    lines = [RunLine("0 pro", "1 con", 1, 2.0), RunLine("0 pro", "0 con", 2, 1.0)]
    forms: list[Any] = [
        expected,
        {"0 pro": {"0 con": 1.0, "1 con": 2.0}},
        {"0 pro": [["1 con", np.float32(2)], ["0 con", 1]]},
        {"0 pro": lines},
        [("0 pro", lines)],
    ]
    for form in forms:
        assert load_run(form) == expected
    assert [name for name, _ in load_run({"q": ["b", "a"]})["q"]] == ["b", "a"]
    hits = dict(zip(QUERIES, index.search_many(QUERIES.values()), strict=True))
    assert evaluate_run(hits, QRELS)["MRR@10"] == 0.5
    reranked = index.rerank_run({name: ["0 con", "1 con", "2 con"] for name in QUERIES}, QUERIES)
    assert evaluate_run(reranked, QRELS)["MRR@10"] == 1.0


@pytest.mark.parametrize("run", [{"q": "d"}, {"q": 3}, {"q": [3]}, {"q": [("d", "high")]}, 3])
def test_runs_that_are_something_else(run: Any) -> None:
    with pytest.raises(CorpusError, match="run"):
        load_run(run)


def test_grades_in_memory() -> None:
    assert load_qrels({1: {"d": np.int64(2), 7: 1.0, "e": True}}) == {"1": {"d": 2, "7": 1, "e": 1}}  # type: ignore[dict-item]
    for wrong in ([("q", "d", 1)], {"q": ["d"]}, {"q": {"d": 0.5}}, {"q": {"d": "1"}}, {"q": {"d": float("nan")}}):
        with pytest.raises(CorpusError):
            load_qrels(wrong)  # type: ignore[arg-type]  # what this test is about


def test_queries_in_memory(index: colstore.Index) -> None:
    import torch

    vectors = {name: FakeEncoder(32).encode_queries([text])[0] for name, text in QUERIES.items()}
    tensors = {name: torch.tensor(rows, requires_grad=True) for name, rows in vectors.items()}
    lists = {name: rows.tolist() for name, rows in vectors.items()}
    objects = [Query(name, text) for name, text in QUERIES.items()]
    for queries in (vectors, tensors, lists, objects):
        assert evaluate_index(index, queries, QRELS, k=3)["MRR@10"] == 0.5  # type: ignore[arg-type]  # a list of each kind
    for wrong in ({"0 pro": " "}, {"0 pro": None}, {"0 pro": {"text": "x"}}, ["text"], 3):
        with pytest.raises(QueryError):
            evaluate_index(index, wrong, QRELS)  # type: ignore[arg-type]  # what this test is about


class Limited(FakeEncoder):
    """Reads three words of a query."""

    def encode_query_texts(self, texts: Sequence[str]) -> list[EncodedText]:
        return [EncodedText(self.encode_queries([text])[0], len(text.split()) > 5, "tax" in text) for text in texts]


def test_queries_that_the_model_cannot_read_are_counted(index: colstore.Index) -> None:
    with colstore.open(index.path, encoder=Limited(32)) as opened:
        coverage = evaluate_index(opened, QUERIES, QRELS).coverage
    assert (coverage.truncated_queries, coverage.unreadable_queries) == (1, 1)
    assert "1 query is longer than the model reads" in " / ".join(coverage.notes())
    config = CompareConfig(bits=(8,), pool_factors=(), k=2, skip=("mean", "bm25", "bm25-maxsim"))
    found = compare(CORPUS, QUERIES, QRELS, model=Limited(32), config=config, samples=100)
    assert (found.coverage.truncated_queries, found.coverage.unreadable_queries) == (1, 1)


def test_the_layout_of_a_saved_run(tmp_path: Path) -> None:
    run = {"q": [("two  words", 1.0)]}
    with pytest.raises(CorpusError, match="jsonl"):
        save_run(tmp_path / "run.trec", run)
    assert not (tmp_path / "run.trec").exists()
    for path, layout in ((tmp_path / "a.jsonl", None), (tmp_path / "b.jsonl.gz", None), (tmp_path / "c.trec", "jsonl")):
        save_run(path, run, layout=layout)
        assert load_run(path) == run
    with pytest.raises(ConfigError, match="layout"):
        layout_for("x", "json")


def test_runs_of_a_comparison_are_json_lines_where_ids_hold_spaces(tmp_path: Path) -> None:
    config = CompareConfig(bits=(8,), pool_factors=(), k=2, skip=("mean", "bm25", "bm25-maxsim"))
    found = compare(CORPUS, QUERIES, QRELS, model=FakeEncoder(32), config=config, samples=100)
    notes = colstore.save_comparison(found, tmp_path, runs=True)
    assert any("jsonl" in note for note in notes)
    assert load_run(tmp_path / "runs" / "exact.jsonl") == found.runs["exact"]
