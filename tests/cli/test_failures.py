"""Errors end as one line and a documented exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

import colstore
from colstore.cli import COMMANDS, main
from colstore.cli.failures import EXIT_CODES, CorruptFailure, Failure, Interruption
from colstore.errors import (
    ChecksumError,
    ColstoreError,
    ConfigError,
    CorruptIndexError,
    IndexNotFoundError,
    MissingFileError,
    NotAnIndexError,
)

REPOSITORY = Path(__file__).resolve().parents[2]
Cli = Callable[..., Result]


def raising(error: BaseException) -> object:
    def open_(_path: str) -> None:
        raise error

    return open_


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no such setting"), 1),
        (CorruptIndexError("damaged", file="m.json"), 3),
        (MissingFileError("gone", file="a.h5"), 3),
        (ChecksumError("changed"), 3),
        (PermissionError(13, "Permission denied", "x"), 1),
        (OSError(28, "No space left on device"), 1),
        (MemoryError(), 1),
    ],
)
def test_an_error_is_one_line_with_its_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    monkeypatch.setattr(colstore, "open", raising(error))
    result = cli("info", "x")
    assert result.exit_code == code
    assert result.stderr.startswith("colstore: error: ")
    assert len(result.stderr) > len("colstore: error: \n")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_message_of_several_lines_or_with_terminal_escapes_is_one_clean_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colstore, "open", raising(ColstoreError("first\nsecond \x1b[31m third")))
    assert cli("info", "x").stderr == "colstore: error: first second \\x1b[31m third\n"


def test_a_bug_keeps_its_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colstore, "open", raising(ZeroDivisionError("a bug")))
    assert isinstance(cli("info", "x").exception, ZeroDivisionError)


def test_no_such_index(cli: Cli, tmp_path: Path) -> None:
    result = cli("search", tmp_path / "nowhere", "question")
    assert result.exit_code == 1
    assert "nowhere" in result.stderr


def test_a_folder_that_is_no_index(cli: Cli, tmp_path: Path) -> None:
    result = cli("info", tmp_path)
    assert result.exit_code == 1
    assert str(tmp_path) in result.stderr


def test_a_damaged_index(cli: Cli, index: Path) -> None:
    for file in index.rglob("*"):
        if file.is_file() and file.stat().st_size > 0:
            os.truncate(file, file.stat().st_size // 2)
    result = cli("info", index)
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1


def test_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
    assert cli("serch").exit_code == 2


def test_the_documented_codes_are_the_ones_in_use() -> None:
    epilog = main.epilog or ""
    used = (0, Failure.exit_code, click.UsageError.exit_code, CorruptFailure.exit_code, Interruption.exit_code)
    assert tuple(EXIT_CODES) == used
    assert all(f"\n  {code} " in epilog for code in used)


# --- one table of exit codes for every command (0 is tested by running the examples of the help texts) --------------


def arguments_of(name: str, index: Path, corpus: Path, queries: Path) -> list[object]:
    """Return what a command needs at least, with the index at a path."""
    run = corpus.parent / "run.trec"
    run.write_text("0 Q0 bees 1 2.0 x\n", encoding="utf-8")
    qrels = corpus.parent / "qrels.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\n0\tbees\t1\n", encoding="utf-8")
    needed: dict[str, list[object]] = {
        "build": [corpus, "-o", index],
        "add": [index, corpus],
        "create": [index, "--dim", 8],
        "delete": [index, "bees"],
        "get": [index, "bees"],
        "search": [index, "yeast"],
        "rerank": [index, "--run", run, "--queries", queries],
        "eval": [index, "--queries", queries, "--qrels", qrels],
        "compare": [corpus, "--queries", queries, "--qrels", qrels],
    }
    return [name, *needed.get(name, [index])]


READERS = sorted(set(COMMANDS) - {"build", "create", "compare"})
"""Commands that need an index that exists."""


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("arguments", [[], ["--no-such-option"]])
def test_a_command_line_that_cannot_be_understood_exits_with_2(cli: Cli, name: str, arguments: list[str]) -> None:
    result = cli(name, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.parametrize("name", READERS)
def test_no_index_exits_with_1(cli: Cli, name: str, corpus: Path, queries: Path, tmp_path: Path) -> None:
    result = cli(*arguments_of(name, tmp_path / "nothing", corpus, queries))
    assert result.exit_code == 1, result.output
    assert "nothing" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("name", ["build", "compare"])
def test_no_corpus_exits_with_1(cli: Cli, name: str, queries: Path, tmp_path: Path) -> None:
    arguments = arguments_of(name, tmp_path / "x", tmp_path / "nothing", queries)
    assert cli(*arguments).exit_code == 1


@pytest.mark.parametrize("name", sorted({*READERS} - {"recover"}))
def test_a_damaged_index_exits_with_3(cli: Cli, name: str, index: Path, corpus: Path, queries: Path) -> None:
    for manifest in index.glob("*.json"):
        manifest.write_text("{}", encoding="utf-8")
    result = cli(*arguments_of(name, index, corpus, queries))
    assert result.exit_code == 3, result.output


def test_going_back_to_a_damaged_generation_exits_with_3(cli: Cli, index: Path) -> None:
    for manifest in index.glob("*.json"):
        manifest.write_text("{}", encoding="utf-8")
    assert cli("recover", index, "--generation", 1).exit_code == 3
    assert cli("recover", index).exit_code == 0  # listing what is there is what the command is for


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_exits_with_130(
    cli: Cli, name: str, index: Path, corpus: Path, queries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_arguments: object, **_settings: object) -> None:
        raise KeyboardInterrupt

    for function in ("open", "build", "verify", "history", "create"):
        monkeypatch.setattr(colstore, function, interrupt, raising=False)
    monkeypatch.setattr("colstore.evaluate.compare", interrupt)
    monkeypatch.setattr("colstore.evaluate.evaluate_index", interrupt)
    monkeypatch.setattr("colstore.cli.build._index_at", lambda _path: None)
    result = cli(*arguments_of(name, index, corpus, queries))
    assert result.exit_code == 130, result.output
    assert result.stderr.startswith("colstore: interrupted")


# A job in the background inherits that Ctrl-C is ignored.
WITH_FAKE_MODEL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import colstore
from colstore.cli import main
from colstore.encode.fake import FakeEncoder
build = colstore.build
colstore.build = lambda *arguments, model, **settings: build(*arguments, model=FakeEncoder(), **settings)
main(prog_name="colstore")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send to another process there")
def test_a_real_ctrl_c_in_the_middle_of_a_build_leaves_no_index(tmp_path: Path) -> None:
    """More than a pipe holds goes in, so that the build must be reading when the signal comes."""
    lines = "".join(json.dumps({"id": str(number), "text": "word " * 20}) + "\n" for number in range(4000))
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_FAKE_MODEL, "build", "-", "-o", str(tmp_path / "x.colstore")],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(lines)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert stderr.startswith("colstore: interrupted: no index was written")
    assert stderr.count("\n") == 1
    assert stdout == ""
    with pytest.raises((IndexNotFoundError, NotAnIndexError)):
        colstore.open(tmp_path / "x.colstore")
