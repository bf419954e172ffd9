"""``colstore eval``: how good an index or a run is, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colstore.cli.failures import advice_line, as_failure, refuse_to_replace
from colstore.cli.notices import show_warning
from colstore.cli.options import (
    ignore_identical_ids_option,
    json_option_for,
    k_option,
    layout_option,
    on_duplicate_option,
    overwrite_option,
    qrels_option,
    queries_option,
    search_params_of,
    search_params_options,
    seed_option,
)
from colstore.cli.output import emit, emit_json, emit_prose, size
from colstore.cli.progress import shown_progress
from colstore.errors import CorpusError

if TYPE_CHECKING:
    from colstore.config import SearchParams
    from colstore.evaluate import Evaluation

_EPILOG = """\b
Example:
  $ colstore eval demo.colstore --queries data --qrels data
  $ colstore eval demo.colstore --queries data --qrels data --save-run ours.trec
  $ colstore eval --run ours.trec --qrels data --baseline ours.trec --json

Intervals come from a percentile bootstrap over the queries (10,000 draws), p-values from a paired, two-sided
randomisation test; both use the seed. Hits of equal score in a run keep the order of their ranks. A query with
judgements and without hits counts as 0. Needs an extra: pip install 'colstore-index[eval]'
"""


@click.command("eval", epilog=_EPILOG)
@click.argument("index", required=False, type=click.Path(path_type=Path))
@queries_option(
    "Queries: a BEIR folder, a JSONL or a TSV file. With --run, only these queries of the run are evaluated."
)
@qrels_option
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Evaluate this run (TREC, MS MARCO or JSONL) instead.",
)
@click.option(
    "--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Run to compare with, query by query."
)
@k_option(100, "Number of hits for each query.")
@search_params_options
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="NAME",
    show_default="nDCG@10, MRR@10, MAP, recall@k, success@5",
    help="Measure to report, named as above or as in ir-measures ('P(rel=2)@5'); can be given several times.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    metavar="SHARE",
    show_default=True,
    help="Confidence level of the intervals.",
)
@seed_option("the bootstrap and the test")
@click.option(
    "--save-run",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the rankings as a run, gzipped if the name ends in .gz.",
)
@layout_option("the run of --save-run")
@overwrite_option("Replace the file of --save-run.")
@ignore_identical_ids_option
@on_duplicate_option(
    "error", "skip", what="Pair that is judged twice, or document that occurs twice for a query of a run"
)
@json_option_for("everything, with the values of each query,")
def command(
    index: Path | None,
    queries: Path | None,
    qrels: Path | None,
    run: Path | None,
    save_run: Path | None,
    layout: str | None,
    overwrite: bool,
    as_json: bool,
    exact: bool,
    probes: int | None,
    candidates: int | None,
    scored: int | None,
    **settings: Any,  # noqa: ANN401 - options as the user gave them
) -> None:
    """Measure the accuracy of an index, or of a run, on judged queries.

    The queries are searched one by one on one thread, so that the times are comparable. With --run, INDEX may be left
    out; it then only gives the bytes for each document.
    """
    from colstore.evaluate import save_run as write

    _check_usage(index, queries, qrels, run)
    params = search_params_of(exact=exact, probes=probes, candidates=candidates, scored=scored)
    if params is not None and run is not None:
        raise click.UsageError("--exact, --probes, --candidates and --scored need an INDEX to search, not a --run")
    refuse_to_replace(save_run, overwrite=overwrite)
    if save_run is not None and index is not None and run is None:
        _warn_of_ids(index, save_run, layout)
    settings["measures"] = settings["measures"] or None
    found = _evaluated(index, queries, qrels or queries, run, params, settings)
    _print(found, as_json=as_json)
    if save_run is not None:  # last, so that no failure of writing can take the figures away
        write(save_run, found.run, layout=layout)


def _warn_of_ids(index: Path, save_run: Path, layout: str | None) -> None:
    """Say before the evaluation that the run cannot be written; the figures do not depend on it."""
    import colstore
    from colstore.corpus.run_layout import layout_for
    from colstore.corpus.runs import check_ids_fit

    with colstore.open(index) as opened:
        try:
            check_ids_fit(opened.ids(), layout_for(save_run, layout))
        except CorpusError as error:
            show_warning(f"{as_failure(error).message}. The run may fail to be written; the figures are printed before")


def _print(found: Evaluation, *, as_json: bool) -> None:
    if as_json:
        emit_json(found.to_json())
        return
    for line in table(found):
        emit(line)
    for line in remarks(found):
        emit_prose(line, indent="  ")


def _check_usage(index: Path | None, queries: Path | None, qrels: Path | None, run: Path | None) -> None:
    if index is None and run is None:
        raise click.UsageError("name an INDEX to evaluate, or a run with --run")
    if run is None and queries is None:
        raise click.UsageError("--queries is needed: queries to search the index for")
    if qrels is None and queries is None:
        raise click.UsageError("--qrels is needed: judgements to evaluate with")


def _evaluated(
    index: Path | None,
    queries: Path | None,
    qrels: Path | None,
    run: Path | None,
    params: SearchParams | None,
    settings: dict[str, Any],
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
            return evaluate_index(index, queries, qrels, params=params, progress=progress, **settings)
    found = evaluate_run(run, qrels, queries=queries, **settings)
    if index is None:
        return found
    with colstore.open(index) as opened:
        return replace(found, bytes_per_document=index_bytes(opened) / max(1, len(opened)))


def table(found: Evaluation) -> Iterator[str]:
    """Yield a line of figures for each measure."""
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


def remarks(found: Evaluation) -> Iterator[str]:
    """Yield what the figures rest on, and what a query and a document cost."""
    yield f"{found.coverage.queries:,} queries, {found.settings['k']} hits each"
    for note in found.coverage.notes():
        yield f"note: {advice_line(note)}"
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
