"""Where hits stand once a reranker has read some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colstore.errors import QueryError
from colstore.rerank.fusion import Fusion
from colstore.rerank.order import LAST, NOT_STORED, ranked_hits
from colstore.rerank.policy import onto_scale
from colstore.types import Document, Hit

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stage will read.

    Parameters
    ----------
    positions
        Of the hits, in the order in which they are read.
    anchors
        How many of these, at the beginning, are read only to compare scales: they keep MaxSim's rank.
    """

    positions: tuple[int, ...]
    anchors: int


def merged(name: str, fusion: Fusion, hits: Sequence[Hit], plan: Plan, scores: Scores) -> list[Hit]:
    """Return the hits in their new order, after the reranker ``name`` scored the first of the planned positions."""
    if not len(scores):
        return ranked_hits(hits)
    if plan.anchors:
        return _beside(name, hits, plan, scores)
    read = plan.positions[: len(scores)]
    known = [hits[i].score for i in read if hits[i].stage != NOT_STORED]
    earlier = [hits[i].score if hits[i].stage != NOT_STORED else min(known, default=0.0) for i in read]
    fused = fusion.fused(earlier, scores)
    order = np.argsort(-fused, kind="stable").tolist()
    above = [hits[read[i]].placed(0, float(fused[i]), name) for i in order]
    taken = set(read)
    return ranked_hits([*above, *(_waiting(hit) for i, hit in enumerate(hits) if i not in taken)])


def _beside(name: str, hits: Sequence[Hit], plan: Plan, scores: Scores) -> list[Hit]:
    """Place missing candidates among those that keep MaxSim's rank, by way of the anchors."""
    anchors = plan.positions[: min(plan.anchors, len(scores))]
    lost = plan.positions[plan.anchors : len(scores)]
    raw = scores[plan.anchors :]
    mapped = onto_scale(scores[: len(anchors)], [hits[i].score for i in anchors], raw)
    taken = set(lost)
    kept = [hit for i, hit in enumerate(hits) if i not in taken and hit.stage != NOT_STORED]
    rest = [_waiting(hit) for i, hit in enumerate(hits) if i not in taken and hit.stage == NOT_STORED]
    if mapped is None:
        order = np.argsort(-raw, kind="stable").tolist()
        return ranked_hits([*kept, *(hits[lost[i]].placed(0, LAST, name) for i in order), *rest])
    placed = [hits[i].placed(0, score, name) for i, score in zip(lost, mapped.tolist(), strict=True)]
    return ranked_hits([*sorted([*kept, *placed], key=lambda hit: -hit.score), *rest])


def _waiting(hit: Hit) -> Hit:
    return hit.placed(0, LAST, hit.stage) if hit.stage == NOT_STORED else hit


def passage(hit: Hit) -> str:
    """Return title and text of a hit, as its vectors were made from.

    Raises
    ------
    QueryError
        The index holds no text of it.
    """
    text = "" if hit.text is None else Document(hit.id, hit.text, hit.title or "").passage
    if not text:
        raise QueryError(
            f"the index holds no text of document {hit.id!r}, and a reranker reads texts: build the index with texts "
            "(store_texts=True; for vectors of your own, texts=)"
        )
    return text
