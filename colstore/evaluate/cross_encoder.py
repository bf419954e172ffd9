"""MaxSim, then a cross-encoder over its best: always, or only where MaxSim is uncertain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from colstore.config import Bits
from colstore.evaluate.bench import Asked, Bench
from colstore.evaluate.bi_encoder import without_bars
from colstore.evaluate.evaluation import index_bytes
from colstore.evaluate.measures import Qrels, Ranking
from colstore.rerank.calibrate import calibrated, calibration_query
from colstore.rerank.order import passage
from colstore.rerank.rerankers import checked_scores
from colstore.rerank.stage import RerankStage
from colstore.types import Hit, Reranker

KEEP = 0.95
"""Part of the gain of ``always`` that the threshold of ``uncertain`` is found for."""
CUT = 10


@dataclass
class CrossStage:
    """The cross-encoder stage of one comparison.

    Parameters
    ----------
    reranker
        Of the caller.
    bits
        Of the index whose rankings it reads.
    read
        Candidates, from the best, that may be read.
    judged
        For the threshold of ``uncertain``, which is found on one half of the queries and used on the other.
    """

    reranker: Reranker
    bits: Bits
    read: int
    judged: Qrels
    _scores: dict[str, tuple[list[Hit], NDArray[np.float64]]] = field(default_factory=dict)

    def always(self, bench: Bench) -> Asked:
        """Read the first candidates of every question."""
        stage = RerankStage(self.reranker, policy="always", depth=self.read)
        return self._asked(bench, "cross-encoder, always", dict.fromkeys(bench.questions.vectors, stage))

    def uncertain(self, bench: Bench) -> Asked:
        """Read those that MaxSim cannot tell apart, by a threshold found on the other half of the questions."""
        names = list(bench.questions.vectors)
        halves = (names[::2], names[1::2])
        thresholds = [self._threshold(bench, half or names) for half in halves]
        stages: dict[str, RerankStage] = {}
        for half, threshold in zip(halves, reversed(thresholds), strict=True):
            stage = RerankStage(self.reranker, policy="uncertain", depth=self.read, threshold=threshold)
            stages |= dict.fromkeys(half, stage)
        return self._asked(bench, "cross-encoder, uncertain", stages)

    def _asked(self, bench: Bench, label: str, stages: Mapping[str, RerankStage]) -> Asked:
        index, seconds = bench.index(self.bits)
        texts, vectors = bench.questions.texts, bench.questions.vectors
        read: dict[str, int] = {}

        def answer(name: str) -> Ranking:
            hits = index.search(vectors[name], max(bench.k, self.read))
            recorder = _Recorder(self.reranker)
            ranked = replace(stages[name], reranker=recorder).rank(texts[name], hits)
            read[name] = len(recorder.scores)
            if stages[name].policy == "always":
                self._scores[name] = hits[: self.read], np.asarray(recorder.scores, np.float64)
            return [(hit.id, hit.score) for hit in ranked[: bench.k]]

        run, spent = bench.ask(label, answer)
        return Asked(
            run, spent, bench.questions.encode, seconds, bench.spool.seconds, index_bytes(index), sum(read.values())
        )

    def _threshold(self, bench: Bench, names: Sequence[str]) -> float:
        samples = []
        for name in names:
            hits, scores = self._scored(bench, name)
            ids, maxsim = [hit.id for hit in hits], [hit.score for hit in hits]
            samples.append(calibration_query(ids, maxsim, scores.tolist(), self.judged[name], CUT))
        return calibrated(samples, k=CUT, depth=self.read, keep=KEEP).threshold

    def _scored(self, bench: Bench, name: str) -> tuple[list[Hit], NDArray[np.float64]]:
        """Return a question's candidates with the cross-encoder's scores: of ``always``, where that has run."""
        if name not in self._scores:
            hits = bench.index(self.bits)[0].search(bench.questions.vectors[name], self.read)
            pairs = [(bench.questions.texts[name], passage(hit)) for hit in hits]
            self._scores[name] = hits, checked_scores(self.reranker, pairs)
        return self._scores[name]


class _Recorder:
    """A reranker that keeps the scores it gave, in order."""

    def __init__(self, reranker: Reranker) -> None:
        self.name, self._reranker = reranker.name, reranker
        self.scores: list[float] = []

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return what the reranker says."""
        scores = self._reranker.score(pairs)
        self.scores += scores.tolist()
        return scores


def load_cross_encoder(
    model: str | Reranker | None, *, trust_remote_code: bool = False, device: str | None = None
) -> Reranker | None:
    """Return the cross-encoder; ``None`` without one."""
    if not isinstance(model, str):
        return model
    from colstore.rerank.cross_encoder import CrossEncoderReranker

    with without_bars():
        return CrossEncoderReranker(model, trust_remote_code=trust_remote_code, device=device)
