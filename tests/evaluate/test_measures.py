"""Measures against values worked out by hand."""

from __future__ import annotations

import math
import sys

import pytest

from colstore.errors import ConfigError, MissingDependencyError
from colstore.evaluate.measures import parse_measure, per_query, standard_measures

QRELS = {"q1": {"a": 2, "b": 1, "c": 0}, "q2": {"d": 1}, "q3": {"e": 0}}
RUN = {
    "q1": [("x", 5.0), ("b", 4.0), ("a", 3.0)],
    "q2": [(f"n{i}", 20.0 - i) for i in range(10)] + [("d", 1.0)],
}
DCG = 1 / math.log2(3) + 2 / math.log2(4)
IDEAL = 2 / math.log2(2) + 1 / math.log2(3)


def test_by_hand() -> None:
    values = per_query(standard_measures(100), QRELS, RUN)
    assert values["nDCG@10"].tolist() == pytest.approx([DCG / IDEAL, 0, 0])
    assert values["MRR@10"].tolist() == pytest.approx([1 / 2, 0, 0])  # rank 11 is beyond ten
    assert values["MAP"].tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2, 1 / 11, 0])
    assert values["recall@100"].tolist() == pytest.approx([1, 1, 0])
    assert values["success@5"].tolist() == pytest.approx([1, 0, 0])


def test_equal_scores_stay_in_their_order() -> None:
    """Left to itself, trec_eval would put the later id first."""
    qrels = {"q": {"a": 1}}
    assert per_query(["MRR@10"], qrels, {"q": [("a", 1.0), ("z", 1.0)]})["MRR@10"].tolist() == [1.0]
    assert per_query(["MRR@10"], qrels, {"q": [("z", 1.0), ("a", 1.0)]})["MRR@10"].tolist() == [0.5]


def test_scores_that_single_precision_cannot_tell_apart() -> None:
    run = {"q": [("a", 1.0 + 1e-12), ("z", 1.0)]}
    assert per_query(["nDCG@10", "MAP"], {"q": {"a": 1}}, run)["MAP"].tolist() == [1.0]


def test_grades_below_zero_are_not_relevant() -> None:
    values = per_query(["nDCG@10", "recall@10"], {"q": {"a": -1, "b": 1}}, {"q": [("a", 2.0), ("b", 1.0)]})
    assert values["nDCG@10"].tolist() == pytest.approx([1 / math.log2(3)])
    assert values["recall@10"].tolist() == [1.0]


def test_no_ranking_at_all() -> None:
    assert per_query(["nDCG@10", "MRR@10"], QRELS, {"q1": []})["nDCG@10"].tolist() == [0, 0, 0]


def test_names_of_ir_measures_are_taken_too() -> None:
    assert str(parse_measure("P(rel=2)@5")) == "P(rel=2)@5"
    assert parse_measure("RR@10") == parse_measure("MRR@10")
    assert per_query(["P(rel=2)@5"], QRELS, RUN)["P(rel=2)@5"].tolist() == pytest.approx([1 / 5, 0, 0])


@pytest.mark.parametrize("name", ["", "accuracy", "nDCG@ten", "nDCG@", "@10"])
def test_a_measure_that_is_not_known(name: str) -> None:
    with pytest.raises(ConfigError, match="no measure"):
        parse_measure(name)


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(MissingDependencyError, match=r"ir_measures, which is not installed: pip install \.$"):
        per_query(["nDCG@10"], QRELS, RUN)
