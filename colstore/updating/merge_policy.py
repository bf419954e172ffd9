"""Which segments are due to be merged: tiers, as Lucene's TieredMergePolicy has them.

Segments of about the same size form a tier: everything of at most 1 / :data:`SMALL` of :data:`FLOOR_TOKENS` tokens,
everything up to :data:`FLOOR_TOKENS`, and then each :data:`FANOUT` times the one below. When a tier has :data:`FANOUT`
segments they become one, which may fill the next tier. So an index of ``n`` tokens has at most ``FANOUT - 1`` segments
in each of its ``2 + log(n / FLOOR_TOKENS) / log(FANOUT)`` tiers, besides those that are too large to be merged. A
token is rewritten once in each of the upper tiers. In the lowest two, whose segments grow until they leave them, each
addition of one document of 32 tokens rewrites some 1,200 tokens (24,000 if the two were one; one more tier would save
little time, and cost searching). A segment of which too much is deleted is rewritten alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FLOOR_TOKENS = 131_072
SMALL = 32
FANOUT = 3
DELETED_SHARE = 1 / 3
"""A segment is rewritten when more of its documents or tokens than this is deleted."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a segment: what is live in it, and the share that is not."""

    documents: int
    tokens: int
    deleted: float = 0.0


@dataclass(slots=True)
class _Group:
    """Segments that will be one; a segment that stays as it is makes a group of its own."""

    members: list[int]
    documents: int
    tokens: int


def tier(tokens: int) -> int:
    """Return the tier of a segment.

    >>> [tier(n) for n in (1, 4_096, 4_097, 131_072, 131_073, 393_216, 393_217)]
    [0, 0, 1, 1, 2, 2, 3]
    """
    if tokens <= FLOOR_TOKENS:
        return 0 if tokens <= FLOOR_TOKENS // SMALL else 1
    return 1 + math.ceil(round(math.log(tokens / FLOOR_TOKENS, FANOUT), 9))


def due(sizes: Sequence[Size], most_documents: int, most_tokens: int) -> list[list[int]]:
    """Return which segments to merge: lists of positions, ascending; a list of one is a segment to rewrite.

    Parameters
    ----------
    sizes
        Of the segments, in order.
    most_documents, most_tokens
        That a segment may hold.

    Examples
    --------
    >>> due([Size(1, 100)] * 3, 65_536, 8_388_608)
    [[0, 1, 2]]
    >>> due([Size(9, 900, deleted=0.5), Size(1, 100), Size(1, 100)], 65_536, 8_388_608)
    [[0, 1, 2]]
    >>> due([Size(1, 100), Size(9, 900, deleted=0.5)], 65_536, 8_388_608)
    [[1]]
    """
    groups = [_Group([i], size.documents, size.tokens) for i, size in enumerate(sizes)]
    while (chosen := _full_tier(groups, most_documents, most_tokens)) is not None:
        together = _Group(
            sorted(member for group in chosen for member in group.members),
            sum(group.documents for group in chosen),
            sum(group.tokens for group in chosen),
        )
        groups = [group for group in groups if group not in chosen] + [together]
    merged = [group.members for group in groups if len(group.members) > 1]
    alone = [group.members for group in groups if len(group.members) == 1]
    return sorted(merged + [members for members in alone if sizes[members[0]].deleted > DELETED_SHARE])


def _full_tier(groups: list[_Group], most_documents: int, most_tokens: int) -> list[_Group] | None:
    """Return the segments of the lowest tier that is full, smallest first, as many as one segment can hold."""
    tiers: dict[int, list[_Group]] = {}
    for group in groups:
        tiers.setdefault(tier(group.tokens), []).append(group)
    for level in sorted(tiers):
        if len(tiers[level]) < FANOUT:
            continue
        chosen = _that_fit(sorted(tiers[level], key=lambda group: group.tokens), most_documents, most_tokens)
        if len(chosen) > 1:
            return chosen
    return None


def _that_fit(groups: list[_Group], most_documents: int, most_tokens: int) -> list[_Group]:
    chosen: list[_Group] = []
    for group in groups:
        documents = sum(other.documents for other in chosen) + group.documents
        tokens = sum(other.tokens for other in chosen) + group.tokens
        if documents > most_documents or tokens > most_tokens:
            break
        chosen.append(group)
    return chosen
