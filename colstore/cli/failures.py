"""How commands fail: one message on standard error, and one table of exit codes for all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from colstore.cli.output import ReaderGoneError, message_line, wrapped
from colstore.cli.translate import in_options
from colstore.errors import ColstoreError, CorruptIndexError

EXIT_CODES = {
    0: "success",
    1: "an error that colstore names: invalid input, no such index, a full disk",
    2: "a command line that cannot be understood",
    3: "a damaged index",
    130: "interrupted with Ctrl-C",
}
"""Every exit code and its meaning, the same for all commands."""


class Failure(click.ClickException):
    """An error that ends the command, with a message that says what to do."""

    exit_code = 1
    kind = "error"

    def show(self, file: Any = None) -> None:  # noqa: ANN401, ARG002 - click's signature; always standard error
        """Print ``colstore: error: ...``: one line in a pipe, wrapped between words on a terminal."""
        ending = f": {message_line(self.message)}" if self.message else ""
        click.echo(wrapped(f"colstore: {self.kind}{ending}", sys.stderr, indent="  "), err=True)


class CorruptFailure(Failure):
    """A damaged index."""

    exit_code = 3


class Interruption(Failure):
    """Ctrl-C; the message says what the command left behind and may be empty."""

    exit_code = 130
    kind = "interrupted"


def as_failure(error: ColstoreError | OSError | MemoryError) -> Failure:
    """Return the failure that an error becomes, its message in the words of the command line.

    Examples
    --------
    >>> from colstore.errors import ChecksumError, QueryError
    >>> as_failure(QueryError("no words")).exit_code, as_failure(ChecksumError("changed")).exit_code
    (1, 3)
    >>> as_failure(QueryError('keep them with missing="last"')).message
    'keep them with --missing last'
    """
    message = in_options(str(error), running_command()) or f"{type(error).__name__} (no details were given)"
    return CorruptFailure(message) if isinstance(error, CorruptIndexError) else Failure(message)


def running_command() -> str | None:
    """Return the name of the command that is running, as it was called; ``None`` outside of one."""
    context = click.get_current_context(silent=True)
    if context is None:
        return None
    return context.invoked_subcommand or context.command.name


def advice_line(text: str) -> str:
    """Return a note or an advice of the library on one line, in the words of the command line."""
    return message_line(in_options(text, running_command()))


def refuse_to_replace(path: Path | None, *, overwrite: bool) -> None:
    """Refuse a file that cannot be written, or that exists without the caller having allowed to replace it.

    Raises
    ------
    Failure
        The file exists, and ``overwrite`` is false; or the path is a folder, or lies in none.
    """
    if path is None:
        return
    if not overwrite and path.is_file():
        raise Failure(f"{path}: the file exists already; choose another, or replace it with --overwrite")
    if path.is_dir():
        raise Failure(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise Failure(f"{path}: there is no folder {str(path.parent)!r}; make it first")


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turn the errors that a user can do something about into failures; bugs keep their traceback.

    Where the reader of standard output has closed it (``| head``), the command ends quietly with exit code 0.
    """
    try:
        yield
    except ReaderGoneError as gone:
        _discard_output()
        raise click.exceptions.Exit(0) from gone
    except KeyboardInterrupt as interrupt:
        raise Interruption(advice_line(str(interrupt))) from interrupt  # without details: nothing was committed
    except (ColstoreError, OSError, MemoryError) as error:
        raise as_failure(error) from error


def _discard_output() -> None:
    """Point standard output to nowhere, so that the interpreter's last flush cannot fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
