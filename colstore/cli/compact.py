"""``colstore compact``: segments merged, deleted documents gone."""

from __future__ import annotations

import click

from colstore.cli.changes import show_report
from colstore.cli.options import json_option, wait_option

_EPILOG = """\b
Example:
  $ colstore compact demo.colstore
  $ colstore compact demo.colstore --retrain --json
"""


@click.command("compact", epilog=_EPILOG)
@click.argument("index")
@click.option(
    "--retrain",
    is_flag=True,
    help="Also train new centroids on all vectors. Below 16 bits this rounds every vector a second time; building "
    "again from the documents is more exact.",
)
@click.option(
    "--clean",
    is_flag=True,
    help="Remove all older generations at once. `colstore recover` cannot go back to them afterwards.",
)
@wait_option
@json_option
def command(index: str, retrain: bool, clean: bool, wait: float, as_json: bool) -> None:
    """Merge segments, and remove deleted documents from the disk.

    Every copy is compared with its original before it replaces it. Others can search INDEX meanwhile.
    """
    import colstore

    with colstore.open(index) as opened:
        report = opened.compact(retrain=retrain, clean=clean, wait=wait)
    show_report(index, report.to_json(), as_json=as_json)
