"""``colstore delete``: takes documents out of an index."""

from __future__ import annotations

from typing import Any, Literal

import click

from colstore.cli.changes import json_option, show_report, wait_option
from colstore.cli.where import ids_option, where_option

_EPILOG = """\b
Example:
  $ colstore delete demo.colstore moon
  $ colstore delete demo.colstore moon sun --missing skip --json
  $ colstore delete demo.colstore --where \'{"year": {"lt": 1950, "exists": true}}\'
"""


@click.command("delete", epilog=_EPILOG)
@click.argument("index")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@ids_option(
    "Delete also the documents whose ids are in this file, one on each line ('-' reads standard input).",
    former_names=["--ids-from"],
)
@where_option
@click.option(
    "--missing",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="What to do with an id that is not in the index: stop and delete nothing, or count it and continue.",
)
@wait_option
@json_option
def command(
    index: str,
    ids: tuple[str, ...],
    ids_file: list[str] | None,
    where: dict[str, Any] | None,
    missing: Literal["error", "skip"],
    wait: float,
    as_json: bool,
) -> None:
    """Delete documents by their ids or by a filter.

    Deletes the documents with the given IDs, or those that --where allows, all in one step. With both, the documents
    with these IDs that --where allows are deleted. They are gone for every later search. Their bytes go when segments
    are merged (`colstore compact` does that at once) and older generations are removed (after ten minutes; `colstore
    compact --clean` at once).
    """
    import colstore

    names = [*ids, *(ids_file or ())]
    if not names and ids_file is None and where is None:
        raise click.UsageError("name at least one id, a file of ids with --ids, or a filter with --where")
    with colstore.open(index) as opened:
        chosen = None if not ids and ids_file is None else names
        report = opened.delete(chosen, where=where, missing=missing, wait=wait)
    show_report(index, report.to_json(), as_json=as_json)
