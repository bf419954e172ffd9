"""A change of an index in progress: under the writer lock, from the newest generation to the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import numpy as np

from colstore.codec import Codec
from colstore.codec.base import is_trained
from colstore.config import BuildConfig
from colstore.errors import IndexChangedError
from colstore.indexing.index_files import write_codec
from colstore.indexing.segments import Batch, SegmentSink
from colstore.indexing.train import untrained_codec
from colstore.reports import ChangeReport
from colstore.snapshot.bm25 import bm25_part_for
from colstore.snapshot.info import advice
from colstore.snapshot.live_segment import LiveSegment, live_counts
from colstore.snapshot.snapshot import Snapshot
from colstore.snapshot.tuned import with_calibration, with_search
from colstore.store import (
    Manifest,
    Segment,
    SegmentEntry,
    WriterLock,
    check_folder,
    commit,
    discard,
    segments_folder,
    write_tombstones,
)
from colstore.store.format import manifest_name
from colstore.store.manifest import timestamp, writer_name
from colstore.types import Json
from colstore.updating.merge import check_same_content, content, live_batches
from colstore.updating.merge_policy import Size, merges_due
from colstore.updating.retention import clean_up


class Change:
    """Holds the writer lock, collects changes, and commits them in one step.

    Use as a context manager. Leaving it without :meth:`commit` removes the segments that were written.

    Parameters
    ----------
    path
        Directory of the index.
    wait
        Seconds to wait for another writer.

    Raises
    ------
    IndexLockedError
        Another process is writing to the index.
    """

    def __init__(self, path: Path, wait: float = 0.0) -> None:
        check_folder(path)  # an index? Taking the lock would make the folder
        self.path = path
        self._lock = WriterLock(path, wait=wait)
        self._start = perf_counter()
        try:
            # Only now: whoever held the lock may have committed meanwhile.
            self.snapshot = Snapshot.open(path)
            self.config: BuildConfig = self.snapshot.config
        except BaseException:
            self._lock.close()
            raise
        self.codec: Codec = self.snapshot.codec
        self.is_trained = is_trained(self.snapshot.manifest.codec.settings)
        self.newest = self.snapshot.manifest
        self.generation = self.snapshot.manifest.generation + 1
        self.report = ChangeReport(generation=self.snapshot.manifest.generation)
        self.sources = self.snapshot.live_segments()
        self._numbers = count(1)
        self._written: list[SegmentEntry] = []
        self._codec_error: float | None = None

    # --- what changes -----------------------------------------------------------------------------------------

    def find(self, ids: Sequence[str]) -> list[tuple[int, int] | None]:
        """Return for each id the source that holds it and its local number; ``None`` where there is none."""
        found: list[tuple[int, int] | None] = [None] * len(ids)
        for number, source in enumerate(self.sources):
            for i, local in enumerate(source.find(ids).tolist()):
                if local >= 0:
                    found[i] = (number, local)
        return found

    def delete(self, places: Sequence[tuple[int, int]]) -> None:
        """Mark documents that :meth:`find` found as deleted."""
        chosen: dict[int, list[int]] = {}
        for number, local in places:
            chosen.setdefault(number, []).append(local)
        for number, locals_ in chosen.items():
            self.sources[number].delete(np.array(locals_, np.int64))

    def sink(self, codec: Codec | None = None) -> SegmentSink:
        """Return where new documents go; each segment is one of :attr:`sources` once it is sealed."""
        return SegmentSink(self.path, codec or self.codec, self.config, self._next_name, self._take)

    def merge(self, chosen: Sequence[LiveSegment]) -> None:
        """Copy the live documents of some sources into new segments, compare, and put these in their place."""
        first = len(self.sources)
        with self.sink() as sink:
            before = content(_appended(chosen, self.codec, sink))
            sink.seal()
        made = self.sources[first:]
        after = content(batch for source in made for batch in live_batches(source, self.codec))
        check_same_content(before, after, live_counts(chosen))
        self._replace(chosen, made)
        self.report.merged += len(chosen)

    def merge_due(self) -> None:
        """Merge what the policy says is due."""
        self._drop_empty()
        sizes = [Size(source.documents, source.tokens, source.deleted_share) for source in self.sources]
        groups = merges_due(sizes, self.config.segment_documents, self.config.segment_tokens)
        for group in [[self.sources[i] for i in positions] for positions in groups]:
            self.merge(group)

    def take_codec(self, codec: Codec, segments: Sequence[LiveSegment], error: float | None) -> None:
        """Make another codec the index's: ``segments`` (all of its documents) are encoded with it.

        Parameters
        ----------
        error
            As for :func:`colstore.codec.base.codec_settings`.
        """
        self.codec, self.sources, self._codec_error = codec, list(segments), error
        self.is_trained = error is not None

    def start_over(self) -> None:
        """Forget the codec of an index that has no documents any more: those to come may be of another kind."""
        self.take_codec(untrained_codec(self.snapshot.manifest.dim, self.config), (), None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self._written and not any(source.changed for source in self.sources)

    def is_new(self, number: int) -> bool:
        """Tell whether a source was written by this change."""
        return any(self.sources[number].entry.id == record.id for record in self._written)

    # --- the end ----------------------------------------------------------------------------------------------

    def commit(self, **changes: Any) -> Manifest:  # noqa: ANN401 - fields of the manifest
        """Make the change the index's next generation; when this returns it survives a crash.

        Parameters
        ----------
        changes
            Further fields of the manifest.
        """
        self._drop_empty()
        before = self.snapshot.manifest
        segments = tuple(self._final(source) for source in self.sources)
        manifest = replace(
            before,
            generation=self.generation,
            parent=before.checksum,
            created=timestamp(),
            writer=writer_name(),
            segments=segments,
            **{"lexical": bm25_part_for(before.lexical, segments), **self._codec_fields(), **changes},
        )
        commit(self.path, manifest)
        self.report.committed = True
        self.newest = manifest
        self._clean_up(manifest)
        return manifest

    def finish(self) -> ChangeReport:
        """Return the report, filled from the newest manifest."""
        manifest, report = self.newest, self.report
        report.generation, report.documents = manifest.generation, manifest.live_documents
        report.segments, report.advice = len(manifest.segments), advice(manifest)
        if report.trained and self.snapshot.manifest.tuned is not None:
            report.advice.append("tuned parameters were dropped, because the centroids are new: tune again")
        report.seconds = perf_counter() - self._start
        return report

    def close(self) -> None:
        """Let go of everything; what was written and not committed is removed."""
        try:
            if self._written and not self._is_there():
                discard(self.path, self._written)
            with suppress(OSError):  # of a read-only file: nothing is lost, and the change may be committed
                for source in self.sources:
                    source.segment.close()
                self.snapshot.close()
        finally:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- helpers ----------------------------------------------------------------------------------------------

    def _codec_fields(self) -> dict[str, Any]:
        """Write another codec than the snapshot's, and return the manifest's fields that name it."""
        if self.codec is self.snapshot.codec:
            return {}
        codec, centroids = write_codec(self.path, self.generation, self.codec, self._codec_error)
        return {"codec": codec, "centroids": centroids, "tuned": None}  # which was chosen for the old centroids

    def _is_there(self) -> bool:
        """Tell whether a manifest may name what was written, also after a commit that failed at its very end."""
        try:
            return (self.path / manifest_name(self.generation)).exists()
        except OSError:
            return True

    def _next_name(self) -> str:
        return f"{self.generation:06d}-{next(self._numbers):04d}"

    def _take(self, record: SegmentEntry) -> None:
        self._written.append(record)
        self.sources.append(LiveSegment(Segment.open(segments_folder(self.path), record)))

    def _drop_empty(self) -> None:
        self.sources = [source for source in self.sources if source.documents]

    def _replace(self, chosen: Sequence[LiveSegment], made: Sequence[LiveSegment]) -> None:
        """Put new sources, now at the end, where the first of the old ones was."""
        old = {id(source) for source in [*chosen, *made]}
        at = min(i for i, source in enumerate(self.sources) if id(source) in old)
        rest = [source for source in self.sources if id(source) not in old]
        self.sources = [*rest[:at], *made, *rest[at:]]

    def _final(self, source: LiveSegment) -> SegmentEntry:
        if not source.changed:
            return source.entry
        return write_tombstones(self.path, source.entry, self.generation, source.deleted, source.deleted_tokens)

    def _clean_up(self, manifest: Manifest) -> None:
        """Remove what is out of date. The change is done already, so that what cannot be removed now may wait."""
        named = {record.id for record in manifest.segments}
        try:
            discard(self.path, [record for record in self._written if record.id not in named])
            self.report.removed_files = len(clean_up(self.path, manifest))
        except Exception as error:
            self.report.notes.append(f"old files could not be removed, a later change removes them: {error!r}")


def _appended(sources: Sequence[LiveSegment], codec: Codec, sink: SegmentSink) -> Iterator[Batch]:
    """Write the live documents of some segments, and yield what was written."""
    for source in sources:
        for batch in live_batches(source, codec):
            sink.append(batch)
            yield batch


def store_tuned(
    path: Path,
    manifest: Manifest,
    *,
    search: Mapping[str, Json] | None = None,
    calibration: Mapping[str, Json] | None = None,
    wait: float = 0.0,
) -> None:
    """Commit a generation with new tuned parameters, a new calibration, or both.

    Parameters
    ----------
    path
        Directory of the index.
    manifest
        Manifest of the snapshot that was tuned. Documents may have been added and deleted since, but the centroids must
        be the same.
    search
        Fields of a :class:`colstore.TuneReport`; ``None`` leaves what is stored.
    calibration
        Fields of a :class:`colstore.Calibration`; ``None`` leaves what is stored.
    wait
        Seconds to wait for another writer.

    Raises
    ------
    IndexLockedError
        Another process is writing to the index.
    IndexChangedError
        Another process has trained new centroids since.
    """
    with Change(path, wait) as change:
        if change.newest.codec != manifest.codec:
            raise IndexChangedError(
                f"{path}: another process has trained new centroids meanwhile; refresh the index and tune it again"
            )
        stored: Mapping[str, Json] | None = change.newest.tuned
        if search is not None:
            stored = with_search(stored, search)
        if calibration is not None:
            stored = with_calibration(stored, calibration)
        change.commit(tuned=stored)
