"""Messages of the library, which speak Python, in the words of the command line.

``on_error="skip"`` becomes ``--on-error skip``, ``overwrite=True`` becomes ``--overwrite``, and ``index.verify()``
becomes ``colstore verify``. The options come from the commands themselves, so that a message never names one that
does not exist.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import click

_VALUE = r"""(?P<value>True|'[^']*'|"[^"]*"|\d+(?:\.\d+)?)"""
_KEYWORD = re.compile(rf"\b(?P<name>[a-z][a-z0-9_]*)={_VALUE}")
_CALL = re.compile(r"\b(?:colstore|index)\.(?P<name>[a-z0-9_]+)\((?P<arguments>[^()]*)\)")

_FIELD_NAMES = re.compile(r"fields=FieldNames\((id|text|title)='([^']*)'\)")

METHODS = {
    "add": "add",
    "build": "build",
    "build_bm25": "bm25",
    "calibrate": "tune --reranker MODEL --queries FILE",
    "compact": "compact",
    "create": "create",
    "delete": "delete",
    "get": "get",
    "history": "recover",
    "info": "info",
    "recover": "recover",
    "replace": "add --on-duplicate replace",
    "rerank": "rerank",
    "search": "search",
    "tune": "tune",
    "verify": "verify",
}
"""Functions and methods of Python, each with the command that does the same."""

PHRASES = {"store_texts=True": "texts (leave out --no-texts)"}
"""Spellings of Python that no rule translates."""

PYTHON_ONLY = ("threshold",)
"""Arguments that the command line does not offer."""


def in_options(message: str, command: str | None = None) -> str:
    """Return a message of the library in the words of the command line.

    Parameters
    ----------
    message
        The text of an error, a note or an advice.
    command
        Name of the command that is running; its own options are preferred.

    Examples
    --------
    >>> in_options('leave it out with on_error="skip"', "build")
    'leave it out with --on-error skip'
    >>> in_options("train new ones with index.compact(retrain=True)")
    'train new ones with colstore compact --retrain'
    >>> in_options('run colstore.verify(path, level="deep")')
    'run colstore verify INDEX --deep'
    """
    for python, phrase in PHRASES.items():
        message = message.replace(python, phrase)
    message = _FIELD_NAMES.sub(r"--\1-field '\2'", message)
    message = _CALL.sub(lambda found: _command_line(found["name"], found["arguments"]) or found.group(), message)
    return _KEYWORD.sub(lambda found: _translated(found, command), message)


def _command_line(method: str, arguments: str) -> str | None:
    """Return a call as a command line; ``None`` for a method without a command."""
    if method not in METHODS:
        return None
    name = METHODS[method].split()[0]
    words = ["colstore", *METHODS[method].split()]
    for argument in re.findall(r"[^,]+", arguments):
        keyword = _KEYWORD.fullmatch(argument.strip())
        if keyword is not None:
            words.append(option_of(name, keyword["name"], _bare(keyword["value"])) or argument.strip())
        elif argument.strip() == "path":
            words.append("INDEX")
        elif argument.strip()[0] in "'\"":
            words.append(_bare(argument.strip()))
    return " ".join(words)


def _translated(found: re.Match[str], command: str | None) -> str:
    """Return one ``name=value`` as the option of the running command, else of another, else as it is."""
    name, value = found["name"], _bare(found["value"])
    if name in PYTHON_ONLY:
        return f"{found.group()} in Python"
    own = None if command is None else option_of(command, name, value)
    if own is not None:
        return own
    for other in _all_commands():
        option = option_of(other, name, value)
        if option is not None:
            return option if command is None else f"{option} of `colstore {other}`"
    return found.group()


def option_of(command: str, name: str, value: str) -> str | None:
    """Return the option of a command that sets an argument of Python to a value; ``None`` where it has none.

    Examples
    --------
    >>> option_of("add", "on_duplicate", "replace"), option_of("build", "on_duplicate", "replace")
    ('--on-duplicate replace', None)
    >>> option_of("verify", "level", "deep"), option_of("build", "overwrite", "True")
    ('--deep', '--overwrite')
    """
    for option in _options(command):
        if option.name != name:
            continue
        spelling = option.opts[-1]
        if option.is_flag:
            if value == ("True" if option.is_bool_flag else str(option.flag_value)):
                return spelling
        elif not isinstance(option.type, click.Choice) or value in option.type.choices:
            return f"{spelling} {shlex.quote(value)}"  # a glob, for one, is not for the shell
    return None


def _options(command: str) -> Iterator[click.Option]:
    if command in _all_commands():
        parameters = import_module(f"colstore.cli.{command}").command.params
        yield from (parameter for parameter in parameters if isinstance(parameter, click.Option))


@cache
def _all_commands() -> tuple[str, ...]:
    from colstore.cli import COMMANDS  # not at the top: the group of commands imports this module

    return COMMANDS


def _bare(value: str) -> str:
    return value.strip("'\"")
