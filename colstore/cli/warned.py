"""Warnings of the library on standard error: one line each, as errors are shown."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from colstore.cli.failures import advice_line
from colstore.cli.output import wrapped


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Print warnings of colstore's own categories as ``colstore: warning: ...``, others as Python does."""
    before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category.__module__.partition(".")[0] != "colstore":
            before(message, category, filename, lineno, file, line)
            return
        click.echo(wrapped(f"colstore: warning: {advice_line(str(message))}", sys.stderr, indent="  "), err=True)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
