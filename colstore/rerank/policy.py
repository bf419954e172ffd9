"""When the cross-encoder runs: pure functions of the scores so far.

``uncertain``. Let ``s_1 >= ... >= s_n`` be the MaxSim scores of a query's first ``depth`` candidates. The margin of the
``i``-th is ``(s_1 - s_i) / (s_1 - s_n)``: 0 for the best, 1 for the last. MaxSim cannot tell which of the candidates
within a threshold of the best is the best, so the cross-encoder reads these; all others keep their order. Where only
the best itself lies within the threshold, nothing is read.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Policy = Literal["always", "uncertain", "missing", "never"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


def contenders(scores: ArrayLike, threshold: float) -> int:
    """Return how many of the best candidates MaxSim cannot tell apart; 0 where only the best is within the threshold.

    Parameters
    ----------
    scores
        MaxSim scores in descending order, ``(n,)``.
    threshold
        Largest margin of a contender: 0 takes exact ties only, 1 takes every candidate.

    Examples
    --------
    >>> contenders([20.0, 19.5, 19.0, 12.0, 10.0], threshold=0.1)
    3
    >>> contenders([20.0, 15.0, 14.0, 10.0], threshold=0.1)
    0
    """
    near = int((margins(scores) <= threshold).sum())
    return near if near > 1 else 0


def margins(scores: ArrayLike) -> NDArray[np.float64]:
    """Return how far each score lies below the best, as a share of their range: ``(n,)`` float64, 0..1.

    The scores, ``(n,)``, are in descending order.


    >>> margins([20.0, 19.0, 10.0]).tolist()
    [0.0, 0.1, 1.0]
    """
    values = np.asarray(scores, np.float64)
    if not len(values) or values[0] == values[-1]:
        return np.zeros(len(values))
    below: NDArray[np.float64] = (values[0] - values) / (values[0] - values[-1])
    return below


def onto_scale(anchors: ArrayLike, scores: ArrayLike, others: ArrayLike) -> NDArray[np.float64] | None:
    """Return ``others`` on the scale of ``scores``, by the straight line that fits (anchors -> scores) best.

    Parameters
    ----------
    anchors, scores
        The scores of the same documents on the source scale and on the target scale, ``(n,)`` each.
    others
        Scores on the source scale, ``(m,)``.

    Returns
    -------
    array or None
        ``(m,)`` float64; ``None`` where fewer than two anchors differ, or where the line does not rise: the two scales
        then contradict each other, and cannot be compared.

    Examples
    --------
    >>> onto_scale([0.0, 1.0, 2.0], [10.0, 12.0, 14.0], [1.5]).tolist()
    [13.0]
    """
    x, y = np.asarray(anchors, np.float64), np.asarray(scores, np.float64)
    if len(x) < 2 or np.ptp(x) == 0:
        return None
    centred = x - x.mean()
    slope = float((centred * (y - y.mean())).sum() / (centred**2).sum())
    if not slope > 0:
        return None
    placed: NDArray[np.float64] = y.mean() + slope * (np.asarray(others, np.float64) - x.mean())
    return placed


def spread(count: int, chosen: int) -> list[int]:
    """Return ``chosen`` positions out of ``count``, evenly spread, the first and the last included.

    >>> spread(100, 5), spread(3, 8)
    ([0, 25, 50, 74, 99], [0, 1, 2])
    """
    if count <= chosen:
        return list(range(count))
    return sorted({round(place) for place in np.linspace(0, count - 1, chosen).tolist()})
