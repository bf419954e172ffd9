"""``colstore compact``: segments merged, deleted documents gone."""

from __future__ import annotations

import click

from colstore.cli.changes import json_option, show_report, wait_option

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
    help="Train new centroids on all vectors, too. Below 16 bits that rounds every vector a second time: building "
    "again from the documents is more exact.",
)
@click.option("--clean", is_flag=True, help="Remove all older generations at once. Nobody can go back to them then.")
@wait_option
@json_option
def command(index: str, retrain: bool, clean: bool, wait: float, as_json: bool) -> None:
    """Merge the segments of INDEX, and drop what is deleted.

    What was copied is compared with what it was copied from before it counts. Readers go on undisturbed.
    """
    import colstore

    with colstore.open(index) as opened:
        report = opened.compact(retrain=retrain, clean=clean, wait=wait)
    show_report(index, report.to_json(), as_json=as_json)
