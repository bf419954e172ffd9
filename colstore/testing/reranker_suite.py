"""What every reranker must do."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.types import Reranker

PAIRS = (
    ("do bees dance?", "Bees dance in the dark hive."),
    ("do bees dance?", "Statins lower CRP."),
    ("", ""),
    ("naïve 蜜蜂 🐝", "e\u0301 \x00\x07 \u202e tab\tline\nend"),
    ("do bees dance?", "A much longer passage, about the rivers that run to the sea. " * 50),
    ("do bees dance?", "Bees dance in the dark hive."),
)
TOLERANCE = 1e-3
"""Largest difference of a score that other pairs in a batch may make."""


class RerankerConformance:
    """Tests of the protocol :class:`colstore.Reranker`. Derive from it, and define the fixture ``reranker``.

    >>> class TestMine(RerankerConformance):
    ...     @pytest.fixture
    ...     def reranker(self): ...
    """

    def test_is_a_reranker(self, reranker: Reranker) -> None:
        assert isinstance(reranker, Reranker)

    def test_the_name_is_one_word(self, reranker: Reranker) -> None:
        assert isinstance(reranker.name, str)
        assert len(reranker.name.split()) == 1

    def test_one_finite_score_for_each_pair(self, reranker: Reranker) -> None:
        scores = _scores(reranker, PAIRS)
        assert scores.shape == (len(PAIRS),)
        assert scores.dtype.kind == "f"
        assert np.isfinite(scores).all()

    def test_no_pairs_give_no_scores(self, reranker: Reranker) -> None:
        assert len(_scores(reranker, [])) == 0

    def test_equal_pairs_have_equal_scores(self, reranker: Reranker) -> None:
        scores = _scores(reranker, PAIRS)
        assert scores[0] == pytest.approx(scores[-1], abs=TOLERANCE)

    def test_scores_come_in_the_order_of_the_pairs(self, reranker: Reranker) -> None:
        order = list(range(len(PAIRS)))
        random.Random(3).shuffle(order)
        shuffled = _scores(reranker, [PAIRS[at] for at in order])
        np.testing.assert_allclose(shuffled, _scores(reranker, PAIRS)[order], atol=TOLERANCE)

    def test_a_score_does_not_depend_on_other_pairs(self, reranker: Reranker) -> None:
        alone = [float(_scores(reranker, [pair])[0]) for pair in PAIRS]
        np.testing.assert_allclose(_scores(reranker, PAIRS), alone, atol=TOLERANCE)

    def test_the_same_call_gives_the_same_scores(self, reranker: Reranker) -> None:
        np.testing.assert_array_equal(_scores(reranker, PAIRS), _scores(reranker, PAIRS))

    def test_the_callers_random_state_is_left_alone(self, reranker: Reranker) -> None:
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002 - the legacy state is what could be disturbed
        expected = (random.Random(5).random(), np.random.RandomState(5).rand())
        _scores(reranker, PAIRS)
        assert (random.random(), np.random.rand()) == expected  # noqa: NPY002 - see above; no secrets


def _scores(reranker: Reranker, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
    return np.asarray(reranker.score(pairs))
