"""``colstore compare``."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from colstore.cli.compare import _table
from colstore.encode import FakeEncoder
from colstore.evaluate import inputs
from tests.evaluate.rows import comparison

Cli = Callable[..., Result]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put the fake encoder in the place of every model; return the names that were asked for."""
    names: list[str] = []

    def load(model: str, **_: Any) -> FakeEncoder:
        names.append(model)
        return FakeEncoder()

    monkeypatch.setattr(inputs, "load_encoder", load)
    return names


@pytest.fixture
def qrels(tmp_path: Path) -> Path:
    path = tmp_path / "judged.tsv"
    path.write_text("query-id\tcorpus-id\tscore\n0\tbees\t1\n1\tbread\t1\n2\ttides\t1\n")
    return path


def test_a_table_and_all_files(
    cli: Cli, corpus: Path, queries: Path, qrels: Path, tmp_path: Path, fake: list[str]
) -> None:
    output = tmp_path / "which"
    result = cli(
        "compare",
        corpus,
        "--queries",
        queries,
        "--qrels",
        qrels,
        "--model",
        "a-model",
        "--bits",
        "16,4",
        "-o",
        output,
        "--save-runs",
        "--pool-factors",
        "2",
    )
    assert result.exit_code == 0, result.stderr
    assert fake == ["a-model"]
    for label in ("BM25", "one vector", "MaxSim float32", "MaxSim 16 bits", "MaxSim 4 bits, pooled 2"):
        assert label in result.stdout
    assert "Use BM25" in result.stdout or "Use one vector" in result.stdout or "Use MaxSim" in result.stdout
    assert "report.html" in result.stderr
    assert {path.name for path in output.iterdir()} == {
        "table.csv",
        "comparison.json",
        "plot.png",
        "plot.svg",
        "report.html",
        "runs",
    }
    with (output / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == ["bm25", "mean", "exact", "16-bit", "4-bit", "pool-2", "bm25-maxsim"]
    assert (output / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert len((output / "runs" / "exact.trec").read_text().splitlines()) == 12

    again = cli("compare", corpus, "--queries", queries, "--qrels", qrels, "-o", output)
    assert again.exit_code == 1
    assert "holds table.csv already" in again.stderr
    assert fake == ["a-model"]  # told before anything was loaded


def test_json_and_rows_left_out(cli: Cli, corpus: Path, queries: Path, qrels: Path, fake: list[str]) -> None:
    result = cli(
        "compare",
        corpus,
        "--queries",
        queries,
        "--qrels",
        qrels,
        "--bits",
        "4",
        "--pool-factors",
        "",
        "--skip",
        "bm25",
        "--skip",
        "bm25-maxsim",
        "--max-queries",
        2,
        "--json",
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [row["key"] for row in found["rows"]] == ["mean", "exact", "4-bit"]
    assert len(found["queries"]) == 2
    assert found["advice"]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--bits", "5"), 1, "bits must be some of"),
        (("--bits", "x"), 2, "numbers separated by commas"),
        (("--rerank-depth", "0"), 2, "--rerank-depth"),
        (("--skip", "magic"), 1, "no row is called 'magic'"),
        (("--pool-factors", "0.5"), 1, "pool factors must exceed 1"),
        (("--save-runs",), 2, "-o"),
    ],
)
def test_settings_that_cannot_be(
    cli: Cli, corpus: Path, queries: Path, qrels: Path, arguments: tuple[str, ...], code: int, word: str
) -> None:
    result = cli("compare", corpus, "--queries", queries, "--qrels", qrels, *arguments)
    assert result.exit_code == code
    assert word in result.stderr


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
def test_the_table_fits_a_terminal_and_cuts_no_figure(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in _table(comparison())]
    assert "…" not in "".join(lines)
    assert all(word in "".join(lines) for word in ("nDCG@10", "ms/query", "size/document", "0.7050"))
    if columns >= 80:
        assert all(len(line) <= columns for line in lines)
    assert ("p95 ms" in lines[2]) == (columns == 160)
    assert ("without p95 ms" in lines[-1]) == (columns < 160)


def test_a_broken_corpus_names_the_option_that_skips(
    cli: Cli, corpus: Path, queries: Path, qrels: Path, fake: list[str]
) -> None:
    with corpus.open("a", encoding="utf-8") as file:
        file.write('{"id": "empty", "text": " "}\n{"id": "bees", "text": "again"}\n')
    arguments = ("compare", corpus, "--queries", queries, "--qrels", qrels, "--bits", "4", "--pool-factors", "")
    result = cli(*arguments)
    assert (result.exit_code, "corpus.jsonl:5" in result.stderr, "--on-error skip" in result.stderr) == (1, True, True)
    result = cli(*arguments, "--on-error", "skip")
    assert (result.exit_code, "corpus.jsonl:6" in result.stderr) == (1, True)
    assert "--on-duplicate skip" in result.stderr
    assert cli(*arguments, "--on-error", "skip", "--on-duplicate", "skip").exit_code == 0
    assert fake


def test_interrupted(
    cli: Cli, corpus: Path, queries: Path, qrels: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(*_: Any, **__: Any) -> FakeEncoder:
        raise KeyboardInterrupt

    monkeypatch.setattr(inputs, "load_encoder", interrupt)
    work = tmp_path / "work"
    result = cli("compare", corpus, "--queries", queries, "--qrels", qrels, "--work-folder", work)
    assert result.exit_code == 130
    assert "no report was written" in result.stderr
    assert not work.exists() or not list(work.iterdir())
