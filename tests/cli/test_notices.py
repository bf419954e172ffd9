"""What a model cannot read, on the command line: a line on standard error, and a field in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Cli = Callable[..., Result]
LONG, STRANGE = "who is it that dances so often on the comb", "ผึ้งเต้นรำ"


@pytest.mark.usefixtures("limited")
def test_a_long_query_is_said_on_one_line(cli: Cli, index: Path) -> None:
    result = cli("search", index, LONG)
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"colstore: warning: the query '{LONG[:40]}")
    assert "longer than the model reads" in line
    assert "bees" in result.stdout
    fields = json.loads(cli("search", index, LONG, "--json").stdout)
    assert (fields["query_truncated"], fields["query_unreadable"]) == (True, False)


@pytest.mark.usefixtures("limited")
def test_a_query_in_another_script(cli: Cli, index: Path) -> None:
    result = cli("search", index, "--json", input=f"{STRANGE}\nbees\n")
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["query_unreadable"], second["query_unreadable"]) == (True, False)
    (line,) = result.stderr.splitlines()
    assert "vocabulary" in line


@pytest.mark.usefixtures("limited")
def test_runs_and_evaluations_count_them(cli: Cli, index: Path, tmp_path: Path) -> None:
    queries, run, qrels = tmp_path / "q.tsv", tmp_path / "run.trec", tmp_path / "qrels.tsv"
    queries.write_text(f"0\t{LONG}\n1\t{LONG} then\n2\tbees\n")
    run.write_text("".join(f"{i} Q0 bees 1 1.0 x\n" for i in range(3)))
    qrels.write_text("".join(f"{i}\tbees\t1\n" for i in range(3)))
    out = tmp_path / "out.trec"
    reranked = cli("rerank", index, "--run", run, "--queries", queries, "-o", out, "--json")
    assert json.loads(reranked.stdout)["truncated_queries"] == 2
    (line,) = reranked.stderr.splitlines()
    assert "2 of 3 queries" in line
    found = cli("eval", index, "--queries", queries, "--qrels", qrels)
    assert "note: 2 queries are longer than the model reads" in found.stdout


@pytest.mark.usefixtures("limited", "fake_model")
def test_documents_in_another_script_are_said_when_built_and_added(cli: Cli, tmp_path: Path) -> None:
    corpus, more, index = tmp_path / "corpus.jsonl", tmp_path / "more.jsonl", tmp_path / "i.colstore"
    corpus.write_text("".join(json.dumps({"id": f"d{i}", "text": t}) + "\n" for i, t in enumerate(("bees", STRANGE))))
    more.write_text(json.dumps({"id": "two  spaces", "text": STRANGE}) + "\n")
    built = cli("build", corpus, "-o", index, "--json")
    assert "1 document is mostly unknown to the model's vocabulary" in built.stderr
    assert json.loads(built.stdout)["unreadable_examples"] == ["d1"]
    added = cli("add", index, more)
    assert "(such as 'two  spaces')" in added.stderr
    assert "vocabulary" not in cli("delete", index, "d1").stderr


@pytest.mark.parametrize("name", ["two  spaces", "zw\u200cnj", "soft\u00adhyphen"])
@pytest.mark.parametrize("command", ["delete", "get"])
def test_a_message_quotes_ids_as_python_does(cli: Cli, index: Path, name: str, command: str) -> None:
    result = cli(command, index, name)
    assert result.exit_code == 1
    assert repr(name) in result.stderr


def test_rerank_refuses_ids_that_the_layout_has_no_room_for(
    cli: Cli, spaced: Path, queries: Path, tmp_path: Path
) -> None:
    run = tmp_path / "first.jsonl"
    run.write_text(json.dumps({"query_id": "0", "doc_id": "My  bees.md", "score": 1.0}) + "\n")
    arguments = ("rerank", spaced, "--run", run, "--queries", queries)
    refused = cli(*arguments, "-o", tmp_path / "out.trec")
    assert refused.exit_code == 1
    assert "--layout jsonl" in refused.stderr
    written = cli(*arguments, "-o", tmp_path / "out.jsonl")
    assert written.exit_code == 0, written.stderr
    assert "My  bees.md" in (tmp_path / "out.jsonl").read_text()
    assert "My  bees.md" in cli(*arguments, "--layout", "jsonl").stdout


def test_rerank_leaves_out_a_candidate_that_is_the_query(cli: Cli, index: Path, tmp_path: Path) -> None:
    queries, run = tmp_path / "q.tsv", tmp_path / "run.trec"
    queries.write_text("bees\twho dances?\n")
    run.write_text("bees Q0 bees 1 2.0 x\nbees Q0 tides 2 1.0 x\n")
    result = cli("rerank", index, "--run", run, "--queries", queries, "--ignore-identical-ids")
    assert [line.split()[2] for line in result.stdout.splitlines()] == ["tides"]
    assert "1 candidate" in result.stderr
