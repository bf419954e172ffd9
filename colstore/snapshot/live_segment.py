"""A segment of one generation together with the deletions that the generation records for it.

:class:`LiveSegment` is the one place that derives, from a segment and its tombstones, which documents are live.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from colstore.kernels.calls import Ints
from colstore.store import Segment, SegmentEntry

NOTHING = np.zeros(0, np.int64)


@dataclass(slots=True)
class LiveSegment:
    """An open segment and its deleted documents. A change may delete more of them before it commits.

    Parameters
    ----------
    segment
        The open segment.
    deleted
        Local numbers of the deleted documents, ascending, ``(n,)`` int64.
    changed
        Whether documents have been deleted since the segment's entry was written.
    """

    segment: Segment
    deleted: Ints = field(default_factory=lambda: NOTHING)
    changed: bool = False

    @property
    def entry(self) -> SegmentEntry:
        """The segment's entry in the manifest."""
        return self.segment.entry

    @property
    def documents(self) -> int:
        """Number of live documents."""
        return self.segment.documents - len(self.deleted)

    @property
    def tokens(self) -> int:
        """Number of tokens of the live documents."""
        return self.segment.tokens - self.deleted_tokens

    @property
    def deleted_tokens(self) -> int:
        """Number of tokens of the deleted documents."""
        offsets = self.segment.doc_offsets()
        return int((offsets[self.deleted + 1].astype(np.int64) - offsets[self.deleted].astype(np.int64)).sum())

    @property
    def deleted_share(self) -> float:
        """Share of the documents or of the tokens that is deleted, whichever is larger; from 0 to 1."""
        if not len(self.deleted):
            return 0.0
        return max(len(self.deleted) / self.segment.documents, self.deleted_tokens / max(1, self.segment.tokens))

    @property
    def live_mask(self) -> NDArray[np.bool_]:
        """For each document, whether it is live: ``(documents,)``, deleted documents included."""
        mask = np.ones(self.segment.documents, bool)
        mask[self.deleted] = False
        return mask

    @property
    def live_numbers(self) -> Ints:
        """Local numbers of the live documents, ascending, ``(n,)`` int64."""
        return np.flatnonzero(self.live_mask)

    def find(self, ids: Sequence[str]) -> Ints:
        """Return the local number of the live document with each id, ``(ids,)`` int64; -1 where there is none."""
        numbers = self.segment.ids.find_many(ids)
        if len(self.deleted):
            numbers[(numbers >= 0) & np.isin(numbers, self.deleted)] = -1
        return numbers

    def delete(self, numbers: Ints) -> None:
        """Mark the documents with these local numbers as deleted."""
        self.deleted = np.union1d(self.deleted, numbers).astype(np.int64)
        self.changed = True


def live_counts(segments: Sequence[LiveSegment]) -> tuple[int, int]:
    """Return the number of live documents and of their tokens in several segments together."""
    return sum(segment.documents for segment in segments), sum(segment.tokens for segment in segments)
