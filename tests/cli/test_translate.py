"""Messages of the library in the words of the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from colstore.cli import COMMANDS, main
from colstore.cli.translate import METHODS, PHRASES, PYTHON_ONLY, in_options, option_of

REPOSITORY = Path(__file__).resolve().parents[2]
SPELLING = re.compile(r"""\b([a-z][a-z0-9_]*)=(True|'[^']*'|"[^"]*")""")
CALL = re.compile(r"`(?:colstore|index)\.([a-z0-9_]+)\(")
SEPARATE = {"create", "get"}
"""Commands that METHODS names and that may not be there."""


def library_messages() -> Iterator[tuple[str, str]]:
    """Yield every text in the library that is not a docstring, with its place."""
    for source in sorted((REPOSITORY / "colstore").rglob("*.py")):
        if "cli" in source.relative_to(REPOSITORY).parts:
            continue
        tree = ast.parse(source.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            place = f"{source.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                yield place, "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield place, node.value


def spellings() -> list[tuple[str, str, str]]:
    return sorted(
        {
            (place, name, value)
            for place, text in library_messages()
            if "<" not in text  # HTML
            for name, value in SPELLING.findall(text)
        }
    )


def test_there_are_messages_to_translate() -> None:
    assert len(spellings()) > 10


@pytest.mark.parametrize(("place", "name", "value"), spellings())
def test_every_argument_in_a_message_is_an_option_of_some_command(place: str, name: str, value: str) -> None:
    if name in PYTHON_ONLY or f"{name}={value}" in PHRASES:
        return
    options = [option_of(command, name, value.strip("'\"")) for command in COMMANDS]
    assert any(options), f"{place}: {name}={value} is no option of any command: add one, or list it in PYTHON_ONLY"


def test_the_library_does_not_speak_of_options_or_commands() -> None:
    wrong = [
        (place, text)
        for place, text in library_messages()
        if (re.search(r"(?<![\w-])--[a-z]", text) and ":root" not in text and "pip install" not in text)
        or re.search(rf"`colstore ({'|'.join(COMMANDS)})\b", text)
    ]
    assert not wrong


def test_every_call_in_a_message_is_a_command() -> None:
    called = {name for _, text in library_messages() for name in CALL.findall(text)}
    assert {"build", "verify", "build_bm25", "compact", "history", "recover", "calibrate"} <= called
    assert called <= METHODS.keys()
    assert {line.split()[0] for line in METHODS.values()} <= {*COMMANDS, *SEPARATE}


@pytest.mark.parametrize("line", sorted(set(METHODS.values())))
def test_what_a_call_becomes_names_options_that_exist(line: str) -> None:
    command = main.get_command(None, line.split()[0])  # type: ignore[arg-type]  # our group needs no context
    if command is None:
        assert line in SEPARATE
        return
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in line.split() if word.startswith("-")} <= known


@pytest.mark.parametrize(
    ("message", "command", "translated"),
    [
        ('leave it out with on_error="skip".', "build", "leave it out with --on-error skip."),
        ("leave it out with on_error='skip'", "compare", "leave it out with --on-error skip"),
        ("use overwrite=True, or resume=True", "build", "use --overwrite, or --resume"),
        ("keep them with missing='last'", "rerank", "keep them with --missing last"),
        ("skip with missing='skip'", "delete", "skip with --missing skip"),
        ("use on_duplicate='replace'", "add", "use --on-duplicate replace"),
        ("run `colstore.verify(path)`", "search", "run `colstore verify INDEX`"),
        ("run `colstore.verify(path, level='deep')`", "search", "run `colstore verify INDEX --deep`"),
        ("`index.compact(retrain=True)` trains", "info", "`colstore compact --retrain` trains"),
        ("make one with `index.build_bm25()`", "search", "make one with `colstore bm25`"),
        ("`index.calibrate(queries, reranker)`", "search", "`colstore tune --reranker MODEL --queries FILE`"),
        ("allow them with allow_pickle=True", "search", "allow them with --allow-pickle"),
        ("build the index with store_texts=True", "search", "build the index with texts (leave out --no-texts)"),
        (
            "build again with pooling='neighbours'",
            "search",
            "build again with --pooling neighbours of `colstore build`",
        ),
        ("a document 'x=1' and y=2", "add", "a document 'x=1' and y=2"),
        ("index.html (see there)", "add", "index.html (see there)"),
        ("index.encoder(text)", "add", "index.encoder(text)"),
    ],
)
def test_translations(message: str, command: str, translated: str) -> None:
    assert in_options(message, command) == translated
