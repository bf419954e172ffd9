"""``colstore bm25``: a BM25 index beside the vectors, for hybrid search."""

from __future__ import annotations

import click

from colstore.cli.options import json_option, wait_option
from colstore.cli.output import emit, emit_json, one_line, size
from colstore.lexical.analyzers import ANALYZERS

_EPILOG = """\b
Example:
  $ colstore bm25 demo.colstore
  $ colstore bm25 demo.colstore --analyzer plain --json
"""


@click.command("bm25", epilog=_EPILOG)
@click.argument("index")
@click.option(
    "--analyzer",
    type=click.Choice(ANALYZERS),
    default="english",
    show_default=True,
    help="How texts become terms: 'english' leaves out stop words and stems, 'plain' takes every word in lower case.",
)
@wait_option
@json_option
def command(index: str, analyzer: str, wait: float, as_json: bool) -> None:
    """Make the BM25 index that hybrid search needs.

    `colstore search --first-stage bm25` takes candidates from it. It is stored in INDEX. Run this command again after
    documents were added or the index was compacted. Needs the extra
    'bm25'.
    """
    import colstore

    with colstore.open(index) as opened:
        report = opened.build_bm25(analyzer=analyzer, wait=wait)  # type: ignore[arg-type]  # one of the choices
        info = opened.info()
    if as_json:
        emit_json({"index": index, **report.to_json(), "bytes": info.bytes["lexical"]})
    else:
        emit(f"{one_line(index)}: BM25 index of {info.documents:,} documents, {size(info.bytes['lexical'])}")
