"""A generation, opened: its manifest, its codec, its segments and what is deleted in them.

Opening races with writers that clean up: a file may go between reading the manifest and opening it. Then there
is a newer generation, and opening starts again with that one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from colstore.codec import Codec
from colstore.codec.base import restore
from colstore.config import BuildConfig, SearchParams
from colstore.errors import ConfigError, CorruptIndexError, MissingFileError
from colstore.kernels.calls import Ints
from colstore.snapshot import tuned
from colstore.store import (
    Manifest,
    Segment,
    SegmentEntry,
    highest,
    load,
    newest,
    read_arrays_file,
    read_tombstones,
    segments_folder,
)

ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One generation of an index, open. Nothing of it changes any more.

    Parameters
    ----------
    path
        Of the index.
    manifest, codec
        Of the generation.
    segments
        In the manifest's order.
    deleted
        For each segment the local numbers of its deleted documents, ascending; ``None`` where none is.
    """

    path: Path
    manifest: Manifest
    codec: Codec
    segments: tuple[Segment, ...]
    deleted: tuple[Ints | None, ...]

    @classmethod
    def open(cls, path: Path, before: Snapshot | None = None) -> Snapshot:
        """Open the newest generation, taking over what ``before`` has open of it.

        Returns
        -------
        Snapshot
            ``before`` itself if nothing has changed.
        """
        for attempt in range(ATTEMPTS):
            number = newest(path)
            try:
                manifest = load(path, number)
                if before is not None and manifest == before.manifest:
                    return before
                return cls.of(path, manifest, before)
            except MissingFileError:
                overtaken = highest(path) > number
                if not overtaken or attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    @classmethod
    def of(cls, path: Path, manifest: Manifest, before: Snapshot | None = None) -> Snapshot:
        """Open what a manifest names."""
        codec = _codec(path, manifest, before)
        deleted = tuple(read_tombstones(path, record) for record in manifest.segments)
        opened: dict[str, Segment] = {} if before is None else {segment.id: segment for segment in before.segments}
        segments = tuple(_segment(path, record, opened.get(record.id)) for record in manifest.segments)
        return cls(path, manifest, codec, segments, deleted)

    @property
    def config(self) -> BuildConfig:
        """How the index was built.

        Raises
        ------
        CorruptIndexError
            The manifest holds other settings than this version writes.
        """
        stored = self.manifest.config
        if set(stored) != {field.name for field in fields(BuildConfig)}:
            raise CorruptIndexError("the manifest holds build settings that this version does not know", file=self.path)
        try:
            return BuildConfig(**stored)  # type: ignore[arg-type]  # checked by the class
        except (ConfigError, TypeError) as error:
            raise CorruptIndexError(f"the manifest's build settings cannot be: {error}", file=self.path) from error

    @property
    def params(self) -> SearchParams | None:
        """Search parameters that tuning stored; ``None`` where it has not."""
        return tuned.search_params(self.path, self.manifest)

    @property
    def rerank_threshold(self) -> float | None:
        """Threshold of the policy ``"uncertain"`` that calibrating stored; ``None`` where it has not."""
        return tuned.rerank_threshold(self.manifest)

    def close(self) -> None:
        """Let go of the segments."""
        for segment in self.segments:
            segment.close()


def _codec(path: Path, manifest: Manifest, before: Snapshot | None) -> Codec:
    if before is not None and before.manifest.codec == manifest.codec and before.manifest.dim == manifest.dim:
        return before.codec
    if len(manifest.codec.files) != 1:
        raise CorruptIndexError("the manifest does not name one codec file", file=path)
    stored = read_arrays_file(path, manifest.codec.files[0])
    codec = restore(stored.arrays, stored.attributes)
    if codec.centroids.dim != manifest.dim:
        raise CorruptIndexError(
            f"the codec takes {codec.centroids.dim} dimensions, the manifest says {manifest.dim}", file=path
        )
    return codec


def _segment(path: Path, record: SegmentEntry, opened: Segment | None) -> Segment:
    if opened is not None and opened.same_file(record):
        return opened.with_entry(record)
    return Segment.open(segments_folder(path), record)
