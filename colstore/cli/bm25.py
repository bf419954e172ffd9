"""``colstore bm25``: a BM25 index beside the vectors, for hybrid search."""

from __future__ import annotations

import click

from colstore.cli.output import emit, emit_json
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
    help="Texts to terms: without stop words and stemmed, or plain words in lower case.",
)
@click.option("--wait", type=click.FloatRange(min=0), default=0, help="Seconds to wait for another writer.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(index: str, analyzer: str, wait: float, as_json: bool) -> None:
    """Make the BM25 index that `search --first-stage bm25` takes candidates from; it is stored in INDEX.

    It has to be made again after documents were added, or the index compacted. Needs the extra
    'bm25'.
    """
    import colstore

    with colstore.open(index) as opened:
        report = opened.build_bm25(analyzer=analyzer, wait=wait)  # type: ignore[arg-type]  # one of the choices
        info = opened.info()
    if as_json:
        emit_json({**report.to_json(), "bytes": info.bytes["lexical"]})
    else:
        emit(f"BM25 index of {info.documents:,} documents: {info.bytes['lexical']:,} bytes")
