"""A generation of an index, opened: its manifest, its codec, its segments and their deleted documents.

Opening races with writers that clean up: a file may disappear after the manifest was read and before the file is
opened. In that case there is a newer generation, and opening starts again with that one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from colstore.codec import Codec
from colstore.codec.base import restore
from colstore.config import BuildConfig, PassageConfig, SearchParams
from colstore.errors import ConfigError, CorruptIndexError, MissingFileError
from colstore.kernels.calls import Ints
from colstore.snapshot import tuned
from colstore.snapshot.live_segment import NOTHING, LiveSegment
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
from colstore.types import Json

ATTEMPTS = 10
"""How often opening starts again because a writer removed a file."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One open generation of an index. It never changes.

    Parameters
    ----------
    path
        The directory of the index.
    manifest
        The manifest of the generation.
    codec
        The trained codec that the vectors are stored with.
    segments
        The open segments, in the order of the manifest.
    deleted
        For each segment, the local numbers of its deleted documents, ascending, ``(n,)`` int64; ``None`` where no
        document is deleted.
    """

    path: Path
    manifest: Manifest
    codec: Codec
    segments: tuple[Segment, ...]
    deleted: tuple[Ints | None, ...]

    @classmethod
    def open(cls, path: Path, previous: Snapshot | None = None) -> Snapshot:
        """Open the newest generation.

        Parameters
        ----------
        path
            The directory of the index.
        previous
            An older snapshot of the same index. Segments and a codec that both share are not opened again.

        Returns
        -------
        Snapshot
            ``previous`` itself if nothing has changed.

        Raises
        ------
        IndexNotFoundError, NotAnIndexError
            There is no index at this path.
        FormatVersionError
            The index has a format that this version cannot read.
        CorruptIndexError
            A file is damaged or missing.
        """
        for attempt in range(ATTEMPTS):
            number = newest(path)
            try:
                manifest = load(path, number)
                if previous is not None and manifest == previous.manifest:
                    return previous
                return cls.from_manifest(path, manifest, previous)
            except MissingFileError:
                overtaken = highest(path) > number
                if not overtaken or attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    @classmethod
    def from_manifest(cls, path: Path, manifest: Manifest, previous: Snapshot | None = None) -> Snapshot:
        """Open the generation that a manifest describes; parameters and errors as for :meth:`open`."""
        codec = _codec(path, manifest, previous)
        deleted = tuple(read_tombstones(path, entry) for entry in manifest.segments)
        opened: dict[str, Segment] = {} if previous is None else {segment.id: segment for segment in previous.segments}
        segments = tuple(_segment(path, entry, opened.get(entry.id)) for entry in manifest.segments)
        return cls(path, manifest, codec, segments, deleted)

    def live_segments(self) -> list[LiveSegment]:
        """Return each segment with its deleted documents, in the order of the manifest."""
        return [
            LiveSegment(segment, NOTHING if deleted is None else deleted)
            for segment, deleted in zip(self.segments, self.deleted, strict=True)
        ]

    @property
    def config(self) -> BuildConfig:
        """The settings that the index was built with.

        Raises
        ------
        CorruptIndexError
            The stored settings are not those that this version writes.
        """
        stored = self.manifest.config
        if set(stored) != {field.name for field in fields(BuildConfig)}:
            raise CorruptIndexError(
                "the build settings in the manifest are not those that this version knows", file=self.path
            )
        try:
            passages = _passage_config(stored["passages"])
            return BuildConfig(**{**stored, "passages": passages})  # type: ignore[arg-type]  # checked by the class
        except (ConfigError, TypeError) as error:
            raise CorruptIndexError(
                f"the build settings in the manifest are invalid: {error}", file=self.path
            ) from error

    @property
    def params(self) -> SearchParams | None:
        """The search parameters that tuning stored; ``None`` where the index was not tuned.

        Raises
        ------
        CorruptIndexError
            The stored parameters are invalid.
        """
        return tuned.search_params(self.path, self.manifest)

    @property
    def rerank_threshold(self) -> float | None:
        """The threshold of the policy ``"uncertain"`` that calibrating stored; ``None`` where there is none."""
        return tuned.rerank_threshold(self.manifest)

    def close(self) -> None:
        """Close the segments."""
        for segment in self.segments:
            segment.close()


def _passage_config(stored: Json) -> PassageConfig | None:
    """Return the settings of passages as the manifest stores them; ``TypeError`` where it cannot have them."""
    if stored is None:
        return None
    if not isinstance(stored, dict) or set(stored) != {field.name for field in fields(PassageConfig)}:
        raise TypeError("passages is neither null nor max_tokens with overlap")
    return PassageConfig(**stored)  # type: ignore[arg-type]  # checked by the class


def _codec(path: Path, manifest: Manifest, previous: Snapshot | None) -> Codec:
    """Return the codec of a generation, taken from an earlier snapshot where it is the same."""
    if previous is not None and previous.manifest.codec == manifest.codec and previous.manifest.dim == manifest.dim:
        return previous.codec
    if len(manifest.codec.files) != 1:
        raise CorruptIndexError(f"the manifest names {len(manifest.codec.files)} codec files instead of one", file=path)
    stored = read_arrays_file(path, manifest.codec.files[0])
    codec = restore(stored.arrays, stored.attributes)
    if codec.centroids.dim != manifest.dim:
        raise CorruptIndexError(
            f"the codec expects {codec.centroids.dim} dimensions, but the manifest states {manifest.dim}", file=path
        )
    return codec


def _segment(path: Path, entry: SegmentEntry, opened: Segment | None) -> Segment:
    """Return the segment of an entry, sharing the file that an earlier snapshot has open."""
    if opened is not None and opened.same_file(entry):
        return opened.with_entry(entry)
    return Segment.open(segments_folder(path), entry)
