"""``colstore compare``: which way to search, on your own data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colstore.cli.failures import Interruption, advice_line
from colstore.cli.options import (
    ONE_OR_MORE,
    allow_pickle_option,
    backend_option,
    depth_option,
    device_option,
    ignore_identical_ids_option,
    json_option_for,
    k_option,
    model_option,
    on_duplicate_option,
    on_error_option,
    overwrite_option,
    qrels_option,
    queries_option,
    reranker_option,
    seed_option,
    trust_remote_code_option,
)
from colstore.cli.output import emit, emit_json, emit_prose
from colstore.cli.progress import shown_progress
from colstore.config import BITS
from colstore.errors import ColstoreError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from colstore.evaluate import Comparison

WIDTH = 160
"""Width of the table where standard output is not a terminal."""
LEAST_NEEDED = ("p95 ms", "build s", "recall", "interval")
"""Columns that are left out on a narrow terminal, the first of these first."""

_EPILOG = """\b
Example:
  $ colstore compare data --queries data -o which
  $ colstore compare data --queries data --skip mean --skip bm25 --max-queries 50 --json

With -o, the folder gets table.csv, comparison.json, plot.png, plot.svg and report.html, which is complete in itself.
Needs the extra 'demo', or else 'encode', 'bm25' and 'plot'.

The rows are bm25, mean, exact, 16-bit, 8-bit, 4-bit, 2-bit, 1-bit, pool-2, pool-3, bm25-maxsim, cross-always and
cross-uncertain.
"""


def _numbers(_context: click.Context, option: click.Parameter, value: str) -> list[float]:
    try:
        return [float(part) for part in value.split(",") if part.strip()]
    except ValueError as error:
        raise click.BadParameter(f"expected numbers separated by commas, got {value!r}", param=option) from error


@click.command("compare", epilog=_EPILOG)
@click.argument("corpus")
@queries_option("Queries with judgements: a BEIR folder, a JSONL or a TSV file.", required=True)
@qrels_option
@model_option
@click.option(
    "--bi-encoder",
    metavar="MODEL",
    show_default="the mean of the token vectors",
    help="Model for the row with one vector for each document.",
)
@reranker_option("Cross-encoder for the last stage (folder or hub name); its rows are left out without one.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder for the table, plot and report."
)
@overwrite_option("Replace a report that is in the folder already.")
@click.option(
    "--save-runs",
    is_flag=True,
    help="Also write the ranking of each row to the output folder: TREC runs, or JSON Lines if ids hold white space.",
)
@click.option(
    "--bits",
    default=",".join(map(str, BITS)),
    metavar="N,N,...",
    show_default=True,
    callback=_numbers,
    help="Bits of the codecs to try.",
)
@click.option(
    "--pool-factors",
    default="2,3",
    metavar="X,X,...",
    show_default=True,
    callback=_numbers,
    help="Factors of token pooling to try.",
)
@k_option(100, "Number of hits for each query, for recall and for the times.")
@click.option(
    "--bm25-candidates",
    type=ONE_OR_MORE,
    default=100,
    metavar="N",
    show_default=True,
    help="Number of BM25 candidates that MaxSim ranks again in the row bm25-maxsim.",
)
@depth_option
@click.option(
    "--max-queries",
    type=ONE_OR_MORE,
    metavar="N",
    show_default="all",
    help="Largest number of queries to use, drawn at random.",
)
@click.option("--skip", multiple=True, metavar="ROW", help="Leave out a row; can be given several times.")
@click.option(
    "--keep-vectors",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Keep the vectors of the documents in this folder, and use those that an earlier run kept there.",
)
@click.option(
    "--work-folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    show_default="where the system keeps them",
    help="Folder for temporary files.",
)
@backend_option
@device_option
@trust_remote_code_option
@allow_pickle_option
@on_error_option
@on_duplicate_option("error", "skip", what="Id that occurs a second time, or pair that is judged twice")
@ignore_identical_ids_option
@seed_option("drawing queries, builds, intervals and tests")
@json_option_for("everything, instead of the table,")
def command(
    corpus: str,
    queries: Path,
    qrels: Path | None,
    output: Path | None,
    overwrite: bool,
    save_runs: bool,
    reranker: str | None,
    as_json: bool,
    **settings: Any,  # noqa: ANN401 - options as the user gave them
) -> None:
    """Compare every way to search on your own corpus and queries.

    Tried are BM25; one vector for each document; late interaction, exact and with each codec and pool factor; BM25
    then MaxSim; and MaxSim then a cross-encoder. The documents of CORPUS are encoded once for all of them. Times are
    those of one thread.
    """
    from colstore.evaluate import compare, save_comparison
    from colstore.evaluate.report import check_folder

    config = _config(settings)
    if output is not None:
        check_folder(output, overwrite=overwrite)
    elif save_runs:
        raise click.UsageError("--save-runs needs a folder: -o FOLDER")
    with _interruption_explained(), shown_progress() as progress:
        found = compare(
            corpus, queries, qrels or queries, config=config, cross_encoder=reranker, progress=progress, **settings
        )
    notes: list[str] = []
    failure: ColstoreError | OSError | None = None
    try:
        if output is not None:
            notes = save_comparison(found, output, runs=save_runs, overwrite=overwrite)
    except (ColstoreError, OSError) as error:  # the figures are printed all the same
        failure = error
    if as_json:
        emit_json(found.to_json())
    else:
        _show(found, notes)
    if failure is not None:
        raise failure
    if output is not None:
        click.echo(f"colstore: the report is {output / 'report.html'}", err=True)


def _config(settings: dict[str, Any]) -> Any:  # noqa: ANN401 - a CompareConfig, imported here
    """Take out of the settings what says which ways are compared."""
    from colstore.evaluate import CompareConfig

    names = ("bits", "pool_factors", "k", "bm25_candidates", "rerank_depth", "max_queries", "skip", "seed")
    values = {name: settings.pop(name) for name in names}
    values["bits"] = tuple(int(bits) if bits == int(bits) else bits for bits in values["bits"])
    return CompareConfig(**values)


@contextmanager
def _interruption_explained() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        message = (
            "no report was written, and temporary files are removed; with --keep-vectors FOLDER, the next run uses the "
            "vectors that this one has made"
        )
        raise Interruption(message) from interrupt


def _show(found: Comparison, notes: list[str]) -> None:
    """Print the table, the advice, and the notes, for people."""
    for line in _table(found):
        emit(line)
    emit("")
    emit_prose(" ".join(found.advice))
    for note in (*found.coverage.notes(), *found.notes, *notes):
        emit_prose(f"note: {advice_line(note)}", indent="  ")


def _table(found: Comparison) -> list[str]:
    """Return the table in lines; on a narrow terminal without the columns that matter least."""
    from rich.console import Console

    at_terminal = sys.stdout.isatty()
    console = Console(width=None if at_terminal else WIDTH, highlight=False, no_color=not at_terminal)
    left_out: list[str] = []
    table = _drawn(found, left_out)
    for column in LEAST_NEEDED:
        if _width(console, table) <= console.width:
            break
        left_out.append(column)
        table = _drawn(found, left_out)
    console.width = max(console.width, _width(console, table))  # what still does not fit is wrapped, and not cut
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return [*lines, f"(for lack of room without {', '.join(left_out)}: see --json or -o)"] if left_out else lines


def _width(console: Console, table: Table) -> int:
    """Return how many columns of a terminal a table needs."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=1000), table).maximum


