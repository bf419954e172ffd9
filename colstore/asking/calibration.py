"""Hits of questions to the threshold of ``uncertain``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from colstore.errors import QueryError
from colstore.rerank.calibrate import Calibration, calibrated, sample_of
from colstore.rerank.placement import passage
from colstore.rerank.simple import checked_scores
from colstore.rerank.stage import RerankStage
from colstore.types import Hit


def calibrate(
    stage: RerankStage, queries: Sequence[str], hits: Sequence[Sequence[Hit]], *, k: int, keep: float,
    judged: Sequence[Mapping[str, int]] | None = None,
) -> Calibration:  # fmt: skip
    """Have the reranker read every hit, and return the threshold; see :func:`colstore.rerank.calibrate.calibrated`."""
    if judged is not None and len(judged) != len(queries):
        raise QueryError(f"{len(judged)} sets of judgements for {len(queries)} questions")
    samples = []
    for i, (query, some) in enumerate(zip(queries, hits, strict=True)):
        if not some:
            continue
        scores = checked_scores(stage.reranker, [(query, passage(hit)) for hit in some])
        grades = None if judged is None else judged[i]
        samples.append(sample_of([h.id for h in some], [h.score for h in some], scores.tolist(), grades, k))
    return calibrated(samples, k=k, depth=stage.depth, keep=keep, fusion=stage.fusion)
