"""The threshold of ``uncertain``: the smallest that keeps most of what reranking everything gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, QueryError
from colstore.rerank.fusion import Fusion
from colstore.rerank.policy import contenders, margins
from colstore.types import Json

THRESHOLDS = 200
"""Most thresholds tried."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold, and what it does on the questions that it was found with.

    Parameters
    ----------
    threshold
        For :class:`colstore.rerank.stage.RerankStage`.
    kept
        Part of the gain of ``always`` that remains.
    pairs
        Part of its pairs that is still read.
    gain
        Of ``always`` over MaxSim alone, in nDCG@``k``; without judgements, in agreement with ``always`` itself.
    wanted, depth, k
        What was asked for.
    queries
        Questions that took part.
    judged
        Whether judgements said what is right; else the order of ``always`` did.
    """

    threshold: float
    kept: float
    pairs: float
    gain: float
    wanted: float
    depth: int
    k: int
    queries: int
    judged: bool

    @property
    def reached(self) -> bool:
        """Whether the wanted part of the gain remains."""
        return self.kept >= self.wanted

    def to_json(self) -> dict[str, Json]:
        """Return plain data, as the manifest keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CalibrationQuery:
    """One question's candidates, best by MaxSim first.

    Parameters
    ----------
    maxsim, reranked
        Scores of both stages, ``(n,)`` float64 each.
    gains
        Judged gain of each candidate, ``(n,)``; ``None`` takes the order of ``always`` for the truth.
    ideal
        The best possible discounted sum of gains (over all judged documents, found or not).
    """

    maxsim: Floats
    reranked: Floats
    gains: Floats | None = None
    ideal: float = 0.0


def calibrated(
    samples: Sequence[CalibrationQuery], *, k: int, depth: int, keep: float, fusion: Fusion | None = None
) -> Calibration:
    """Return the smallest threshold that keeps ``keep`` of the gain, or the one that keeps most.

    The gain is the mean of nDCG@``k`` over the questions, minus that of MaxSim's own order. Without judgements, a
    candidate's gain is by its rank under ``always``: ``k`` for the first, 1 for the ``k``-th, 0 below.

    Raises
    ------
    ConfigError
        ``keep`` outside (0, 1].
    QueryError
        No questions.
    """
    if not 0 < keep <= 1:
        raise ConfigError(f"keep must lie in (0, 1], got {keep!r}")
    if not samples:
        raise QueryError("there are no questions to calibrate with")
    rule = fusion or Fusion()
    steps = _thresholds(samples)
    quality = np.array(
        [[_ndcg(sample, uncertain_order(sample, step, rule), k, rule) for step in steps] for sample in samples]
    )
    read = np.array([[contenders(sample.maxsim, step) for step in steps] for sample in samples], np.float64)
    base = np.mean([_ndcg(sample, np.arange(len(sample.maxsim)), k, rule) for sample in samples])
    means, pairs = quality.mean(axis=0), read.sum(axis=0) / max(1, sum(len(sample.maxsim) for sample in samples))
    gain = float(means[-1] - base)
    kept = (means - base) / gain if gain > 0 else np.ones_like(means)
    good = np.flatnonzero(kept >= keep)
    best = int(good[0]) if len(good) else int(np.argmax(kept))
    return Calibration(
        threshold=float(steps[best]),
        kept=round(float(kept[best]), 4),
        pairs=round(float(pairs[best]), 4),
        gain=round(gain, 6),
        wanted=keep,
        depth=depth,
        k=k,
        queries=len(samples),
        judged=all(sample.gains is not None for sample in samples),
    )


def uncertain_order(sample: CalibrationQuery, threshold: float, fusion: Fusion) -> NDArray[np.int64]:
    """Return the candidates in the order that ``uncertain`` gives them, ``(n,)``."""
    count = contenders(sample.maxsim, threshold)
    fused = fusion.fused(sample.maxsim[:count], sample.reranked[:count])
    order: NDArray[np.int64] = np.concatenate([np.argsort(-fused, kind="stable"), np.arange(count, len(sample.maxsim))])
    return order


def _thresholds(samples: Sequence[CalibrationQuery]) -> Floats:
    """Return thresholds to try, rising: the last one reads everything."""
    every = np.unique(np.concatenate([margins(sample.maxsim) for sample in samples]))
    chosen = every[np.unique(np.linspace(0, len(every) - 1, THRESHOLDS).astype(int))]
    found: Floats = chosen.astype(np.float64)
    return found


def _ndcg(sample: CalibrationQuery, order: NDArray[np.int64], k: int, fusion: Fusion) -> float:
    """Return nDCG@k of an order of the candidates."""
    if sample.gains is not None:
        gains, ideal = sample.gains, sample.ideal
    else:
        gains = np.zeros(len(sample.maxsim))
        everything = np.argsort(-fusion.fused(sample.maxsim, sample.reranked), kind="stable")[:k]
        gains[everything] = np.arange(k, k - len(everything), -1)
        ideal = discounted(np.sort(gains)[::-1], k)
    return discounted(gains[order], k) / ideal if ideal > 0 else 0.0


def discounted(gains: Floats, k: int) -> float:
    """Return the discounted sum of the first ``k`` gains (DCG@k).

    >>> round(discounted(np.array([1.0, 0.0, 1.0]), k=2), 3)
    1.0
    """
    first = gains[:k]
    return float((first / np.log2(np.arange(2, len(first) + 2))).sum())


def calibration_query(
    ids: Sequence[str], maxsim: Sequence[float], reranked: Sequence[float], judgements: Mapping[str, int] | None, k: int
) -> CalibrationQuery:
    """Return a question's sample from its candidates and, where there are any, its judgements."""
    first, second = np.asarray(maxsim, np.float64), np.asarray(reranked, np.float64)
    if judgements is None:
        return CalibrationQuery(first, second)
    gains = np.array([max(0, judgements.get(name, 0)) for name in ids], np.float64)
    ideal = discounted(np.sort([float(max(0, grade)) for grade in judgements.values()])[::-1], k)
    return CalibrationQuery(first, second, gains, ideal)