def _drawn(found: Comparison, left_out: list[str]) -> Table:
    """Return the table without some of its columns."""
    from rich.table import Table

    from colstore.evaluate.advice import amount

    percent = f"{100 * float(str(found.settings['confidence'])):g} % interval"
    recall = f"recall@{found.settings['k']}"
    heads = {"interval": percent, "recall": recall}
    best = max(row.ndcg for row in found.rows)
    table = Table(title=f"{found.documents:,} documents, {len(found.queries):,} queries", title_justify="left")
    table.add_column("way", no_wrap=True)
    for number, row in enumerate(found.rows):
        interval = row.intervals["nDCG@10"]
        cells = {
            "nDCG@10": f"{row.ndcg:.4f}",
            "interval": f"{interval.low:.3f} - {interval.high:.3f}",
            "recall": f"{row.intervals[recall].mean:.3f}",
            "ms/query": f"{row.latency.median:.2f}",
            "p95 ms": f"{row.latency.p95:.2f}",
            "build s": f"{row.build_seconds + row.encode_seconds:,.1f}",
            "size/document": amount(row.bytes_per_document),
        }
        shown = {name: cell for name, cell in cells.items() if name not in left_out}
        if not number:
            for name in shown:
                table.add_column(heads.get(name, name), justify="right", no_wrap=True)
        table.add_row(row.label, *shown.values(), style="bold" if row.ndcg == best else None)
    return table
