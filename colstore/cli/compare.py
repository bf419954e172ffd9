"""``colstore compare``: which way to search, on your own data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colstore.cli.failures import Interruption
from colstore.cli.output import emit, emit_json
from colstore.cli.progress import shown_progress
from colstore.config import BACKENDS, BITS

if TYPE_CHECKING:
    from colstore.evaluate import Comparison

WIDTH = 160
"""Letters a line of the table may have where standard output is no terminal."""

_EPILOG = """\b
Example:
  $ colstore compare data --queries data -o which
  $ colstore compare data --queries data --skip mean --skip bm25 --limit 50 --json

With -o, the folder gets table.csv, comparison.json, plot.png, plot.svg and report.html (which needs nothing else).
Needs the extra 'demo', or else 'encode', 'bm25' and 'plot'. Rows: bm25, mean, exact,
16-bit, 8-bit, 4-bit, 2-bit, 1-bit, pool-2, pool-3, bm25-maxsim, cross-always, cross-uncertain.
"""


def _numbers(_context: click.Context, option: click.Parameter, value: str) -> list[float]:
    try:
        return [float(part) for part in value.split(",") if part.strip()]
    except ValueError as error:
        raise click.BadParameter(f"numbers separated by commas are needed, got {value!r}", param=option) from error


@click.command("compare", epilog=_EPILOG)
@click.argument("corpus")
@click.option("--queries", required=True, type=click.Path(path_type=Path), help="A BEIR folder, JSONL or TSV.")
@click.option(
    "--qrels",
    type=click.Path(path_type=Path),
    help="Judgements, BEIR or TREC; of a BEIR folder its qrels/test.tsv. By default those in the folder of --queries.",
)
@click.option("--model", default="embedded", show_default=True, help="Of token vectors, as for 'colstore build'.")
@click.option("--bi-encoder", help="Model of the row with one vector a document; else the mean of the token vectors.")
@click.option("--cross-encoder", help="Model of the last stage; its rows are left out without one.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for table, plot and report.")
@click.option("--overwrite", is_flag=True, help="Replace a report that is there.")
@click.option("--save-runs", is_flag=True, help="Write the rankings of each row, too (TREC), into the output folder.")
@click.option("--bits", default=",".join(map(str, BITS)), show_default=True, callback=_numbers, help="Codecs to try.")
@click.option("--pool-factors", default="2,3", show_default=True, callback=_numbers, help="Token pooling to try.")
@click.option("-k", type=click.IntRange(min=1), default=100, show_default=True, help="Hits of a query.")
@click.option(
    "--candidates", type=click.IntRange(min=1), default=100, show_default=True, help="Of BM25, that MaxSim reranks."
)
@click.option(
    "--read",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Of MaxSim, that a cross-encoder may read.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Most queries to use, drawn at random.")
@click.option("--skip", multiple=True, metavar="ROW", help="Leave a row out; can be given more than once.")
@click.option(
    "--keep-vectors", type=click.Path(path_type=Path), help="Folder that keeps the documents' vectors, for another run."
)
@click.option("--work-folder", type=click.Path(path_type=Path), help="Where temporary files go.")
@click.option(
    "--backend", type=click.Choice(["auto", *BACKENDS]), default="auto", show_default=True, help="As for build."
)
@click.option("--device", show_default="the fastest there is", help="Where models run.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that a checkpoint brings along.")
@click.option(
    "--on-error",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="A document that cannot be read.",
)
@click.option(
    "--on-duplicate",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="An id that came before.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of drawing, builds, bootstrap and tests.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead of the table.")
def command(
    corpus: str,
    queries: Path,
    qrels: Path | None,
    output: Path | None,
    overwrite: bool,
    save_runs: bool,
    as_json: bool,
    **settings: Any,  # noqa: ANN401 - options as given
) -> None:
    """Try every way to search on CORPUS with judged queries, side by side.

    BM25; one vector a document; late interaction, exact and at each codec and pool factor; BM25 then MaxSim; MaxSim
    then a cross-encoder. Documents are encoded once, for all of them. Times are of one thread.
    """
    from colstore.evaluate import compare, save_comparison
    from colstore.evaluate.report import check_folder

    plan = _plan(settings)
    if output is not None:
        check_folder(output, overwrite=overwrite)
    elif save_runs:
        raise click.UsageError("--save-runs needs a folder: -o")
    with _interruption_told(), shown_progress() as progress:
        found = compare(corpus, queries, qrels or queries, plan=plan, progress=progress, **settings)
    notes = [] if output is None else save_comparison(found, output, runs=save_runs, overwrite=overwrite)
    if as_json:
        emit_json(found.to_json())
    else:
        for line in lines(found, notes):
            emit(line)
    if output is not None:
        click.echo(f"colstore: the report is {output / 'report.html'}", err=True)


def _plan(settings: dict[str, Any]) -> Any:  # noqa: ANN401 - a CompareConfig, imported here
    """Take what belongs to the plan out of the settings."""
    from colstore.evaluate import CompareConfig

    names = ("bits", "pool_factors", "k", "candidates", "read", "limit", "skip", "seed")
    given = {name: settings.pop(name) for name in names}
    given["bits"] = tuple(int(bits) if bits == int(bits) else bits for bits in given["bits"])
    return CompareConfig(**given)


@contextmanager
def _interruption_told() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        message = "no report was written; temporary files are removed (--keep-vectors would keep what was encoded)"
        raise Interruption(message) from interrupt


def lines(found: Comparison, notes: list[str]) -> Iterator[str]:
    """Yield the table, the advice, and what there is to know, for people."""
    yield from _table(found)
    yield ""
    yield " ".join(found.advice)
    for note in (*found.coverage.notes(), *found.notes, *notes):
        yield f"note: {note}"


def _table(found: Comparison) -> list[str]:
    from rich.console import Console
    from rich.table import Table

    from colstore.evaluate.advice import amount

    table = Table(title=f"{found.documents:,} documents, {len(found.queries):,} queries", title_justify="left")
    table.add_column("way", no_wrap=True)
    percent = f"{100 * float(str(found.settings['confidence'])):g} % interval"
    recall = f"recall@{found.settings['k']}"
    for name in ("nDCG@10", percent, recall, "ms", "p95 ms", "build s", "a document"):
        table.add_column(name, justify="right", no_wrap=True)
    best = max(row.ndcg for row in found.rows)
    for row in found.rows:
        interval = row.intervals["nDCG@10"]
        table.add_row(
            row.label,
            f"{row.ndcg:.4f}",
            f"{interval.low:.3f} - {interval.high:.3f}",
            f"{row.intervals[recall].mean:.3f}",
            f"{row.latency.median:.2f}",
            f"{row.latency.p95:.2f}",
            f"{row.build_seconds + row.encode_seconds:,.1f}",
            amount(row.bytes_per_document),
            style="bold" if row.ndcg == best else None,
        )
    at_terminal = sys.stdout.isatty()
    console = Console(width=None if at_terminal else WIDTH, highlight=False, no_color=not at_terminal)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]
