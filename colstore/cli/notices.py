"""Warnings on standard error, one line each, such as on queries that the model cannot read whole."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from colstore.cli.output import message_line, wrapped
from colstore.errors import TruncatedQueryWarning, UnreadableQueryWarning

QUERY_WARNINGS = (TruncatedQueryWarning, UnreadableQueryWarning)


def show_warning(message: str) -> None:
    """Print ``colstore: warning: ...``: one line in a pipe, wrapped between words on a terminal."""
    click.echo(wrapped(f"colstore: warning: {message_line(message)}", sys.stderr, indent="  "), err=True)


@contextmanager
def query_warnings() -> Iterator[set[type[Warning]]]:
    """Show each warning about queries on one line as it comes, and yield the set of categories that came."""
    came: set[type[Warning]] = set()
    with warnings.catch_warnings():
        for category in QUERY_WARNINGS:
            warnings.simplefilter("always", category)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - the signature of warnings.showwarning
            if issubclass(category, QUERY_WARNINGS):
                came.add(category)
                show_warning(str(message))
            else:
                others(message, category, *arguments, **named)

        warnings.showwarning = show
        yield came


def warn_of_unreadable(report: Mapping[str, Any]) -> None:
    """Say that a corpus has documents which the model cannot read, if the report of a change counts some.

    Parameters
    ----------
    report
        The report of a build or of an addition, with ``unreadable`` and ``unreadable_examples``.
    """
    count = report.get("unreadable", 0)
    if count:
        names = ", ".join(repr(name) for name in report["unreadable_examples"])
        documents = "document is" if count == 1 else "documents are"
        show_warning(
            f"{count:,} {documents} mostly unknown to the model's vocabulary, which lacks the script (such as "
            f"{names}); a search by text does not find them; build with a model of that language"
        )
