"""How sure the figures are: intervals by bootstrap, and a paired randomisation test between two systems.

Both look at one value a query. They say what another draw of *queries* might have given; they know nothing of
missing judgements or of other corpora. Everything is seeded: the same values give the same answers.
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
"""With no more queries that differ, all flips of signs are tried instead of a sample."""
_CELLS = 4_000_000  # of a block of random numbers
_ROUNDING = 1e-12

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and where it would lie for most other draws of queries.

    Parameters
    ----------
    mean
        Over queries.
    low, high
        Percentile bootstrap.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One system minus another on the same queries.

    Parameters
    ----------
    mean, low, high
        Of the differences, as :class:`Interval`.
    p
        Of the paired randomisation test, two-sided.
    """

    mean: float
    low: float
    high: float
    p: float


def bootstrap_interval(
    values: NDArray[np.floating], *, confidence: float = CONFIDENCE, samples: int = BOOTSTRAP_SAMPLES, seed: int = 0
) -> Interval:
    """Return the mean of some values and its percentile-bootstrap interval.

    Parameters
    ----------
    values
        Shape ``(queries,)``: one value a query.
    confidence
        Part of the resampled means that the interval holds, between 0 and 1.
    samples
        How many times as many queries are drawn, with replacement.
    seed
        Of the draws.

    Raises
    ------
    ConfigError
        No values, or a setting that cannot be.

    Examples
    --------
    >>> bootstrap_interval(np.array([0.5, 0.5, 0.5]))
    Interval(mean=0.5, low=0.5, high=0.5)
    """
    given = _checked(values)
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must lie between 0 and 1, got {confidence}")
    if samples < 1:
        raise ConfigError(f"samples must be at least 1, got {samples}")
    generator = np.random.default_rng(seed)
    means = np.empty(samples)
    block = max(1, _CELLS // len(given))
    for start in range(0, samples, block):
        stop = min(samples, start + block)
        drawn = generator.integers(len(given), size=(stop - start, len(given)))
        means[start:stop] = given[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(given.mean()), float(low), float(high))


def randomisation_test(
    ours: NDArray[np.floating], theirs: NDArray[np.floating], *, samples: int = FLIPS, seed: int = 0
) -> float:
    """Return the p-value of a paired randomisation (permutation) test of two means, two-sided.

    If it made no difference which system answered, the sign of each query's difference would be a coin's throw. The
    p-value is the share of throws in which the mean difference is at least as large as the observed one: of all
    throws where at most 16 queries differ, else of ``samples`` random ones, the observed one counted among them (so
    never 0). See Smucker, Allan and Carterette, CIKM 2007.

    Parameters
    ----------
    ours, theirs
        Shape ``(queries,)`` each: values of the same queries in the same order.
    samples
        Random throws.
    seed
        Of the throws.

    Raises
    ------
    ConfigError
        Other shapes, or no values.

    Examples
    --------
    >>> randomisation_test(np.array([1.0, 1.0, 1.0, 1.0]), np.zeros(4))  # two throws of sixteen
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
    """Return the mean difference of two systems on the same queries, its interval and its p-value."""
    p = randomisation_test(ours, theirs, seed=seed)
    interval = bootstrap_interval(np.asarray(ours) - np.asarray(theirs), seed=seed)
    return Difference(interval.mean, interval.low, interval.high, p)


def _checked(values: NDArray[np.floating]) -> Values:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or not len(given):
        raise ConfigError(f"statistics need one value a query, got an array of shape {given.shape}")
    return given
