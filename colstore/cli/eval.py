"""``colstore eval``: how good an index or a run is, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colstore.cli.output import emit, emit_json, size
from colstore.cli.progress import shown_progress

if TYPE_CHECKING:
    from colstore.evaluate import Evaluation

_EPILOG = """\b
Example:
  $ colstore eval demo.colstore --queries data --qrels data
  $ colstore eval demo.colstore --queries data --qrels data --save-run ours.trec
  $ colstore eval --run ours.trec --qrels data --baseline ours.trec --json

Intervals are percentile bootstrap over the queries (10,000 draws), p-values those of a paired, two-sided
randomisation test; both are seeded. Equal scores in a run are taken in the order of their ranks. A judged
query without hits counts 0.
"""


@click.command("eval", epilog=_EPILOG)
@click.argument("index", required=False, type=click.Path(path_type=Path))
@click.option(
    "--queries",
    type=click.Path(path_type=Path),
    help="Questions: a BEIR folder, JSONL or TSV. With --run, evaluate only these.",
)
@click.option(
    "--qrels",
    type=click.Path(path_type=Path),
    help="Judgements, BEIR or TREC; of a BEIR folder its qrels/test.tsv. By default those in the folder of --queries.",
)
@click.option("--run", type=click.Path(path_type=Path), help="Evaluate this run (TREC, MS MARCO, JSONL) instead.")
@click.option("--baseline", type=click.Path(path_type=Path), help="A run to compare with, query by query.")
@click.option("-k", type=click.IntRange(min=1), default=100, show_default=True, help="Hits of a query.")
@click.option(
    "--measure",
    "measures",
    multiple=True,
    show_default="nDCG@10, MRR@10, MAP, recall@k, success@5",
    help="A measure, as above or as ir-measures names it ('P(rel=2)@5'); can be given more than once.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap and the test.")
@click.option("--save-run", type=click.Path(path_type=Path), help="Write the rankings as a TREC run (also .gz).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, values of each query included.")
def command(
    index: Path | None,
    queries: Path | None,
    qrels: Path | None,
    run: Path | None,
    save_run: Path | None,
    as_json: bool,
    **settings: Any,  # noqa: ANN401 - options as given
) -> None:
    """Evaluate INDEX, or the run of --run, on judged questions.

    Questions are asked one by one on one thread, for the times. Where --run is given, INDEX only tells the bytes a
    document and may be left out.
    """
    from colstore.evaluate import save_run as write

    _check_usage(index, queries, qrels, run)
    settings["measures"] = settings["measures"] or None
    found = _evaluated(index, queries, qrels or queries, run, settings)
    if save_run is not None:
        write(save_run, found.run)
    if as_json:
        emit_json(found.to_json())
        return
    for line in lines(found):
        emit(line)


def _check_usage(index: Path | None, queries: Path | None, qrels: Path | None, run: Path | None) -> None:
    if index is None and run is None:
        raise click.UsageError("name an INDEX to evaluate, or a run with --run")
    if run is None and queries is None:
        raise click.UsageError("--queries is needed to ask the index something")
    if qrels is None and queries is None:
        raise click.UsageError("--qrels is needed: judgements to evaluate with")


def _evaluated(
    index: Path | None, queries: Path | None, qrels: Path | None, run: Path | None, settings: dict[str, Any]
) -> Evaluation:
    from dataclasses import replace

    import colstore
    from colstore.evaluate import evaluate_index, evaluate_run
    from colstore.evaluate.evaluation import index_bytes

    assert qrels is not None  # _check_usage
    if run is None:
        assert index is not None
        assert queries is not None
        with shown_progress() as progress:
            return evaluate_index(index, queries, qrels, progress=progress, **settings)
    found = evaluate_run(run, qrels, queries=queries, **settings)
    if index is None:
        return found
    with colstore.open(index) as opened:
        return replace(found, bytes_per_document=index_bytes(opened) / max(1, len(opened)))


def lines(found: Evaluation) -> Iterator[str]:
    """Yield the figures for people."""
    percent = f"{100 * float(str(found.settings['confidence'])):g} %"
    width = max(len(name) for name in found.intervals)
    head = f"{'':{width}}  mean    {percent} interval"
    yield head + (f"   {'minus baseline':28}  p" if found.differences else "")
    for name, interval in found.intervals.items():
        line = f"{name:{width}}  {interval.mean:.4f}  {interval.low:.4f} - {interval.high:.4f}"
        change = found.differences.get(name)
        if change is not None:
            line += f"   {change.mean:+.4f} ({change.low:+.4f} to {change.high:+.4f})  {_p(change.p)}"
        yield line
    yield f"{found.coverage.queries:,} queries, {found.settings['k']} hits each"
    for note in found.coverage.notes():
        yield f"note: {note}"
    if found.latency is not None:
        spent = found.latency
        yield (
            f"a query takes {spent.median:.2f} ms (median), {spent.p95:.2f} ms (95th percentile) on one thread, "
            f"of which encoding {spent.encode:.2f} ms"
        )
    if found.bytes_per_document is not None:
        yield f"a document takes {size(round(found.bytes_per_document))} (without texts, metadata and query encoder)"


def _p(p: float) -> str:
    """Return a p-value for people.

    >>> _p(0.0312), _p(0.00001)
    ('0.031', '<0.001')
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"
