"""``colstore create``: an empty index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from colstore.cli.changes import json_option
from colstore.cli.options import passage_options, passages_of
from colstore.cli.output import emit, emit_json, one_line
from colstore.config import BITS, FROZEN_DTYPES, POOLINGS

_EPILOG = """\b
Example:
  $ colstore create notes.colstore --model embedded
  $ colstore create vectors.colstore --dim 128 --bits 2 --json
"""


@click.command("create", epilog=_EPILOG)
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--model",
    help="Folder or hub name of a late-interaction checkpoint or an ordinary encoder, or 'embedded' (the "
    "all-MiniLM-L6-v2 of the extra 'demo').",
)
@click.option(
    "--dim",
    type=click.IntRange(min=1),
    help="In place of a model: number of components of the vectors that documents and queries will bring.",
)
@click.option(
    "--bits",
    type=click.Choice([str(bits) for bits in BITS]),
    default="4",
    show_default=True,
    callback=lambda _context, _option, value: int(value),
    help="Bits stored for each component once there are enough documents to train on; 16 until then.",
)
@click.option(
    "--pool-factor",
    type=click.FloatRange(min=1.0),
    default=1.0,
    show_default=True,
    help="Keep about one vector in so many (token pooling).",
)
@click.option("--pooling", type=click.Choice(POOLINGS), default="hierarchical", show_default=True, help="How to pool.")
@click.option(
    "--max-tokens", type=click.IntRange(min=1), show_default="the model's limit", help="Most tokens of a document."
)
@click.option(
    "--query-length", type=click.IntRange(min=1), show_default="the model's own", help="Most tokens of a query."
)
@passage_options
@click.option("--no-texts", is_flag=True, help="Keep no titles, texts and metadata in the index.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that the checkpoint brings along.")
@click.option("--revision", help="Branch, tag or commit of a model from a hub.")
@click.option(
    "--device", show_default="the fastest there is", help="Where the model runs, for example 'cpu' or 'cuda:0'."
)
@click.option(
    "--frozen-dtype",
    type=click.Choice(FROZEN_DTYPES),
    default="float32",
    show_default=True,
    help="Precision of the weights of the query encoder that the index keeps.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of samples and of the random rotation.")
@json_option
def command(
    output: Path,
    as_json: bool,
    no_texts: bool,
    **settings: Any,  # noqa: ANN401 - options as given
) -> None:
    """Create an empty index at OUTPUT, to be filled by `colstore add`.

    It needs a model, or the number of components of vectors that come with the documents. Documents are kept at 16 bits
    until there are enough of them to train the codec on; the addition that reaches this converts the index.
    """
    import colstore

    if (settings["model"] is None) == (settings["dim"] is None):
        raise click.UsageError("give either --model or --dim; a projection (--dim beside a model) is built by `build`")
    settings["passages"] = passages_of(settings)
    with colstore.create(output, store_texts=not no_texts, **settings) as index:
        assert index.report is not None  # create leaves one
        report = {"index": str(output), "dim": index.dim, "notes": index.report.notes}
    if as_json:
        emit_json(report)
        return
    emit(f"{one_line(str(output))}: an empty index of {report['dim']:,} dimensions")
    for note in index.report.notes:
        emit(f"note: {one_line(note)}")
