"""Whole runs: as each query alone, streaming, and with named errors."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import colstore
from colstore.corpus import Query, RunLine
from colstore.errors import ConfigError, CorpusError, DuplicateIdError, QueryError, UnknownIdError
from colstore.search.runs import AT_ONCE
from colstore.testing import FakeReranker

QUERIES = {"q1": "bees dance", "q2": "red moon", "q3": "iron rust"}


def trec(path: Path, lines: list[tuple[str, str, int, float]]) -> Path:
    text = "".join(f"{query} Q0 {doc} {rank} {score} bm25\n" for query, doc, rank, score in lines)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


LINES = [(query, f"d{i}", rank, 10.0 - rank) for query in QUERIES for rank, i in enumerate([5, 9, 2, 30], start=1)]


@pytest.mark.parametrize("name", ["run.trec", "run.trec.gz"])
def test_a_run_is_reranked_as_each_query_alone(index: colstore.Index, tmp_path: Path, name: str) -> None:
    run = trec(tmp_path / name, LINES)
    reranked = index.rerank_run(run, QUERIES, threads=2)
    found, report = dict(reranked), reranked.report
    assert list(found) == list(QUERIES)
    for query, hits in found.items():
        assert hits == index.rerank(QUERIES[query], ["d5", "d9", "d2", "d30"])
    assert (report.queries, report.lines, dict(report.hits)) == (3, 12, {"maxsim": 12})


def test_ms_marco_and_json_lines_too(index: colstore.Index, tmp_path: Path) -> None:
    marco, jsonl = tmp_path / "run.tsv", tmp_path / "run.jsonl"
    marco.write_text("".join(f"{q}\t{d}\t{r}\n" for q, d, r, _ in LINES))
    jsonl.write_text("".join(f'{{"query_id": "{q}", "doc_id": "{d}", "score": {s}}}\n' for q, d, _, s in LINES))
    expected = dict(index.rerank_run(trec(tmp_path / "run.trec", LINES), QUERIES))
    assert dict(index.rerank_run(marco, QUERIES)) == expected
    assert dict(index.rerank_run(jsonl, [Query(name, text) for name, text in QUERIES.items()])) == expected


def test_fusion_uses_the_scores_of_the_run_and_not_its_order(index: colstore.Index, tmp_path: Path) -> None:
    shuffled = trec(tmp_path / "a.trec", [LINES[2], LINES[0], LINES[3], LINES[1]])
    found = dict(index.rerank_run(shuffled, QUERIES, fusion="interpolate:0"))
    assert [hit.id for hit in found["q1"]] == ["d5", "d9", "d2", "d30"]


def test_vectors_may_stand_for_questions(index: colstore.Index, tmp_path: Path) -> None:
    vectors = {name: index.encoder.encode_queries([text])[0] for name, text in QUERIES.items()}
    run = trec(tmp_path / "run.trec", LINES)
    assert dict(index.rerank_run(run, vectors)) == dict(index.rerank_run(run, QUERIES))
    with pytest.raises(QueryError, match="read texts"):
        list(index.rerank_run(run, vectors, reranker=FakeReranker()))


def test_a_stage_reads_behind_it(index: colstore.Index, tmp_path: Path) -> None:
    found = dict(index.rerank_run(trec(tmp_path / "run.trec", LINES), QUERIES, k=2, reranker=FakeReranker()))
    assert {hit.stage for hits in found.values() for hit in hits} == {"fake"}
    assert {len(hits) for hits in found.values()} == {2}


def test_it_takes_some_questions_at_a_time(index: colstore.Index) -> None:
    taken = 0

    def lines() -> Iterator[RunLine]:
        nonlocal taken
        for number in range(10_000):
            taken = number
            yield RunLine(f"q{number}", "d1", 1, 1.0)

    answers = index.rerank_run(lines(), {f"q{i}": "bees" for i in range(10_000)})
    next(answers)
    assert taken <= AT_ONCE + 1


def test_unknown_queries_are_an_error_or_counted(index: colstore.Index, tmp_path: Path) -> None:
    run = trec(tmp_path / "run.trec", LINES)
    known = {"q1": "bees"}
    with pytest.raises(QueryError, match="'q2'"):
        list(index.rerank_run(run, known))
    reranked = index.rerank_run(run, known, on_unknown_query="skip")
    assert [name for name, _ in reranked] == ["q1"]
    report = reranked.report
    assert report.unknown_queries == 2
    assert "'q2'" in report.examples[0]
    with pytest.raises(QueryError, match="not one of the 3"):
        list(index.rerank_run(run, {"other": "bees"}, on_unknown_query="skip"))
    with pytest.raises(ConfigError):
        index.rerank_run(run, known, on_unknown_query="perhaps")  # type: ignore[arg-type]  # on purpose


def test_unknown_candidates_are_an_error_with_the_query_or_last(index: colstore.Index, tmp_path: Path) -> None:
    run = trec(tmp_path / "run.trec", [("q1", "d1", 1, 2.0), ("q1", "nowhere", 2, 1.0)])
    with pytest.raises(UnknownIdError, match=r"q1.*nowhere"):
        list(index.rerank_run(run, QUERIES))
    reranked = index.rerank_run(run, QUERIES, missing="last")
    (hits,) = dict(reranked).values()
    assert [hit.stage for hit in hits] == ["maxsim", "missing"]
    assert reranked.report.hits["missing"] == 1


def test_duplicate_lines_are_an_error_with_the_line_or_counted(index: colstore.Index, tmp_path: Path) -> None:
    run = trec(tmp_path / "run.trec", [("q1", "d1", 1, 2.0), ("q1", "d1", 2, 1.0)])
    with pytest.raises(DuplicateIdError, match=r"run\.trec:2"):
        list(index.rerank_run(run, QUERIES))
    reranked = index.rerank_run(run, QUERIES, on_duplicate="skip")
    list(reranked)
    assert reranked.report.to_json()["skipped_duplicates"] == 1


@pytest.mark.parametrize("line", ["q1 Q0 d1 1", "q1 Q0 d1 one 2.0 t", "q1 Q0 d1 1 high t", "q1 Q0 d1 1 nan t"])
def test_broken_lines_are_an_error_with_the_line(index: colstore.Index, tmp_path: Path, line: str) -> None:
    path = tmp_path / "run.trec"
    path.write_text(f"q1 Q0 d0 1 3.0 t\n{line}\n")
    with pytest.raises(CorpusError, match=r"run\.trec:2"):
        list(index.rerank_run(path, QUERIES))


def test_scores_fall_within_every_query(index: colstore.Index, tmp_path: Path) -> None:
    run = trec(tmp_path / "run.trec", [*LINES[:4], ("q1", "x", 9, 0.0)])
    (hits,) = dict(index.rerank_run(run, QUERIES, missing="last", reranker=FakeReranker())).values()
    assert (np.diff([hit.score for hit in hits]) <= 0).all()
