"""``colstore tune``: the cheapest search settings that find what exhaustive search finds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colstore.cli.options import (
    ONE_OR_MORE,
    allow_pickle_option,
    depth_option,
    json_option,
    k_option,
    keep_option,
    queries_option,
    reranker_option,
    stage_of,
    trust_remote_code_option,
)
from colstore.cli.output import emit_json, emit_prose
from colstore.cli.progress import shown_progress

if TYPE_CHECKING:
    from colstore.rerank.calibrate import Calibration
    from colstore.rerank.stage import RerankStage
    from colstore.search.tune import TuneReport

_EPILOG = """\b
Example:
  $ colstore tune demo.colstore --queries data/queries.jsonl --recall 0.98
  $ colstore tune demo.colstore --json
"""


@click.command("tune", epilog=_EPILOG)
@click.argument("index")
@queries_option(
    "Queries like those to come: a BEIR folder, a JSONL or a TSV file. Without it, pieces of documents stand in, which "
    "are easier than real queries."
)
@k_option(10, "Number of hits that recall is measured on.")
@click.option(
    "--recall",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=0.99,
    metavar="SHARE",
    show_default=True,
    help="Share of the exact best -k hits to find.",
)
@click.option(
    "--max-queries",
    type=ONE_OR_MORE,
    default=300,
    metavar="N",
    show_default=True,
    help="Largest number of queries to use.",
)
@reranker_option(
    "Also find the threshold of `--policy uncertain` for this cross-encoder (folder or hub name). Needs --queries."
)
@depth_option
@keep_option
@trust_remote_code_option
@allow_pickle_option
@json_option
def command(
    index: str,
    queries: Path | None,
    k: int,
    recall: float,
    max_queries: int,
    reranker: str | None,
    rerank_depth: int,
    keep: float,
    trust_remote_code: bool,
    allow_pickle: bool,
    as_json: bool,
) -> None:
    """Find and store the fastest search settings for a recall.

    Later searches in INDEX use them, unless a search has settings of its own (such as `colstore search --exact`).
    """
    import colstore
    from colstore.corpus import read_queries

    if reranker is not None and queries is None:
        raise click.UsageError("--reranker needs --queries: pieces of documents cannot stand in for queries here")
    with colstore.open(index) as opened:
        texts = None if queries is None else [query.text for query in islice(read_queries(queries), max_queries)]
        stage = stage_of(
            reranker, rerank_depth=rerank_depth, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle
        )
        with shown_progress() as progress:
            report = opened.tune(texts, recall=recall, k=k, progress=progress)
            calibration = None
            if stage is not None:
                calibration = opened.calibrate(texts or [], stage, k=k, keep=keep, progress=progress)
    if as_json:
        emit_json({**report.to_json(), **({} if calibration is None else {"rerank": calibration.to_json()})})
        return
    for line in lines(report, calibration, stage):
        emit_prose(line, indent="  ")


def lines(report: TuneReport, calibration: Calibration | None, stage: RerankStage | None) -> Iterator[str]:
    """Yield the curve and the choice, for people."""
    kind = "pseudo-queries" if report.pseudo else "queries"
    yield f"{report.queries} {kind}, k = {report.k}; scoring every document takes {report.exact_milliseconds:.2f} ms"
    yield "probes  candidates  scored  recall  ms"
    for trial in report.curve:
        yield f"{trial.probes:6}  {trial.candidates:10}  {trial.scored:6}  {trial.recall:.4f}  {trial.milliseconds:.2f}"
    params = report.params
    verdict = "stored" if report.reached else f"stored, although no setting reaches a recall of {report.target}"
    yield (
        f"{verdict}: probes {params.probes}, candidates {params.candidates}, scored {params.scored}: "
        f"recall {report.recall:.4f} in {report.milliseconds:.2f} ms"
    )
    if calibration is not None and stage is not None:
        yield (
            f"--policy uncertain: threshold {calibration.threshold:.4f} keeps {calibration.retained:.0%} of the gain "
            f"from reranking the first {stage.depth} candidates, and reads {calibration.pairs:.0%} of the pairs"
        )
