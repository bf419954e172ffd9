"""One ranking from hits that several stages ranked: ranks from 1, and scores that never rise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colstore.errors import QueryError
from colstore.rerank.fusion import Fusion
from colstore.rerank.policy import onto_scale
from colstore.types import Document, Hit

NOT_STORED = "missing"
"""Stage of a candidate that the index holds no vectors of and that nothing has scored."""
NOT_REACHED = "first-stage"
"""Stage of a candidate that early exit did not reach."""
LAST = -math.inf
"""Score of a hit that nothing has scored, until :func:`ranked_hits` assigns one."""


def ranked_hits(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits, best first, with ranks from 1 and scores that never rise.

    Each stage scores on a scale of its own. Where a hit has a higher score than the one above it, its score and those
    of all that follow are lowered by the same amount, such that it ends up 1 below the hit above. Programs that sort a
    run by score then keep the order, and distances within a stage stay the same. A hit without a score (:data:`LAST`)
    gets the score of the hit above it minus 1.

    Parameters
    ----------
    hits
        In their final order.

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


Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a stage will read.

    Parameters
    ----------
    positions
        Positions of hits, in the order in which the reranker reads them.
    anchors
        Number of positions, at the beginning, that are read only to compare the two scales; these hits keep MaxSim's
        order.
    """

    positions: tuple[int, ...]
    anchors: int


def merged(name: str, fusion: Fusion, hits: Sequence[Hit], selection: Selection, scores: Scores) -> list[Hit]:
    """Return the hits in their new order.

    Parameters
    ----------
    name
        Name of the reranker.
    fusion
        How its scores are combined with the earlier ones.
    hits
        As the earlier stages ranked them.
    selection
        What the reranker was to read.
    scores
        Its scores for the first positions of the selection, ``(n,)`` float64.
    """
    if not len(scores):
        return ranked_hits(hits)
    if selection.anchors:
        return _beside(name, hits, selection, scores)
    read = selection.positions[: len(scores)]
    known = [hits[i].score for i in read if hits[i].stage != NOT_STORED]
    earlier = [hits[i].score if hits[i].stage != NOT_STORED else min(known, default=0.0) for i in read]
    fused = fusion.fused(earlier, scores)
    order = np.argsort(-fused, kind="stable").tolist()
    above = [hits[read[i]].placed(0, float(fused[i]), name) for i in order]
    taken = set(read)
    return ranked_hits([*above, *(_waiting(hit) for i, hit in enumerate(hits) if i not in taken)])


def _beside(name: str, hits: Sequence[Hit], selection: Selection, scores: Scores) -> list[Hit]:
    """Place missing candidates among those that keep MaxSim's order, by means of the anchors."""
    anchors = selection.positions[: min(selection.anchors, len(scores))]
    lost = selection.positions[selection.anchors : len(scores)]
    raw = scores[selection.anchors :]
    mapped = onto_scale(scores[: len(anchors)], [hits[i].score for i in anchors], raw)
    taken = set(lost)
    stored = [hit for i, hit in enumerate(hits) if i not in taken and hit.stage != NOT_STORED]
    rest = [_waiting(hit) for i, hit in enumerate(hits) if i not in taken and hit.stage == NOT_STORED]
    if mapped is None:
        order = np.argsort(-raw, kind="stable").tolist()
        return ranked_hits([*stored, *(hits[lost[i]].placed(0, LAST, name) for i in order), *rest])
    placed = [hits[i].placed(0, score, name) for i, score in zip(lost, mapped.tolist(), strict=True)]
    return ranked_hits([*sorted([*stored, *placed], key=lambda hit: -hit.score), *rest])


def _waiting(hit: Hit) -> Hit:
    return hit.placed(0, LAST, hit.stage) if hit.stage == NOT_STORED else hit


def passage(hit: Hit) -> str:
    """Return title and passage of a hit (or its whole text, where it has none), joined as they were when encoded.

    Raises
    ------
    QueryError
        The index stores no text of the document.
    """
    body = hit.text if hit.passage is None or hit.passage.text is None else hit.passage.text
    text = "" if body is None else Document(hit.id, body, hit.title or "").passage
    if not text:
        raise QueryError(
            f"the index holds no text of document {hit.id!r}, and a reranker reads texts: build the index with "
            "store_texts=True (and with texts, where you bring your own vectors)"
        )
    return text
