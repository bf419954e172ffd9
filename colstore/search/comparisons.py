"""The comparisons of a filter, evaluated for every document of the index: on columns, or value by value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colstore.search.column_tests import Mask, comparable_codes, holds_for
from colstore.search.columns import Column
from colstore.search.filter_grammar import Comparison
from colstore.search.predicates import MISSING, is_comparable, value_test
from colstore.search.segment_view import SegmentView


@dataclass(slots=True)
class Outcome:
    """What a comparison comes to.

    Parameters
    ----------
    comparison
        The comparison.
    holds
        For each segment whether it holds for each document, ``(documents,)`` bool.
    is_comparable
        Whether a document that is not deleted has a value of a kind that the comparison can be true of.
    """

    comparison: Comparison
    holds: list[Mask]
    is_comparable: bool = False


def compare_all(views: Sequence[SegmentView], comparisons: Sequence[Comparison]) -> list[Outcome]:
    """Return the outcome of each comparison. The metadata of a segment are read only if a column is missing."""
    outcomes = [Outcome(comparison, []) for comparison in comparisons]
    fields = dict.fromkeys(comparison.field for comparison in comparisons)
    for view in views:
        columns = view.columns.get(view.segment.iter_metadata, fields)
        for outcome in outcomes:
            if outcome.comparison.field in columns:
                _compare_column(outcome, columns[outcome.comparison.field], view)
        others = [outcome for outcome in outcomes if outcome.comparison.field not in columns]
        if others:
            _compare_values(others, view)
    return outcomes


def _compare_column(outcome: Outcome, column: Column, view: SegmentView) -> None:
    outcome.holds.append(holds_for(column, outcome.comparison))
    if outcome.is_comparable:
        return
    codes = comparable_codes(column, outcome.comparison)
    outcome.is_comparable = bool(codes.any() and (codes[column.codes] & ~view.is_deleted).any())


def _compare_values(outcomes: Sequence[Outcome], view: SegmentView) -> None:
    """Compare the values of fields that are too large for a column, one document after another."""
    tests = [value_test(outcome.comparison) for outcome in outcomes]
    for outcome in outcomes:
        outcome.holds.append(np.zeros(view.documents, bool))
    for number, metadata in enumerate(view.segment.iter_metadata()):
        for outcome, test in zip(outcomes, tests, strict=True):
            value = metadata.get(outcome.comparison.field, MISSING)
            if value is MISSING:
                continue
            outcome.holds[-1][number] = test(value)
            if not outcome.is_comparable and not view.is_deleted[number]:
                outcome.is_comparable = is_comparable(outcome.comparison, value)
