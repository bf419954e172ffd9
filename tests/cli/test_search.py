"""``colstore search``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import colstore
from colstore import SearchParams
from colstore.cli import main
from colstore.encode.fake import FakeEncoder

REPOSITORY = Path(__file__).resolve().parents[2]
Cli = Callable[..., Result]


def rows(stdout: str) -> list[list[str]]:
    return [line.split("\t") for line in stdout.split("\n") if line and not line.startswith("# ")]


def ids(stdout: str) -> list[str]:
    return [row[2] for row in rows(stdout)]


def test_one_question_gives_rank_score_id_title_and_snippet(cli: Cli, index: Path) -> None:
    result = cli("search", index, "a scout dances", "-k", 2)
    assert result.exit_code == 0, result.stderr
    first, second = rows(result.stdout)
    rank, score, identifier, title, snippet = first
    assert (rank, identifier, title) == ("1", "bees", "Bees")
    assert float(score) == pytest.approx(3.0, abs=0.01)
    assert "dances on the comb" in snippet
    assert second[0] == "2"


def test_json_is_one_line_with_the_hits(cli: Cli, index: Path) -> None:
    result = cli("search", index, "dough", "-k", 1, "--json")
    assert result.stdout.count("\n") == 1
    answer = json.loads(result.stdout)
    assert answer["query"] == "dough"
    assert answer["milliseconds"] >= 0
    (hit,) = answer["hits"]
    assert (hit["id"], hit["rank"], hit["title"]) == ("bread", 1, "Bread")
    assert hit["metadata"] == {"year": 2021, "lang": "en"}


def test_where_and_ids_narrow_the_search(cli: Cli, index: Path, tmp_path: Path) -> None:
    assert set(ids(cli("search", index, "gas", "--where", "year=2021").stdout)) == {"bread", "rost"}
    only = cli("search", index, "gas", "--where", "year=2021", "--where", "lang=de")
    assert ids(only.stdout) == ["rost"]
    wanted = tmp_path / "ids.txt"
    wanted.write_text("tides\n\nbees\n", encoding="utf-8")
    assert set(ids(cli("search", index, "gas", "--ids", wanted).stdout)) == {"bees", "tides"}


@pytest.mark.parametrize("given", ["year", "=2020"])
def test_a_filter_that_is_none(cli: Cli, index: Path, given: str) -> None:
    result = cli("search", index, "gas", "--where", given)
    assert result.exit_code == 2
    assert "KEY=VALUE" in result.stderr


def test_a_key_given_twice_may_have_either_value(cli: Cli, index: Path) -> None:
    result = cli("search", index, "gas", "--where", "lang=de", "--where", "lang=en", "--where", "year=2020")
    assert set(ids(result.stdout)) == {"bees", "tides"}


def test_a_field_that_no_document_has_is_named(cli: Cli, index: Path) -> None:
    result = cli("search", index, "gas", "--where", "yaer=2020")
    assert result.exit_code == 1
    assert "yaer" in result.stderr


def test_an_unknown_id_is_named(cli: Cli, index: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "ids.txt"
    wanted.write_text("nobody\n", encoding="utf-8")
    result = cli("search", index, "gas", "--ids", wanted)
    assert result.exit_code == 1
    assert "nobody" in result.stderr


def test_questions_on_standard_input(cli: Cli, index: Path) -> None:
    result = cli("search", index, "-k", 1, input="yeast\n\n:k 2\nmoon\n:q\nbees\n")
    assert result.exit_code == 0, result.stderr
    queries = [line for line in result.stdout.splitlines() if line.startswith("# ")]
    assert queries == ["# yeast", "# :k 2", "# moon", "# :q", "# bees"]
    assert len(rows(result.stdout)) == 5
    assert (ids(result.stdout)[0], ids(result.stdout)[2]) == ("bread", "tides")


def test_questions_on_standard_input_as_json_are_lines(cli: Cli, index: Path) -> None:
    lines = cli("search", index, "--json", input="yeast\nmoon\n").stdout.splitlines()
    assert [json.loads(line)["query"] for line in lines] == ["yeast", "moon"]


def test_a_query_that_is_not_utf8_is_named_by_its_line(index: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "colstore.cli", "search", str(index)],
        cwd=REPOSITORY,
        input="\ufeffyeast\nBär\n".encode("utf-8-sig").replace("ä".encode(), b"\xe4"),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"standard input:2: not UTF-8 (byte 0xe4 at position 2 of the line)" in done.stderr
    assert b"it looks like Latin-1; read it with --encoding latin-1, or convert it" in b" ".join(done.stderr.split())
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("line", [":k", ":k 0", ":k many", ":x"])
def test_an_unknown_command_at_the_prompt_says_which_there_are(
    cli: Cli, index: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter([line, ":q"])
    monkeypatch.setattr("colstore.cli.search._at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _prompt: next(typed))
    result = cli("search", index)
    assert result.exit_code == 0
    assert ":k 20" in result.stderr


def test_the_number_of_hits_can_be_set_at_the_prompt(cli: Cli, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([":k 2", "yeast", ":q"])
    monkeypatch.setattr("colstore.cli.search._at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _prompt: next(typed))
    assert len(rows(cli("search", index).stdout)) == 2


@pytest.mark.parametrize(
    ("options", "params"),
    [
        ((), None),
        (("--exact",), SearchParams(exact=True)),
        (("--probes", 3, "--candidates", 40, "--scored", 20), SearchParams(probes=3, candidates=40, scored=20)),
    ],
)
def test_how_hard_to_search_reaches_the_index(
    cli: Cli, index: Path, options: tuple[object, ...], params: SearchParams | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, seen = colstore.Index.search, []

    def record(self: colstore.Index, *arguments: Any, **settings: Any) -> Any:
        seen.append(settings["params"])
        return search(self, *arguments, **settings)

    monkeypatch.setattr(colstore.Index, "search", record)
    result = cli("search", index, "yeast", *options)
    assert result.exit_code == 0, result.stderr
    assert seen == [params]


def test_exact_search_has_no_limits(cli: Cli, index: Path) -> None:
    result = cli("search", index, "yeast", "--exact", "--probes", 3)
    assert (result.exit_code, "--exact" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "options", [("--policy", "never"), ("--rerank-depth", 3), ("--max-pairs", 1), ("--rerank-fusion", "reciprocal")]
)
def test_options_of_a_reranker_need_one(cli: Cli, index: Path, options: tuple[object, ...]) -> None:
    result = cli("search", index, "yeast", *options)
    assert result.exit_code == 2
    assert f"{options[0]} has no effect without --reranker" in result.stderr


def test_ids_from_the_output_name_the_same_documents(cli: Cli, tmp_path: Path) -> None:
    names = ["نیم‌فاصله", "notes/two  spaces.md", "soft\u00adhyphen", "café\u00a0menu", "👩‍🔬", "plain"]
    path = tmp_path / "odd.colstore"
    colstore.build(path, [{"id": name, "text": "a page"} for name in names], model=FakeEncoder(), bits=16).close()
    printed = ids(cli("search", path, "a page", "-k", 10).stdout)
    assert sorted(printed) == sorted(names)
    wanted = tmp_path / "ids.txt"
    wanted.write_text("\n".join(printed) + "\n", encoding="utf-8")
    assert len(ids(cli("search", path, "a page", "--ids", wanted).stdout)) == len(names)


def test_at_a_prompt_a_mistake_is_said_and_the_next_question_answered(
    cli: Cli, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter([":x", "yeast", ":q"])
    monkeypatch.setattr("colstore.cli.search._at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _prompt: next(typed))
    result = cli("search", index)
    assert result.exit_code == 0
    assert "':x' is not a command" in result.stderr
    assert ids(result.stdout)[0] == "bread"


def test_the_end_of_input_leaves_the_prompt(cli: Cli, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("colstore.cli.search._at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", end)
    result = cli("search", index)
    assert (result.exit_code, result.stdout) == (0, "")


def test_ctrl_c_leaves_with_its_exit_code(cli: Cli, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("colstore.cli.search._at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", interrupt)
    result = cli("search", index)
    assert result.exit_code == 130
    assert result.stderr == "colstore: interrupted\n"


def test_a_reader_that_leaves_early_is_no_error(index: Path) -> None:
    questions = "yeast\n" * 200
    with subprocess.Popen(
        [sys.executable, "-m", "colstore.cli", "search", str(index)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        _, stderr = process.communicate(questions, timeout=120)
    assert (process.returncode, stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16"])
def test_queries_in_utf_16_are_recognised(index: Path, encoding: str) -> None:
    text = "who dances?\n".encode(encoding)
    result = CliRunner().invoke(main, ["search", str(index), "--json"], input=text, prog_name="colstore")
    assert result.exit_code == 0
    assert [json.loads(line)["query"] for line in result.stdout.splitlines()] == ["who dances?"]
