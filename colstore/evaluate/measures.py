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
"""Documents of one query with their scores, best first."""
Run = Mapping[str, Ranking]
"""Rankings by query id."""
Qrels = Mapping[str, Mapping[str, int]]
"""Grades by query id and document id."""

STANDARD = ("nDCG@10", "MRR@10", "MAP", "recall@{k}", "success@5")
"""What is computed unless asked otherwise; ``{k}`` is the number of hits of a query."""
_NAMES = {"mrr": "RR", "map": "AP", "recall": "R", "success": "Success", "ndcg": "nDCG", "precision": "P"}


def standard_measures(k: int) -> tuple[str, ...]:
    """Return the names of the usual measures where ``k`` hits a query were asked for.

    Examples
    --------
    >>> standard_measures(100)
    ('nDCG@10', 'MRR@10', 'MAP', 'recall@100', 'success@5')
    """
    return tuple(name.format(k=k) for name in STANDARD)


def per_query(names: Sequence[str], qrels: Qrels, run: Run) -> dict[str, NDArray[np.float64]]:
    """Return each measure of each query of the qrels, in their order.

    The order of a ranking counts, its scores do not: equal scores are no ties. A query that the run lacks counts 0,
    and so does one without any relevant document, as in ``trec_eval -c``. Documents without a grade, and those with
    a grade below 0, are not relevant; gains of nDCG are linear in the grade.

    Parameters
    ----------
    names
        Such as ``"nDCG@10"``, ``"MRR@10"``, ``"MAP"``, ``"recall@100"``, ``"success@5"``, or as ``ir-measures`` names
        them, ``"P(rel=2)@5"``.
    qrels, run
        Grades, and rankings.

    Returns
    -------
    dict
        By name, ``(queries,)`` float64.

    Raises
    ------
    ConfigError
        A measure that is not known.
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
    places = {query: place for place, query in enumerate(qrels)}
    values = {measure: np.zeros(len(places)) for measure in parsed.values()}
    graded = {query: {name: max(0, grade) for name, grade in grades.items()} for query, grades in qrels.items()}
    # by place, not by score: two scores that are equal as float32 would be put in the order of their ids
    ranked = {query: {name: -float(i) for i, (name, _) in enumerate(run[query])} for query in qrels if run.get(query)}
    for metric in ir_measures.iter_calc(list(values), graded, ranked) if ranked else ():
        values[metric.measure][places[metric.query_id]] = metric.value
    return {name: values[measure] for name, measure in parsed.items()}


def parse_measure(name: str) -> Measure:
    """Return a measure of ``ir-measures`` by its usual name.

    Examples
    --------
    >>> parse_measure("MRR@10"), parse_measure("recall@100"), parse_measure("map")
    (RR@10, R@100, AP)

    Raises
    ------
    ConfigError
        There is no such measure.
    """
    ir_measures = _library()
    head = re.match(r"[A-Za-z]+", name)
    known = _NAMES.get(head.group().lower(), head.group()) if head else ""
    try:
        measure: Measure = ir_measures.parse_measure(known + name[len(head.group()) if head else 0 :])
    except (NameError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"no measure {name!r}: try nDCG@10, MRR@10, MAP, recall@100, success@5, or a name of ir-measures"
        ) from error
    return measure


def _library() -> Any:  # noqa: ANN401 - a module
    require("ir_measures", "pytrec_eval", extra="", purpose="Computing measures")
    import ir_measures

    return ir_measures
