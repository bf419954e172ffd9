"""Measures of ranked lists, computed by ``ir-measures``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError
from colstore.extras import require

if TYPE_CHECKING:
    from ir_measures.measures import Measure

Ranking = Sequence[tuple[str, float]]
"""Document ids of one query with their scores, best first."""
Run = Mapping[str, Ranking]
"""Rankings by query id."""
Qrels = Mapping[str, Mapping[str, int]]
"""Relevance grades by query id and document id."""

STANDARD = ("nDCG@10", "MRR@10", "MAP", "recall@{k}", "success@5")
"""The measures that are computed by default; ``{k}`` is the number of hits per query."""
_NAMES = {"mrr": "RR", "map": "AP", "recall": "R", "success": "Success", "ndcg": "nDCG", "precision": "P"}


def standard_measures(k: int) -> tuple[str, ...]:
    """Return the names of the standard measures for ``k`` hits per query.

    Examples
    --------
    >>> standard_measures(100)
    ('nDCG@10', 'MRR@10', 'MAP', 'recall@100', 'success@5')
    """
    return tuple(name.format(k=k) for name in STANDARD)


def per_query(names: Sequence[str], qrels: Qrels, run: Run) -> dict[str, NDArray[np.float64]]:
    """Return the value of each measure for each query of the qrels.

    Only the order of a ranking counts, not its scores, so equal scores are not ties. A query that the run lacks counts
    0, and so does a query without relevant documents, as in ``trec_eval -c``. Documents without a grade, or with a
    grade below 0, are not relevant. The gain of nDCG is linear in the grade.

    Parameters
    ----------
    names
        Names of measures, such as ``"nDCG@10"``, ``"MRR@10"``, ``"MAP"``, ``"recall@100"`` and ``"success@5"``, or
        names of ``ir-measures``, such as ``"P(rel=2)@5"``.
    qrels
        Grades by query id and document id.
    run
        Rankings by query id.

    Returns
    -------
    dict
        By measure, one value per query in the order of the qrels: ``(queries,)`` float64.

    Raises
    ------
    ConfigError
        A measure is unknown.
    MissingDependencyError
        ``ir-measures`` is not installed.

    Examples
    --------
    >>> qrels, run = {"q": {"a": 1, "b": 1}}, {"q": [("x", 3.0), ("a", 2.0), ("b", 1.0)]}
    >>> values = per_query(["MRR@10", "MAP", "recall@2"], qrels, run)
    >>> {name: value.round(4).tolist() for name, value in values.items()}
    {'MRR@10': [0.5], 'MAP': [0.5833], 'recall@2': [0.5]}
    """
    ir_measures = _library()
    parsed = {name: parse_measure(name) for name in names}
    positions = {query: i for i, query in enumerate(qrels)}
    values = {measure: np.zeros(len(positions)) for measure in parsed.values()}
    graded = {query: {name: max(0, grade) for name, grade in grades.items()} for query, grades in qrels.items()}
    # Ranks replace the scores: scores that are equal as float32 would be ordered by their ids.
    ranked = {query: {name: -float(i) for i, (name, _) in enumerate(run[query])} for query in qrels if run.get(query)}
    for metric in ir_measures.iter_calc(list(values), graded, ranked) if ranked else ():
        values[metric.measure][positions[metric.query_id]] = metric.value
    return {name: values[measure] for name, measure in parsed.items()}


def parse_measure(name: str) -> Measure:
    """Return the measure of ``ir-measures`` with this name.

    Examples
    --------
    >>> parse_measure("MRR@10"), parse_measure("recall@100"), parse_measure("map")
    (RR@10, R@100, AP)

    Raises
    ------
    ConfigError
        The measure is unknown.
    """
    ir_measures = _library()
    head = re.match(r"[A-Za-z]+", name)
    known = _NAMES.get(head.group().lower(), head.group()) if head else ""
    try:
        measure: Measure = ir_measures.parse_measure(known + name[len(head.group()) if head else 0 :])
    except (NameError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"no measure is called {name!r}: try nDCG@10, MRR@10, MAP, recall@100, success@5, or a name of ir-measures"
        ) from error
    return measure


def _library() -> Any:  # noqa: ANN401 - a module
    require("ir_measures", "pytrec_eval", extra="", purpose="Computing measures")
    import ir_measures

    return ir_measures
