"""The stored BM25 index: read, and what becomes of it when the index changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from colstore.errors import ConfigError, CorruptIndexError
from colstore.lexical.bm25 import Bm25
from colstore.snapshot.snapshot import Snapshot
from colstore.store import SegmentEntry, read_arrays_file
from colstore.store.manifest import Part
from colstore.types import Json

KIND = "bm25"


def segment_ids(segments: Sequence[SegmentEntry]) -> list[Json]:
    """Return the names of segments: a BM25 index keeps those that it was made of."""
    return [record.id for record in segments]


def carried(part: Part | None, segments: Sequence[SegmentEntry]) -> Part | None:
    """Return the BM25 part for a generation with these segments: without its file where they are others than its own.

    Deleting documents leaves it as it is: they are passed over, though they still count in how rare a word is.
    """
    if part is None or part.settings.get("segments") == segment_ids(segments):
        return part
    return replace(part, files=())


def load_bm25(snapshot: Snapshot) -> Bm25:
    """Return the BM25 index of a snapshot; its positions are document numbers through the index.

    Raises
    ------
    ConfigError
        There is none, or it is out of date; says how to make one.
    CorruptIndexError
        Its file is damaged, or does not fit the documents.
    """
    part = snapshot.manifest.lexical
    if part is None:
        raise ConfigError(f"{snapshot.path}: there is no BM25 index; make one with `index.build_bm25()`")
    if not part.files:
        raise ConfigError(
            f"{snapshot.path}: the BM25 index is out of date, because documents were added or segments merged since; "
            "make it again with `index.build_bm25()`"
        )
    stored = read_arrays_file(snapshot.path, part.files[0])
    settings = dict(stored.attributes)
    if settings.pop("kind", None) != KIND or settings.pop("segments", None) != segment_ids(snapshot.manifest.segments):
        raise CorruptIndexError(
            "the BM25 index is of other documents than the manifest's: make it again with `index.build_bm25()`",
            file=snapshot.path / part.files[0].path,
        )
    total = sum(segment.documents for segment in snapshot.segments)
    where = snapshot.path / part.files[0].path
    return Bm25.from_arrays([str(number) for number in range(total)], stored.arrays, settings, where=where)
