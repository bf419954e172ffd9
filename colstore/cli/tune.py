"""``colstore tune``: the cheapest settings that find what exhaustive scoring finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from colstore.cli.output import emit, emit_json

if TYPE_CHECKING:
    from colstore.rerank.stage import RerankStage

_EPILOG = """\b
Example:
  $ colstore tune demo.colstore --queries data/queries.jsonl --recall 0.98
  $ colstore tune demo.colstore --json
"""


@click.command("tune", epilog=_EPILOG)
@click.argument("index")
@click.option(
    "--queries",
    type=click.Path(exists=True, path_type=Path),
    help="Questions like those to come: JSONL, TSV or a BEIR folder. Without them, runs of tokens out of the "
    "documents stand in, which are easier.",
)
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="Number of hits.")
@click.option(
    "--recall",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=0.99,
    show_default=True,
    help="Wanted part of the exact top k.",
)
@click.option("--limit", type=click.IntRange(min=1), default=300, show_default=True, help="Most questions to use.")
@click.option(
    "--rerank",
    "model",
    metavar="MODEL",
    help="Also find how near to the best a candidate must score for this cross-encoder to read it, with --policy "
    "uncertain of `search` and `rerank`. Needs --queries.",
)
@click.option("--depth", type=click.IntRange(min=1), default=50, show_default=True, help="Candidates it may read.")
@click.option(
    "--keep",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=0.95,
    show_default=True,
    help="Part of what it gains that is to remain.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    index: str,
    queries: Path | None,
    k: int,
    recall: float,
    limit: int,
    model: str | None,
    depth: int,
    keep: float,
    as_json: bool,
) -> None:
    """Find the cheapest search settings for INDEX, and store them in it.

    They are used by every later search that brings none of its own.
    """
    from itertools import islice

    import colstore
    from colstore.corpus import read_queries

    with colstore.open(index) as opened:
        asked = None if queries is None else [query.text for query in islice(read_queries(queries), limit)]
        stage = _stage(model, depth, asked)
        report = opened.tune(asked, recall=recall, k=k)
        calibration = None if stage is None else opened.calibrate(asked or [], stage, k=k, keep=keep)
    if as_json:
        emit_json({**report.to_json(), **({} if calibration is None else {"rerank": calibration.to_json()})})
        return
    kind = "pseudo-queries" if report.pseudo else "questions"
    emit(f"{report.queries} {kind}, k = {k}; scoring everything takes {report.exact_milliseconds:.2f} ms")
    emit("probes  candidates  scored  recall  ms")
    for trial in report.curve:
        emit(f"{trial.probes:6}  {trial.candidates:10}  {trial.scored:6}  {trial.recall:.4f}  {trial.milliseconds:.2f}")
    params, verdict = (
        report.params,
        "stored" if report.reached else f"stored, though below the {recall} asked for",
    )
    emit(
        f"{verdict}: probes {params.probes}, candidates {params.candidates}, scored {params.scored}: "
        f"recall {report.recall:.4f} in {report.milliseconds:.2f} ms"
    )
    if calibration is not None:
        emit(
            f"uncertain: threshold {calibration.threshold:.4f} keeps {calibration.retained:.0%} of what reranking the "
            f"first {depth} gains, and reads {calibration.pairs:.0%} of the pairs"
        )


def _stage(model: str | None, depth: int, asked: list[str] | None) -> RerankStage | None:
    """Return the stage to calibrate; ``None`` without a model."""
    if model is None:
        return None
    if not asked:
        raise click.UsageError("--rerank needs --queries: documents cannot stand in for questions to a cross-encoder")
    from colstore.rerank.cross_encoder import CrossEncoderReranker
    from colstore.rerank.stage import RerankStage

    return RerankStage(CrossEncoderReranker(model), depth=depth)
