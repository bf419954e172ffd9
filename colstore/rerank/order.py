"""The order of hits that several stages ranked: ranks from 1, and scores that never rise."""

from __future__ import annotations

import math
from collections.abc import Iterable

from colstore.types import Hit

NOT_STORED = "missing"
"""Stage of a candidate that the index holds no vectors of, and that nothing has scored."""
NOT_REACHED = "first-stage"
"""Stage of a candidate behind which early exit stopped."""
LAST = -math.inf
"""Score of what nothing has scored, until :func:`ranked_hits` gives it one."""


def ranked_hits(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits, given best first, with ranks from 1 and scores that never rise.

    Stages score on scales of their own. Where a hit would score higher than the one above it, it and all that follow
    are lowered by the same amount, so that it stands 1 below: programs that sort a run by score then keep the order,
    and distances within a stage stay. A hit without a score (:data:`LAST`) stands 1 below the one above it.

    Examples
    --------
    >>> hits = [Hit(0, "a", 0.9, stage="ce"), Hit(0, "b", 12.0), Hit(0, "c", 11.5), Hit(0, "d", LAST)]
    >>> [(hit.rank, hit.id, round(hit.score, 6)) for hit in ranked_hits(hits)]
    [(1, 'a', 0.9), (2, 'b', -0.1), (3, 'c', -0.6), (4, 'd', -1.6)]
    """
    ranked: list[Hit] = []
    above, shift = math.inf, 0.0
    for rank, hit in enumerate(hits, start=1):
        if hit.score == LAST:
            score = above - 1 if ranked else 0.0
        else:
            if hit.score + shift > above:
                shift = above - 1 - hit.score
            score = hit.score + shift
        ranked.append(hit if (hit.rank, hit.score) == (rank, score) else hit.placed(rank, score, hit.stage))
        above = score
    return ranked
