"""What goes wrong on the command line: one line on standard error, and a documented exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from colstore.cli.output import ReaderGoneError, one_line
from colstore.errors import ColstoreError, CorruptIndexError


class Failure(click.ClickException):
    """An error that ends the command, with a message that says what to do."""

    exit_code = 1

    def show(self, file: object = None) -> None:  # noqa: ARG002 - always standard error
        """Print ``colstore: error: ...`` as one line."""
        click.echo(f"colstore: error: {one_line(self.message)}", err=True)


class CorruptFailure(Failure):
    """A damaged index."""

    exit_code = 3


class Interruption(Failure):
    """Ctrl-C, with what it left behind (or an empty message)."""

    exit_code = 130

    def show(self, file: object = None) -> None:  # noqa: ARG002 - always standard error
        """Print ``colstore: interrupted: ...`` as one line."""
        ending = f": {one_line(self.message)}" if self.message else ""
        click.echo(f"colstore: interrupted{ending}", err=True)


def as_failure(error: ColstoreError | OSError | MemoryError) -> Failure:
    """Return the failure that an error ends as.

    Examples
    --------
    >>> from colstore.errors import ChecksumError, QueryError
    >>> as_failure(QueryError("no words")).exit_code, as_failure(ChecksumError("changed")).exit_code
    (1, 3)
    """
    message = str(error) or f"{type(error).__name__} (no details were given)"
    return CorruptFailure(message) if isinstance(error, CorruptIndexError) else Failure(message)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turn the errors that a user can do something about into failures; bugs keep their traceback.

    A reader of our output that left early (``| head``) has had enough: that ends quietly with exit code 0.
    """
    try:
        yield
    except ReaderGoneError as gone:
        _discard_output()
        raise click.exceptions.Exit(0) from gone
    except KeyboardInterrupt as interrupt:
        raise Interruption("") from interrupt
    except (ColstoreError, OSError, MemoryError) as error:
        raise as_failure(error) from error


def _discard_output() -> None:
    """Point standard output to nowhere, so that the interpreter's last flush cannot fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
