"""MaxSim followed by a cross-encoder over its best candidates: always, or only where MaxSim is uncertain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from colstore.config import Bits
from colstore.evaluate.bi_encoder import without_progress_bars
from colstore.evaluate.evaluation import index_bytes
from colstore.evaluate.harness import Harness, SystemRun
from colstore.evaluate.measures import Qrels, Ranking
from colstore.rerank.calibrate import calibrated, calibration_query
from colstore.rerank.order import passage
from colstore.rerank.rerankers import checked_scores
from colstore.rerank.stage import RerankStage
from colstore.types import Hit, Reranker

KEEP = 0.95
"""Share of the gain of ``always`` that ``uncertain`` should keep; its threshold is calibrated for this."""
CUT = 10
"""Cutoff of nDCG in the calibration."""


@dataclass
class CrossStage:
    """The cross-encoder stage of one comparison.

    Parameters
    ----------
    reranker
        The cross-encoder.
    bits
        Bits per component of the index whose rankings are reranked.
    depth
        Number of candidates, from the best, that the cross-encoder may score for each query.
    qrels
        Judgements for the threshold of ``uncertain``, which is calibrated on one half of the queries and used on the
        other.
    """

    reranker: Reranker
    bits: Bits
    depth: int
    qrels: Qrels
    _scores: dict[str, tuple[list[Hit], NDArray[np.float64]]] = field(default_factory=dict)

    def run_always(self, harness: Harness) -> SystemRun:
        """Rerank the first candidates of every query."""
        stage = RerankStage(self.reranker, policy="always", depth=self.depth)
        return self._run(harness, "cross-encoder, always", dict.fromkeys(harness.queries.vectors, stage))

    def run_uncertain(self, harness: Harness) -> SystemRun:
        """Rerank only candidates that MaxSim cannot separate, by a threshold from the other half of the queries."""
        names = list(harness.queries.vectors)
        halves = (names[::2], names[1::2])
        thresholds = [self._threshold(harness, half or names) for half in halves]
        stages: dict[str, RerankStage] = {}
        for half, threshold in zip(halves, reversed(thresholds), strict=True):
            stage = RerankStage(self.reranker, policy="uncertain", depth=self.depth, threshold=threshold)
            stages |= dict.fromkeys(half, stage)
        return self._run(harness, "cross-encoder, uncertain", stages)

    def _run(self, harness: Harness, label: str, stages: Mapping[str, RerankStage]) -> SystemRun:
        """Search and rerank every query with its stage, and count the pairs that the cross-encoder scores."""
        index, seconds = harness.index(self.bits)
        texts, vectors = harness.queries.texts, harness.queries.vectors
        pairs: dict[str, int] = {}

        def search(name: str) -> Ranking:
            hits = index.search(vectors[name], max(harness.k, self.depth))
            recorder = _Recorder(self.reranker)
            ranked = replace(stages[name], reranker=recorder).rank(texts[name], hits)
            pairs[name] = len(recorder.scores)
            if stages[name].policy == "always":
                self._scores[name] = hits[: self.depth], np.asarray(recorder.scores, np.float64)
            return [(hit.id, hit.score) for hit in ranked[: harness.k]]

        run, search_ms = harness.search_all(label, search)
        return SystemRun(
            run,
            search_ms,
            harness.queries.encode_ms,
            seconds,
            harness.spool.encode_seconds,
            index_bytes(index),
            sum(pairs.values()),
        )

    def _threshold(self, harness: Harness, names: Sequence[str]) -> float:
        """Return the threshold of ``uncertain`` calibrated on these queries."""
        queries = []
        for name in names:
            hits, scores = self._scored(harness, name)
            ids, maxsim = [hit.id for hit in hits], [hit.score for hit in hits]
            queries.append(calibration_query(ids, maxsim, scores.tolist(), self.qrels[name], CUT))
        return calibrated(queries, k=CUT, depth=self.depth, keep=KEEP).threshold

    def _scored(self, harness: Harness, name: str) -> tuple[list[Hit], NDArray[np.float64]]:
        """Return a query's candidates with the cross-encoder's scores, reusing those of ``always`` if it has run."""
        if name not in self._scores:
            hits = harness.index(self.bits)[0].search(harness.queries.vectors[name], self.depth)
            pairs = [(harness.queries.texts[name], passage(hit)) for hit in hits]
            self._scores[name] = hits, checked_scores(self.reranker, pairs)
        return self._scores[name]


class _Recorder:
    """A reranker that records the scores that another one returns, in order."""

    def __init__(self, reranker: Reranker) -> None:
        self.name, self._reranker = reranker.name, reranker
        self.scores: list[float] = []

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the reranker's scores, ``(pairs,)`` float32, and record them."""
        scores = self._reranker.score(pairs)
        self.scores += scores.tolist()
        return scores


def load_cross_encoder(
    model: str | Reranker | None,
    *,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    device: str | None = None,
) -> Reranker | None:
    """Return the cross-encoder, loading it if it is given by name; ``None`` without one."""
    if not isinstance(model, str):
        return model
    from colstore.rerank.cross_encoder import CrossEncoderReranker

    with without_progress_bars():
        return CrossEncoderReranker(
            model, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle, device=device
        )
