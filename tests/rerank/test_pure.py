"""Fusion, margins, scales, order, calibration: pure functions and what always holds of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.errors import ConfigError, QueryError
from colstore.rerank.calibrate import CalibrationQuery, calibrated, calibration_query
from colstore.rerank.fusion import RULES, Fusion
from colstore.rerank.order import LAST, NOT_STORED, ranked_hits
from colstore.rerank.policy import contenders, margins, onto_scale, spread
from colstore.types import Hit

FINITE = st.floats(-1e6, 1e6, allow_nan=False)
SCORES = st.lists(FINITE, min_size=1, max_size=30)
FALLING = SCORES.map(lambda scores: sorted(scores, reverse=True))
PAIRS = st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=30)


@given(FALLING, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_threshold_never_reads_less(scores: list[float], one: float, two: float) -> None:
    low, high = sorted([one, two])
    assert contenders(scores, low) <= contenders(scores, high) <= len(scores)


@given(FALLING)
def test_threshold_1_reads_everything_and_a_single_candidate_is_settled(scores: list[float]) -> None:
    assert contenders(scores, 1.0) == (len(scores) if len(scores) > 1 else 0)


@given(st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=20).map(lambda s: sorted(s, reverse=True)))
def test_margins_do_not_depend_on_unit_or_origin(scores: list[float]) -> None:
    np.testing.assert_allclose(margins(scores), margins([4 * x + 8 for x in scores]), atol=1e-12)


def test_nothing_to_tell_apart_in_an_empty_list() -> None:
    assert contenders([], 0.5) == 0
    assert margins([]).tolist() == []


@given(PAIRS, st.sampled_from(RULES))
def test_fusion_keeps_the_order_that_both_stages_agree_on(pairs: list[tuple[float, float]], rule: str) -> None:
    earlier, later = np.array(pairs).T
    fused = Fusion(rule).fused(earlier, later)  # type: ignore[arg-type]  # one of the rules
    assert np.isfinite(fused).all()
    better = (earlier[:, None] > earlier) & (later[:, None] > later)
    assert (fused[:, None] >= fused)[better].all()


def test_interpolation_and_reciprocal_ranks_by_hand() -> None:
    assert Fusion("interpolate", weight=0.75).fused([4, 2, 0], [0, 10, 5]).tolist() == [0.25, 0.875, 0.375]
    fused = Fusion("reciprocal", constant=1).fused([3, 2, 1], [1, 3, 2])
    np.testing.assert_allclose(fused, [1 / 2 + 1 / 4, 1 / 3 + 1 / 2, 1 / 4 + 1 / 3])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("none", Fusion()),
        ("replace", Fusion()),
        ("rrf", Fusion("reciprocal")),
        ("reciprocal:10", Fusion("reciprocal", constant=10)),
        ("interpolate:0.2", Fusion("interpolate", weight=0.2)),
    ],
)
def test_fusion_is_read_from_text(text: str, rule: Fusion) -> None:
    assert Fusion.parse(text) == rule


@pytest.mark.parametrize("text", ["", "sum", "interpolate:x", "interpolate:2", "reciprocal:-1", "replace:1", "rrf:inf"])
def test_a_fusion_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Fusion.parse(text)


def test_scales_that_disagree_are_not_mapped() -> None:
    assert onto_scale([0, 1], [5, 4], [0.5]) is None
    assert onto_scale([1, 1], [5, 4], [0.5]) is None
    assert onto_scale([1], [5], [0.5]) is None


@given(st.integers(0, 200), st.integers(2, 20))
def test_spread_takes_both_ends(count: int, wanted: int) -> None:
    places = spread(count, wanted)
    assert places == sorted(set(places))
    assert len(places) <= wanted
    assert not count or (places[0], places[-1]) == (0, count - 1)


@given(st.lists(st.one_of(FINITE, st.just(LAST)), max_size=30))
def test_scores_of_ranked_hits_never_rise_and_the_order_stays(scores: list[float]) -> None:
    ranked = ranked_hits([Hit(0, str(i), score) for i, score in enumerate(scores)])
    assert [hit.id for hit in ranked] == [str(i) for i in range(len(scores))]
    assert [hit.rank for hit in ranked] == list(range(1, len(scores) + 1))
    found = [hit.score for hit in ranked]
    assert all(np.isfinite(found))
    assert found == sorted(found, reverse=True)


def test_hits_of_one_stage_keep_their_scores() -> None:
    hits = [Hit(1, "a", 3.0), Hit(2, "b", 2.5), Hit(0, "c", LAST, stage=NOT_STORED)]
    assert [hit.score for hit in ranked_hits(hits)] == [3.0, 2.5, 1.5]


def simulated(count: int, seed: int) -> list[CalibrationQuery]:
    """Questions whose reranker is right, and whose MaxSim is right where the best stands apart."""
    generator = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        clear = number % 2 == 0
        maxsim = np.sort(generator.uniform(0, 1, 20))[::-1].copy()
        maxsim[0] = 5.0 if clear else maxsim[0]
        right = 0 if clear else int(generator.integers(0, 5))
        gains = np.zeros(20)
        gains[right] = 1
        samples.append(CalibrationQuery(maxsim, gains + generator.uniform(0, 0.1, 20), gains, ideal=1.0))
    return samples


def test_calibration_keeps_the_gain_and_spares_the_settled() -> None:
    found = calibrated(simulated(200, 0), k=10, depth=20, keep=0.95)
    assert found.reached
    assert found.retained >= 0.95
    assert found.pairs < 0.5
    assert found.with_judgements
    every = calibrated(simulated(200, 0), k=10, depth=20, keep=1.0)
    assert every.threshold >= found.threshold


def test_without_judgements_the_order_of_always_is_the_truth() -> None:
    samples = [CalibrationQuery(sample.maxsim, sample.reranked) for sample in simulated(100, 1)]
    found = calibrated(samples, k=10, depth=20, keep=0.9)
    assert found.reached
    assert not found.with_judgements


def test_a_reranker_that_gains_nothing_is_not_asked() -> None:
    scores = np.linspace(5, 1, 10)
    sample = calibration_query([str(i) for i in range(10)], scores.tolist(), scores.tolist(), {"0": 1}, 10)
    found = calibrated([sample], k=10, depth=10, keep=0.95)
    assert (found.gain, found.pairs, found.reached) == (0.0, 0.0, True)


def test_calibration_refuses_what_cannot_be() -> None:
    with pytest.raises(QueryError):
        calibrated([], k=10, depth=10, keep=0.9)
    with pytest.raises(ConfigError):
        calibrated(simulated(2, 0), k=10, depth=10, keep=1.5)
