"""``colstore eval``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Cli = Callable[..., Result]


@pytest.fixture
def qrels(tmp_path: Path) -> Path:
    path = tmp_path / "qrels.tsv"
    path.write_text("query-id\tcorpus-id\tscore\n0\tbees\t1\n1\tbread\t1\n2\ttides\t1\n")
    return path


def test_figures_for_people(cli: Cli, index: Path, queries: Path, qrels: Path) -> None:
    result = cli("eval", index, "--queries", queries, "--qrels", qrels)
    assert result.exit_code == 0, result.stderr
    assert "nDCG@10     1.0000  1.0000 - 1.0000" in result.stdout
    assert "95 % interval" in result.stdout
    assert "a query takes" in result.stdout
    assert "a document takes" in result.stdout


def test_json_and_a_saved_run(cli: Cli, index: Path, queries: Path, qrels: Path, tmp_path: Path) -> None:
    run = tmp_path / "ours.trec"
    result = cli("eval", index, "--queries", queries, "--qrels", qrels, "-k", 2, "--save-run", run, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["measures"]["recall@2"]["mean"] == 1.0
    assert set(found["per_query"]) == {"0", "1", "2"}
    assert len(run.read_text().splitlines()) == 6
    again = cli("eval", "--run", run, "--qrels", qrels, "--baseline", run, "--measure", "MAP")
    assert again.exit_code == 0, again.stderr
    assert "minus baseline" in again.stdout
    assert "+0.0000" in again.stdout


def test_a_run_beside_an_index_tells_its_bytes(cli: Cli, index: Path, qrels: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.trec"
    run.write_text("0 Q0 bees 1 2.0 x\n")
    result = cli("eval", index, "--run", run, "--qrels", qrels)
    assert "a document takes" in result.stdout
    assert "note: 2 evaluated queries have no hit and count 0" in result.stdout


def test_a_file_is_not_replaced_unasked(cli: Cli, index: Path, queries: Path, qrels: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.trec"
    run.write_text("precious")
    arguments = ("eval", index, "--queries", queries, "--qrels", qrels, "--save-run", run, "--exact")
    result = cli(*arguments)
    assert (result.exit_code, "--overwrite" in result.stderr, run.read_text()) == (1, True, "precious")
    assert cli(*arguments, "--overwrite").exit_code == 0
    assert len(run.read_text().splitlines()) == 12


def test_a_run_is_not_searched(cli: Cli, qrels: Path, tmp_path: Path) -> None:
    result = cli("eval", "--run", tmp_path / "x", "--qrels", qrels, "--exact")
    assert (result.exit_code, "--exact" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((), "INDEX"), (("x.colstore",), "--queries"), (("--run", "x"), "--qrels")],
)
def test_what_is_needed(cli: Cli, arguments: tuple[str, ...], word: str) -> None:
    result = cli("eval", *arguments)
    assert result.exit_code == 2
    assert word in result.stderr


def test_errors_end_as_one_line(cli: Cli, index: Path, queries: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tsv"
    bad.write_text("query-id\tcorpus-id\tscore\nx\tbees\t1\n")
    result = cli("eval", index, "--queries", queries, "--qrels", bad)
    assert result.exit_code == 1
    assert result.stderr.startswith("colstore: error: none of the 3 queries")
    assert cli("eval", index, "--queries", queries, "--measure", "x", "--qrels", bad).exit_code == 1


def test_ids_with_spaces_never_cost_the_figures(cli: Cli, spaced: Path, queries: Path, tmp_path: Path) -> None:
    qrels = tmp_path / "judged.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\n0\tMy  bees.md\t1\n")
    arguments = ("eval", spaced, "--queries", queries, "--qrels", qrels, "--save-run")
    refused = cli(*arguments, tmp_path / "ours.trec")
    assert refused.exit_code == 1
    assert "nDCG@10" in refused.stdout
    first, *_, last = refused.stderr.splitlines()
    assert first.startswith("colstore: warning:")
    assert "id 'My  bees.md' holds white space" in first
    assert "--layout jsonl" in first
    assert last.startswith("colstore: error:")
    assert not (tmp_path / "ours.trec").exists()
    assert json.loads(cli(*arguments, tmp_path / "ours.trec", "--json").stdout)["measures"]
    for name, layout in (("ours.jsonl", ()), ("ours.run", ("--layout", "jsonl"))):
        result = cli(*arguments, tmp_path / name, *layout)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "My  bees.md" in (tmp_path / name).read_text()


def test_a_run_that_has_no_place_is_refused_at_once(cli: Cli, index: Path, queries: Path, qrels: Path) -> None:
    for place in (index / "no" / "ours.trec", index):
        result = cli("eval", index, "--queries", queries, "--qrels", qrels, "--save-run", place)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "folder" in result.stderr


def test_judgements_twice_and_queries_that_are_documents(cli: Cli, index: Path, queries: Path, tmp_path: Path) -> None:
    qrels = tmp_path / "twice.tsv"
    qrels.write_text("0\tbees\t1\n0\tbees\t2\n")
    assert cli("eval", index, "--queries", queries, "--qrels", qrels).exit_code == 1
    skipped = cli("eval", index, "--queries", queries, "--qrels", qrels, "--on-duplicate", "skip")
    assert skipped.exit_code == 0, skipped.stderr
    assert "note: 1 judgement of a pair that is judged before was left out" in skipped.stdout
    own = tmp_path / "own.jsonl"
    own.write_text(json.dumps({"id": "bees", "text": "A scout returns and dances on the comb."}) + "\n")
    judged = tmp_path / "own.tsv"
    judged.write_text("bees\ttides\t1\n")
    noted = cli("eval", index, "--queries", own, "--qrels", judged)
    assert "(--ignore-identical-ids)" in noted.stdout
    ignored = cli("eval", index, "--queries", own, "--qrels", judged, "--ignore-identical-ids", "--json")
    assert json.loads(ignored.stdout)["coverage"]["ignored_identical_ids"] == 1
