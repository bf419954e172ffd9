"""``colstore search``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

REPOSITORY = Path(__file__).resolve().parents[2]
Cli = Callable[..., Result]


def rows(stdout: str) -> list[list[str]]:
    return [line.split("\t") for line in stdout.splitlines() if not line.startswith("# ")]


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
    result = cli("search", index, "-k", 1, input="yeast\n\n:k 2\nmoon\n:q\nnever asked\n")
    assert result.exit_code == 0, result.stderr
    assert [line for line in result.stdout.splitlines() if line.startswith("# ")] == ["# yeast", "# moon"]
    assert len(rows(result.stdout)) == 3
    assert ids(result.stdout)[0] == "bread"
    assert ids(result.stdout)[1] == "tides"


def test_questions_on_standard_input_as_json_are_lines(cli: Cli, index: Path) -> None:
    lines = cli("search", index, "--json", input="yeast\nmoon\n").stdout.splitlines()
    assert [json.loads(line)["query"] for line in lines] == ["yeast", "moon"]


@pytest.mark.parametrize("line", [":k", ":k 0", ":k many", ":x"])
def test_a_command_that_is_none_ends_a_script(cli: Cli, index: Path, line: str) -> None:
    result = cli("search", index, input=f"{line}\nyeast\n")
    assert result.exit_code == 1
    assert ":k 20" in result.stderr


def test_at_a_prompt_a_mistake_is_said_and_the_next_question_answered(
    cli: Cli, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter([":x", "yeast", ":q"])
    monkeypatch.setattr("colstore.cli.search._at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _prompt: next(typed))
    result = cli("search", index)
    assert result.exit_code == 0
    assert "':x' is no command" in result.stderr
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
