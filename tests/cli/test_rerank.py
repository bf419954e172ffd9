"""``colstore rerank``, ``colstore bm25``, and the stages of ``colstore search``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import colstore
from colstore.encode.fake import FakeEncoder
from colstore.testing import FakeReranker

Cli = Callable[..., Result]
RUN = [("0", "tides", 3.0), ("0", "bees", 2.0), ("0", "bread", 1.0), ("1", "bees", 2.0), ("1", "bread", 1.5)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "bm25.trec"
    path.write_text("".join(f"{q} Q0 {d} {i} {s} bm25\n" for i, (q, d, s) in enumerate(RUN, start=1)))
    return path


@pytest.fixture
def fake_cross_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "colstore.rerank.cross_encoder.CrossEncoderReranker", lambda model, **_: FakeReranker(str(model))
    )


def columns(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_run_comes_out_reranked_with_ranks_from_1_and_a_tag(cli: Cli, index: Path, run: Path, queries: Path) -> None:
    result = cli("rerank", index, "--run", run, "--queries", queries)
    assert result.exit_code == 0, result.stderr
    lines = columns(result.stdout)
    assert [(line[0], line[2], line[3]) for line in lines if line[3] == "1"] == [
        ("0", "bees", "1"),
        ("1", "bread", "1"),
    ]
    assert {line[5] for line in lines} == {"colstore-maxsim"}
    assert "2 queries, 5 candidates" in result.stderr
    with colstore.open(index, encoder=FakeEncoder()) as opened:
        expected = opened.rerank("who dances on the comb?", ["tides", "bees", "bread"])
    assert [(line[2], float(line[4])) for line in lines[:3]] == [(hit.id, hit.score) for hit in expected]


@pytest.mark.parametrize("layout", ["trec", "msmarco", "jsonl"])
def test_it_writes_files_that_read_again(
    cli: Cli, index: Path, run: Path, queries: Path, tmp_path: Path, layout: str
) -> None:
    from colstore.corpus import read_run

    out = tmp_path / f"out.{layout}.gz"
    result = cli("rerank", index, "--run", run, "--queries", queries, "-o", out, "--layout", layout, "--tag", "mine")
    assert result.exit_code == 0, result.stderr
    assert "2 queries, 5 candidates" in result.stdout
    assert [line.rank for line in read_run(out)] == [1, 2, 3, 1, 2]
    again = cli("rerank", index, "--run", out, "--queries", queries, "-k", 1, "--json")
    assert len(again.stdout.splitlines()) == 2
    assert json.loads(again.stderr)["hits"] == {"maxsim": 2}


def test_missing_candidates(cli: Cli, index: Path, run: Path, queries: Path, tmp_path: Path) -> None:
    run.write_text(run.read_text() + "1 Q0 elsewhere 3 0.5 bm25\n")
    result = cli("rerank", index, "--run", run, "--queries", queries)
    assert result.exit_code == 1
    assert "elsewhere" in result.stderr
    assert "last" in result.stderr
    last = cli("rerank", index, "--run", run, "--queries", queries, "--missing", "last")
    assert columns(last.stdout)[-1][2] == "elsewhere"
    assert "1 by missing" in last.stderr


def test_unknown_queries_and_duplicates(cli: Cli, index: Path, run: Path, queries: Path) -> None:
    run.write_text(run.read_text() + "1 Q0 bread 3 0.5 bm25\n77 Q0 bread 1 0.5 bm25\n")
    result = cli("rerank", index, "--run", run, "--queries", queries)
    assert (result.exit_code, "bm25.trec:6" in result.stderr) == (1, True)
    assert "--on-duplicate skip" in result.stderr
    skip = ("--on-duplicate", "skip")
    result = cli("rerank", index, "--run", run, "--queries", queries, *skip)
    assert (result.exit_code, "'77'" in result.stderr) == (1, True)
    assert "--on-unknown-query skip" in result.stderr
    result = cli("rerank", index, "--run", run, "--queries", queries, *skip, "--on-unknown-query", "skip")
    assert result.exit_code == 0
    assert "1 duplicate lines were left out" in result.stderr
    assert "1 queries of the run have no text" in result.stderr


def test_texts_of_missing_candidates_are_read_like_every_corpus(
    cli: Cli, index: Path, run: Path, queries: Path, tmp_path: Path
) -> None:
    run.write_text(run.read_text() + "1 Q0 elsewhere 3 0.5 bm25\n")
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"id": "elsewhere", "text": "gas"}\n{"id": "elsewhere", "text": "b"}\n{"id": "x", "text": ""}\n')
    arguments = ("rerank", index, "--run", run, "--queries", queries, "--missing", "score", "--texts", texts)
    refused = cli(*arguments)
    assert (refused.exit_code, "--on-duplicate skip" in refused.stderr) == (1, True)
    refused = cli(*arguments, "--on-duplicate", "skip")
    assert (refused.exit_code, "--on-error skip" in refused.stderr) == (1, True)
    result = cli(*arguments, "--on-duplicate", "skip", "--on-error", "skip")
    assert result.exit_code == 0, result.stderr
    assert "1 by encoded" in result.stderr
    assert "texts: 1 taken, 2 skipped" in result.stderr


def test_a_file_is_not_replaced_unasked(cli: Cli, index: Path, run: Path, queries: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.trec"
    out.write_text("precious")
    arguments = ("rerank", index, "--run", run, "--queries", queries, "-o", out)
    result = cli(*arguments)
    assert (result.exit_code, "--overwrite" in result.stderr, out.read_text()) == (1, True, "precious")
    assert cli(*arguments, "--overwrite").exit_code == 0
    assert len(out.read_text().splitlines()) == 5


def test_fusion_that_cannot_be_is_one_line(cli: Cli, index: Path, run: Path, queries: Path) -> None:
    result = cli("rerank", index, "--run", run, "--queries", queries, "--fusion", "sum")
    assert result.exit_code == 1
    assert "interpolate[:WEIGHT]" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("fake_cross_encoder")
def test_a_cross_encoder_behind_rerank_and_search(cli: Cli, index: Path, run: Path, queries: Path) -> None:
    result = cli("rerank", index, "--run", run, "--queries", queries, "--reranker", "fake-model", "--max-pairs", 2)
    assert result.exit_code == 0, result.stderr
    assert {line[5] for line in columns(result.stdout)} == {"colstore-fake-model"}
    assert "4 by fake-model, 1 by maxsim" in result.stderr
    answer = json.loads(cli("search", index, "yeast makes dough", "--json", "--reranker", "fake-model").stdout)
    assert answer["hits"][0]["id"] == "bread"
    assert answer["hits"][0]["stage"] == "fake-model"
    uncertain = cli("search", index, "yeast", "--reranker", "fake-model", "--policy", "uncertain")
    assert uncertain.exit_code == 1
    assert "tune --reranker" in " ".join(uncertain.stderr.split())


@pytest.mark.usefixtures("fake_cross_encoder")
def test_tune_finds_the_threshold_for_uncertain(cli: Cli, index: Path, queries: Path) -> None:
    result = cli("tune", index, "--queries", queries, "-k", 2, "--reranker", "fake-model")
    assert result.exit_code == 0, result.stderr
    assert "threshold" in result.stdout
    found = cli("search", index, "yeast makes dough", "-k", 2, "--reranker", "fake-model", "--policy", "uncertain")
    assert found.exit_code == 0, found.stderr


def test_hybrid_search(cli: Cli, index: Path) -> None:
    refused = cli("search", index, "dough", "--first-stage", "bm25")
    assert refused.exit_code == 1
    assert "colstore bm25" in refused.stderr
    made = cli("bm25", index)
    assert made.exit_code == 0, made.stderr
    assert "4 documents" in made.stdout
    found = cli("search", index, "dough", "-k", 1, "--first-stage", "bm25")
    assert "bread" in found.stdout
    added = cli("add", index, "-", input='{"id": "moon", "text": "Its shadow."}\n')
    assert "advice: the BM25 index is out of date: `colstore bm25` rebuilds it" in added.stdout
    assert "out of date" in cli("info", index).stdout
    stale = cli("search", index, "dough", "--first-stage", "bm25")
    assert (stale.exit_code, "`colstore bm25`" in stale.stderr) == (1, True)
    assert "advice" not in cli("bm25", index).stdout
    assert "out of date" not in cli("info", index).stdout


@pytest.mark.usefixtures("fake_model")
def test_build_can_make_the_first_stage_too(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "hybrid.colstore"
    result = cli("build", corpus, "-o", path, "--bits", 16, "--first-stage", "bm25")
    assert result.exit_code == 0, result.stderr
    assert "bread" in cli("search", path, "dough", "-k", 1, "--first-stage", "bm25").stdout
