"""``colstore delete``: documents out of an index."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from colstore.cli.changes import json_option, show_report, wait_option
from colstore.errors import CorpusError

_EPILOG = """\b
Example:
  $ colstore delete demo.colstore moon
  $ colstore delete demo.colstore moon sun --missing skip --json
"""


@click.command("delete", epilog=_EPILOG)
@click.argument("index")
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option(
    "--ids-from",
    type=click.File("r", encoding="utf-8"),
    help="File with one id on each line ('-': standard input), besides those named.",
)
@click.option(
    "--missing",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="An id that INDEX does not hold: delete nothing at all, or count it and go on.",
)
@wait_option
@json_option
def command(
    index: str, ids: tuple[str, ...], ids_from: Iterable[str] | None, missing: str, wait: float, as_json: bool
) -> None:
    """Delete the documents with these IDs from INDEX, all in one step.

    They are gone for every later search. Their bytes go when segments are merged (`colstore compact` does that at
    once) and older generations are removed (after ten minutes; `colstore compact --clean` at once).
    """
    import colstore

    wanted = [*ids, *_lines(ids_from)]
    if not wanted:
        raise click.UsageError("name at least one id, or a file of ids with --ids-from")
    with colstore.open(index) as opened:
        report = opened.delete(wanted, missing=missing, wait=wait)  # type: ignore[arg-type]  # click checked it
    show_report(index, report.to_json(), as_json=as_json)


def _lines(file: Iterable[str] | None) -> list[str]:
    try:
        return [] if file is None else [line.rstrip("\r\n") for line in file if line.strip()]
    except UnicodeDecodeError as error:
        name = Path(getattr(file, "name", "the file of ids")).name
        raise CorpusError(f"ids must be UTF-8: {error.reason}", source=name) from error
