"""The BM25 index that an index stores: opening it, and telling whether it still matches the segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from colstore.errors import ConfigError, CorruptIndexError
from colstore.indexing.bm25 import KIND, segment_ids
from colstore.lexical.bm25 import Bm25
from colstore.snapshot.snapshot import Snapshot
from colstore.store import SegmentEntry, read_arrays_file
from colstore.store.manifest import Part

__all__ = ["KIND", "bm25_part_for", "load_bm25", "segment_ids"]


def bm25_part_for(part: Part | None, segments: Sequence[SegmentEntry]) -> Part | None:
    """Return the BM25 part of the manifest for a generation with these segments.

    Its settings are kept. Its file is dropped where the segments are not those that it was built from. Deletions do
    not make it outdated: searches skip the deleted documents, although these still count in the document frequencies.

    Parameters
    ----------
    part
        The BM25 part of the previous generation; ``None`` where there was none.
    segments
        The entries of the new generation's segments, in order.
    """
    if part is None or part.settings.get("segments") == segment_ids(segments):
        return part
    return replace(part, files=())


def load_bm25(snapshot: Snapshot) -> Bm25:
    """Return the BM25 index of a snapshot. Its positions are the snapshot's document numbers.

    Raises
    ------
    ConfigError
        There is no BM25 index, or it is out of date. The message names the command that builds one.
    CorruptIndexError
        The file is damaged, or does not match the documents.
    """
    part = snapshot.manifest.lexical
    if part is None:
        raise ConfigError(f"{snapshot.path}: there is no BM25 index; create one with `index.build_bm25()`")
    if not part.files:
        raise ConfigError(
            f"{snapshot.path}: the BM25 index is out of date, because documents were added or segments merged since; "
            "rebuild it with `index.build_bm25()`"
        )
    stored = read_arrays_file(snapshot.path, part.files[0])
    file = snapshot.path / part.files[0].path
    settings = dict(stored.attributes)
    if settings.pop("kind", None) != KIND or settings.pop("segments", None) != segment_ids(snapshot.manifest.segments):
        raise CorruptIndexError(
            "the BM25 index was built from other segments than the manifest names: rebuild it with "
            "`index.build_bm25()`",
            file=file,
        )
    total = sum(segment.documents for segment in snapshot.segments)
    return Bm25.from_arrays([str(number) for number in range(total)], stored.arrays, settings, where=file)
