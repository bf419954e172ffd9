"""Lengths to batches: texts of like length together, about as many padded tokens in each batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def token_budget_batches(lengths: Sequence[int], budget: int) -> list[NDArray[np.intp]]:
    """Return batches of positions so that ``rows * longest row`` stays within the budget, longest first.

    A text that exceeds the budget on its own is a batch of its own. Longest first, so that what needs
    most memory fails at the start if it must. Equal lengths keep their order.

    Parameters
    ----------
    lengths
        Tokens of each text.
    budget
        Padded tokens a batch.

    Returns
    -------
    list of arrays
        Each position exactly once.

    Examples
    --------
    >>> [batch.tolist() for batch in token_budget_batches([2, 9, 3, 3], budget=6)]
    [[1], [2, 3], [0]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        end = start + max(1, budget // longest)
        batches.append(order[start:end])
        start = end
    return batches
