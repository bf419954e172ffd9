"""``colstore create``: an empty index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from colstore.cli.options import (
    ONE_OR_MORE,
    allow_pickle_option,
    codec_options,
    device_option,
    encoder_options,
    json_option,
    passage_options,
    passages_of,
    seed_option,
    trust_remote_code_option,
)
from colstore.cli.output import emit, emit_json, one_line

_EPILOG = """\b
Example:
  $ colstore create notes.colstore --model embedded
  $ colstore create vectors.colstore --dim 128 --bits 2 --json
"""


@click.command("create", epilog=_EPILOG)
@click.argument("output", type=click.Path(path_type=Path), metavar="INDEX")
@click.option("--model", metavar="MODEL", help="Model of documents and queries, as for `colstore build`.")
@click.option(
    "--dim",
    type=ONE_OR_MORE,
    metavar="N",
    help="Without a model: number of components of the vectors that documents and queries bring.",
)
@codec_options
@encoder_options
@passage_options
@trust_remote_code_option
@allow_pickle_option
@device_option
@seed_option("every sample and random rotation")
@json_option
def command(
    output: Path,
    as_json: bool,
    no_texts: bool,
    **settings: Any,  # noqa: ANN401 - options as given
) -> None:
    """Create an empty index, to be filled by `colstore add`.

    It needs a model, or the number of components of the vectors that documents bring. Documents are kept at 16 bits
    until there are enough of them to train the codec; the addition that reaches this number converts the index.
    """
    import colstore

    if (settings["model"] is None) == (settings["dim"] is None):
        raise click.UsageError("give either --model or --dim; `colstore build --dim` trains a projection")
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
