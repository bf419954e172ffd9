"""Confidence intervals by bootstrap, and a paired randomisation test between two systems.

Both work on one value per query. They estimate how the result would vary with other *queries*, and say nothing about
missing judgements or other corpora. Random numbers are seeded, so that the same values give the same result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError

CONFIDENCE = 0.95
BOOTSTRAP_SAMPLES = 10_000
FLIPS = 100_000
EXACT_QUERIES = 16
"""Up to this number of differing queries, all flips of signs are tried instead of random ones."""
_CELLS = 4_000_000  # random numbers that are in memory at a time
_ROUNDING = 1e-12

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries with its confidence interval.

    Parameters
    ----------
    mean
        The mean over queries.
    low, high
        The bounds of the interval by percentile bootstrap.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two systems on the same queries.

    Parameters
    ----------
    mean, low, high
        Mean and bounds of the differences, as in :class:`Interval`.
    p
        The two-sided p-value of the paired randomisation test.
    """

    mean: float
    low: float
    high: float
    p: float


def bootstrap_interval(
    values: NDArray[np.floating], *, confidence: float = CONFIDENCE, samples: int = BOOTSTRAP_SAMPLES, seed: int = 0
) -> Interval:
    """Return the mean of values and its percentile-bootstrap interval.

    Parameters
    ----------
    values
        One value per query, ``(queries,)``.
    confidence
        Share of the resampled means that lies in the interval, between 0 and 1.
    samples
        Number of bootstrap samples; each draws as many queries as there are, with replacement.
    seed
        Seed of the draws.

    Raises
    ------
    ConfigError
        There are no values, or a setting is invalid.

    Examples
    --------
    >>> bootstrap_interval(np.array([0.5, 0.5, 0.5]))
    Interval(mean=0.5, low=0.5, high=0.5)
    """
    checked = _checked(values)
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must lie between 0 and 1, got {confidence}")
    if samples < 1:
        raise ConfigError(f"samples must be at least 1, got {samples}")
    generator = np.random.default_rng(seed)
    means = np.empty(samples)
    block = max(1, _CELLS // len(checked))
    for start in range(0, samples, block):
        stop = min(samples, start + block)
        drawn = generator.integers(len(checked), size=(stop - start, len(checked)))
        means[start:stop] = checked[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(checked.mean()), float(low), float(high))


def randomisation_test(
    ours: NDArray[np.floating], theirs: NDArray[np.floating], *, samples: int = FLIPS, seed: int = 0
) -> float:
    """Return the two-sided p-value of a paired randomisation (permutation) test of two means.

    If the two systems were equivalent, the sign of each query's difference would be random. The p-value is the share
    of sign assignments for which the mean difference is at least as large as the observed one. All assignments are
    tried where at most 16 queries differ; otherwise ``samples`` random ones are, and the observed one counts among
    them, so that the p-value is never 0. See Smucker, Allan and Carterette, CIKM 2007.

    Parameters
    ----------
    ours, theirs
        Values of the same queries in the same order, ``(queries,)`` each.
    samples
        Number of random sign assignments.
    seed
        Seed of the random assignments.

    Raises
    ------
    ConfigError
        The shapes differ, or there are no values.

    Examples
    --------
    >>> randomisation_test(np.array([1.0, 1.0, 1.0, 1.0]), np.zeros(4))  # two assignments of sixteen
    0.125
    """
    first, second = _checked(ours), _checked(theirs)
    if first.shape != second.shape:
        raise ConfigError(f"a paired test needs the same queries: {len(first)} values against {len(second)}")
    differences = (first - second)[np.abs(first - second) > _ROUNDING]
    if not len(differences):
        return 1.0
    observed = abs(differences.sum()) - _ROUNDING * len(differences)
    if len(differences) <= EXACT_QUERIES:
        bits = np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences))
        return float(np.mean(np.abs((1 - 2.0 * (bits & 1)) @ differences) >= observed))
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // len(differences))
    reached = 0
    for start in range(0, samples, block):
        size = (min(samples, start + block) - start, len(differences))
        signs = 1 - 2 * generator.integers(2, size=size, dtype=np.int8)
        reached += int((np.abs(signs @ differences) >= observed).sum())
    return (reached + 1) / (samples + 1)


def difference(ours: NDArray[np.floating], theirs: NDArray[np.floating], *, seed: int = 0) -> Difference:
    """Return the mean difference of two systems on the same queries, with its interval and p-value.

    Parameters
    ----------
    ours, theirs
        Values of the same queries in the same order, ``(queries,)`` each.
    seed
        Seed of the bootstrap and of the randomisation test.
    """
    p = randomisation_test(ours, theirs, seed=seed)
    interval = bootstrap_interval(np.asarray(ours) - np.asarray(theirs), seed=seed)
    return Difference(interval.mean, interval.low, interval.high, p)


def _checked(values: NDArray[np.floating]) -> Values:
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 1 or not len(checked):
        raise ConfigError(f"statistics need one value per query, got an array of shape {checked.shape}")
    return checked
