"""The threshold of the policy ``"uncertain"``: the smallest one that keeps most of what reranking everything gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, QueryError
from colstore.rerank.fusion import Fusion
from colstore.rerank.policy import contenders, margins
from colstore.types import Json
from colstore.values import as_number

THRESHOLDS = 200
"""Largest number of thresholds to try."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold of the policy ``"uncertain"``, and what it does on the queries that it was chosen with.

    Parameters
    ----------
    threshold
        The threshold, for :class:`colstore.RerankStage`.
    retained
        Share of the gain of ``"always"`` that remains, 0 to 1 (more where reading less is better).
    pairs
        Share of the pairs of ``"always"`` that is still read, 0 to 1.
    gain
        Gain of ``"always"`` over MaxSim alone, in nDCG@``k``. Without judgements it is measured against the order of
        ``"always"`` itself.
    target
        Share of the gain that was to remain.
    depth, k
        Number of candidates that the reranker may read, and number of hits that count.
    queries
        Number of queries that the threshold was chosen with.
    with_judgements
        Whether judgements said which documents are relevant; otherwise the order of ``"always"`` was taken as right.
    """

    threshold: float
    retained: float
    pairs: float
    gain: float
    target: float
    depth: int
    k: int
    queries: int
    with_judgements: bool

    @property
    def reached(self) -> bool:
        """Whether the target share of the gain remains."""
        return self.retained >= self.target

    def to_json(self) -> dict[str, Json]:
        """Return the fields as a dict that :mod:`json` can write."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CalibrationQuery:
    """The candidates of one query, in MaxSim's order.

    Parameters
    ----------
    maxsim, reranked
        Scores of both stages, ``(n,)`` float64 each.
    gains
        Gain of each candidate by the judgements, ``(n,)``; ``None`` takes the order of ``"always"`` as right.
    ideal
        The largest possible discounted sum of gains, over all documents with judgements.
    """

    maxsim: Floats
    reranked: Floats
    gains: Floats | None = None
    ideal: float = 0.0


def calibrated(
    samples: Sequence[CalibrationQuery], *, k: int, depth: int, keep: float, fusion: Fusion | None = None
) -> Calibration:
    """Return the smallest threshold that keeps the share ``keep`` of the gain, or the one that keeps most.

    The gain is the mean of nDCG@``k`` over the queries, minus that of MaxSim's own order. Without judgements, the gain
    of a candidate follows from its rank under ``"always"``: ``k`` for the first, 1 for the ``k``-th, 0 below.

    Parameters
    ----------
    samples
        The candidates of each query, scored by both stages.
    k
        Number of hits that count.
    depth
        Number of candidates that the reranker may read.
    keep
        Share of the gain that is to remain, greater than 0, at most 1.
    fusion
        How the two scores are combined.

    Raises
    ------
    ConfigError
        ``keep`` is out of range.
    QueryError
        There are no queries.
    """
    if not as_number("keep", keep, 0, 1) > 0:
        raise ConfigError(f"keep must be greater than 0, and at most 1, got {keep!r}")
    if not samples:
        raise QueryError("there are no queries with hits to calibrate with")
    rule = fusion or Fusion()
    steps = _thresholds(samples)
    quality = np.array(
        [[_ndcg(sample, uncertain_order(sample, step, rule), k, rule) for step in steps] for sample in samples]
    )
    read = np.array([[contenders(sample.maxsim, step) for step in steps] for sample in samples], np.float64)
    base = np.mean([_ndcg(sample, np.arange(len(sample.maxsim)), k, rule) for sample in samples])
    means, pairs = quality.mean(axis=0), read.sum(axis=0) / max(1, sum(len(sample.maxsim) for sample in samples))
    gain = float(means[-1] - base)
    retained = (means - base) / gain if gain > 0 else np.ones_like(means)
    good = np.flatnonzero(retained >= keep)
    best = int(good[0]) if len(good) else int(np.argmax(retained))
    return Calibration(
        threshold=float(steps[best]),
        retained=round(float(retained[best]), 4),
        pairs=round(float(pairs[best]), 4),
        gain=round(gain, 6),
        target=float(keep),
        depth=depth,
        k=k,
        queries=len(samples),
        with_judgements=all(sample.gains is not None for sample in samples),
    )


def uncertain_order(sample: CalibrationQuery, threshold: float, fusion: Fusion) -> NDArray[np.int64]:
    """Return the order of the candidates under ``"uncertain"``: positions ``(n,)`` int64."""
    count = contenders(sample.maxsim, threshold)
    fused = fusion.fused(sample.maxsim[:count], sample.reranked[:count])
    order: NDArray[np.int64] = np.concatenate([np.argsort(-fused, kind="stable"), np.arange(count, len(sample.maxsim))])
    return order


def _thresholds(samples: Sequence[CalibrationQuery]) -> Floats:
    """Return the thresholds to try, ascending; the last one reads everything."""
    every = np.unique(np.concatenate([margins(sample.maxsim) for sample in samples]))
    chosen = every[np.unique(np.linspace(0, len(every) - 1, THRESHOLDS).astype(int))]
    thresholds: Floats = chosen.astype(np.float64)
    return thresholds


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
    """Return the candidates of one query with the scores of both stages and, where there are any, its judgements."""
    first, second = np.asarray(maxsim, np.float64), np.asarray(reranked, np.float64)
    if judgements is None:
        return CalibrationQuery(first, second)
    gains = np.array([max(0, judgements.get(name, 0)) for name in ids], np.float64)
    ideal = discounted(np.sort([float(max(0, grade)) for grade in judgements.values()])[::-1], k)
    return CalibrationQuery(first, second, gains, ideal)
