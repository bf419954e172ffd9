"""Decides which segments to merge, by size tiers as in Lucene's TieredMergePolicy.

Segments of similar size form a tier. The lowest tier holds segments of up to ``FLOOR_TOKENS / SMALL`` tokens, the
second those of up to :data:`FLOOR_TOKENS` tokens, and the limit of each further tier is :data:`FANOUT` times that of
the tier below. When a tier has :data:`FANOUT` segments they are merged into one, which may fill the next tier. An
index of ``n`` tokens therefore has at most ``FANOUT - 1`` segments in each of its
``2 + log(n / FLOOR_TOKENS) / log(FANOUT)`` tiers, not counting segments that are too large to be merged.

A token is rewritten once in each of the upper tiers. In the lowest two tiers, where segments grow until they leave,
adding one document of 32 tokens rewrites about 1,200 tokens. It would be 24,000 if the two tiers were one; a third
small tier would save little time and slow down searches. A segment with too many deletions is rewritten on its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FLOOR_TOKENS = 131_072
"""Most tokens of a segment in the second tier."""
SMALL = 32
"""Ratio between the limits of the second and the lowest tier."""
FANOUT = 3
"""Number of segments in a tier that are merged into one."""
DELETED_SHARE = 1 / 3
"""A segment is rewritten when a larger share of its documents or tokens is deleted."""


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a segment.

    Parameters
    ----------
    documents, tokens
        Number of live documents and of their tokens.
    deleted
        Share of the segment that is deleted, from 0 to 1.
    """

    documents: int
    tokens: int
    deleted: float = 0.0


@dataclass(slots=True)
class _Group:
    """Positions of segments that will be merged into one; a segment that stays as it is forms a group of its own."""

    members: list[int]
    documents: int
    tokens: int


def tier(tokens: int) -> int:
    """Return the number of the tier that a segment of so many tokens belongs to; the lowest is 0.

    >>> [tier(n) for n in (1, 4_096, 4_097, 131_072, 131_073, 393_216, 393_217)]
    [0, 0, 1, 1, 2, 2, 3]
    """
    if tokens <= FLOOR_TOKENS:
        return 0 if tokens <= FLOOR_TOKENS // SMALL else 1
    return 1 + math.ceil(round(math.log(tokens / FLOOR_TOKENS, FANOUT), 9))


def merges_due(sizes: Sequence[Size], most_documents: int, most_tokens: int) -> list[list[int]]:
    """Return the segments to merge, as lists of positions.

    Parameters
    ----------
    sizes
        The sizes of the segments, in order.
    most_documents, most_tokens
        Most documents and tokens that a segment may hold.

    Returns
    -------
    list of list of int
        One ascending list of positions for each new segment; a list of one position is a segment to rewrite on its
        own.

    Examples
    --------
    >>> merges_due([Size(1, 100)] * 3, 65_536, 8_388_608)
    [[0, 1, 2]]
    >>> merges_due([Size(9, 900, deleted=0.5), Size(1, 100), Size(1, 100)], 65_536, 8_388_608)
    [[0, 1, 2]]
    >>> merges_due([Size(1, 100), Size(9, 900, deleted=0.5)], 65_536, 8_388_608)
    [[1]]
    """
    groups = [_Group([i], size.documents, size.tokens) for i, size in enumerate(sizes)]
    while (chosen := _full_tier(groups, most_documents, most_tokens)) is not None:
        union = _Group(
            sorted(member for group in chosen for member in group.members),
            sum(group.documents for group in chosen),
            sum(group.tokens for group in chosen),
        )
        groups = [group for group in groups if group not in chosen] + [union]
    merged = [group.members for group in groups if len(group.members) > 1]
    alone = [group.members for group in groups if len(group.members) == 1]
    return sorted(merged + [members for members in alone if sizes[members[0]].deleted > DELETED_SHARE])


def _full_tier(groups: list[_Group], most_documents: int, most_tokens: int) -> list[_Group] | None:
    """Return the segments of the lowest full tier, smallest first, as many as one segment can hold."""
    tiers: dict[int, list[_Group]] = {}
    for group in groups:
        tiers.setdefault(tier(group.tokens), []).append(group)
    for level in sorted(tiers):
        if len(tiers[level]) < FANOUT:
            continue
        chosen = _smallest_that_fit(sorted(tiers[level], key=lambda group: group.tokens), most_documents, most_tokens)
        if len(chosen) > 1:
            return chosen
    return None


def _smallest_that_fit(groups: list[_Group], most_documents: int, most_tokens: int) -> list[_Group]:
    """Return the longest run from the start of the list that one segment can hold."""
    chosen: list[_Group] = []
    for group in groups:
        documents = sum(other.documents for other in chosen) + group.documents
        tokens = sum(other.tokens for other in chosen) + group.tokens
        if documents > most_documents or tokens > most_tokens:
            break
        chosen.append(group)
    return chosen
