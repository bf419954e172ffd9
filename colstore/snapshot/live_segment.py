"""One segment of a generation, and which of its documents are deleted."""

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
    """A segment as a change sees it: what is stored, and what of it is deleted by now.

    Parameters
    ----------
    segment
        Open.
    deleted
        Local numbers, ascending.
    changed
        Whether more is deleted than the segment's record says.
    """

    segment: Segment
    deleted: Ints = field(default_factory=lambda: NOTHING)
    changed: bool = False

    @property
    def record(self) -> SegmentEntry:
        """What the manifest says, or will say, of the segment itself."""
        return self.segment.entry

    @property
    def documents(self) -> int:
        """Live documents."""
        return self.segment.documents - len(self.deleted)

    @property
    def tokens(self) -> int:
        """Live tokens."""
        return self.segment.tokens - self.deleted_tokens

    @property
    def deleted_tokens(self) -> int:
        """Tokens of deleted documents."""
        offsets = self.segment.doc_offsets()
        return int((offsets[self.deleted + 1].astype(np.int64) - offsets[self.deleted].astype(np.int64)).sum())

    @property
    def deleted_share(self) -> float:
        """Share of documents or tokens that is deleted, whichever is more."""
        if not len(self.deleted):
            return 0.0
        return max(len(self.deleted) / self.segment.documents, self.deleted_tokens / max(1, self.segment.tokens))

    @property
    def live(self) -> NDArray[np.bool_]:
        """For each document whether it is there still."""
        mask = np.ones(self.segment.documents, bool)
        mask[self.deleted] = False
        return mask

    def find(self, ids: Sequence[str]) -> Ints:
        """Return local numbers of live documents, -1 where there is none of this id."""
        found = self.segment.ids.find_many(ids)
        if len(self.deleted):
            found[(found >= 0) & np.isin(found, self.deleted)] = -1
        return found

    def delete(self, numbers: Ints) -> None:
        """Mark documents as deleted."""
        self.deleted = np.union1d(self.deleted, numbers).astype(np.int64)
        self.changed = True


def live_of(sources: Sequence[LiveSegment]) -> tuple[int, int]:
    """Return live documents and tokens of some segments together."""
    return sum(source.documents for source in sources), sum(source.tokens for source in sources)
