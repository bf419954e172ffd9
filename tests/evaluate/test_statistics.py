"""Intervals and p-values against what theory, hand and scipy say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from colstore.errors import ConfigError
from colstore.evaluate import bootstrap_interval, difference, randomisation_test


def test_the_bootstrap_of_a_coin_is_binomial() -> None:
    """Means of resampled zeros and ones are binomial, so their quantiles are known."""
    values = np.array([1.0] * 30 + [0.0] * 70)
    interval = bootstrap_interval(values, samples=50_000)
    low, high = stats.binom.ppf([0.025, 0.975], 100, 0.3) / 100
    assert interval.mean == pytest.approx(0.3)
    assert interval.low == pytest.approx(low, abs=0.011)
    assert interval.high == pytest.approx(high, abs=0.011)


def test_the_bootstrap_agrees_with_scipy() -> None:
    values = np.random.default_rng(5).beta(2, 1, 150)
    ours = bootstrap_interval(values, confidence=0.9)
    theirs = stats.bootstrap((values,), np.mean, confidence_level=0.9, method="percentile", rng=1).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_the_bootstrap_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        interval = bootstrap_interval(generator.uniform(size=60), samples=500)
        held += interval.low <= 0.5 <= interval.high
    assert 0.90 <= held / 300 <= 0.98


def test_the_same_seed_gives_the_same_interval_and_leaves_numpys_state_alone() -> None:
    values = np.linspace(0, 1, 40)
    before = np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002 - the state that must stay
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index] # noqa: NPY002


def test_all_flips_are_tried_where_they_are_few() -> None:
    """Differences 3, 2, -1: sums of at least 4 in size are +-6 (twice), +-4 (twice), of eight."""
    ours, theirs = np.array([3.0, 2.0, 0.0, 7.0]), np.array([0.0, 0.0, 1.0, 7.0])
    assert randomisation_test(ours, theirs) == pytest.approx(4 / 8)


def test_few_flips_agree_with_scipys_permutation_test() -> None:
    generator = np.random.default_rng(2)
    ours, theirs = generator.uniform(size=11), generator.uniform(size=11) - 0.1
    exact = stats.permutation_test(
        (ours, theirs),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert randomisation_test(ours, theirs) == pytest.approx(exact.pvalue)


def test_many_flips_agree_with_the_t_test_where_that_holds() -> None:
    generator = np.random.default_rng(1)
    ours = generator.normal(0.5, 0.1, 200)
    theirs = ours + generator.normal(-0.012, 0.1, 200)
    expected = stats.ttest_rel(ours, theirs).pvalue
    assert randomisation_test(ours, theirs) == pytest.approx(expected, abs=0.01)


def test_a_system_does_not_differ_from_itself() -> None:
    values = np.random.default_rng(0).uniform(size=30)
    assert randomisation_test(values, values) == 1.0
    assert randomisation_test(values, values + 1e-15) == 1.0  # rounding is no difference


def test_a_clear_difference_is_never_quite_impossible() -> None:
    p = randomisation_test(np.ones(50), np.zeros(50), samples=1000)
    assert p == pytest.approx(1 / 1001)


def test_p_values_are_even_where_nothing_differs() -> None:
    """At most 5 % of tests of two equal systems may come out below .05 (and about so many should)."""
    generator = np.random.default_rng(7)
    p = [randomisation_test(generator.normal(size=25), generator.normal(size=25), samples=400) for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08


def test_the_order_of_the_two_changes_only_the_sign() -> None:
    generator = np.random.default_rng(4)
    one, other = generator.uniform(size=40), generator.uniform(size=40)
    assert randomisation_test(one, other) == randomisation_test(other, one)
    there, back = difference(one, other), difference(other, one)
    assert there.mean == pytest.approx(-back.mean)
    assert there.low < there.mean < there.high


@pytest.mark.parametrize("values", [np.zeros(0), np.zeros((2, 2))])
def test_invalid_values_are_refused(values: NDArray[np.float64]) -> None:
    with pytest.raises(ConfigError, match="one value per query"):
        bootstrap_interval(values)


def test_invalid_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="confidence"):
        bootstrap_interval(np.ones(3), confidence=1.0)
    with pytest.raises(ConfigError, match="samples"):
        bootstrap_interval(np.ones(3), samples=0)
    with pytest.raises(ConfigError, match="same queries"):
        randomisation_test(np.ones(3), np.ones(4))
