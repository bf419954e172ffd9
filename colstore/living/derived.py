"""What becomes of the BM25 index when an index changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from colstore.store import SegmentRecord
from colstore.store.manifest import Part
from colstore.types import Json


def segment_ids(segments: Sequence[SegmentRecord]) -> list[Json]:
    """Return the names of segments: a BM25 index keeps those that it was made of."""
    return [record.id for record in segments]


def carried(part: Part | None, segments: Sequence[SegmentRecord]) -> Part | None:
    """Return the BM25 part for a generation with these segments: without its file where they are others than its own.

    Deleting documents leaves it as it is: they are passed over, though they still count in how rare a word is.
    """
    if part is None or part.settings.get("segments") == segment_ids(segments):
        return part
    return replace(part, files=())
