"""Compaction on request: as few segments as possible, no deleted documents; with ``retrain`` also new centroids."""

from __future__ import annotations

from pathlib import Path

from colstore.codec import Codec
from colstore.config import BuildConfig
from colstore.errors import CorruptIndexError
from colstore.indexing.index_files import write_centroid_index
from colstore.reports import ChangeReport
from colstore.snapshot.live_segment import LiveSegment
from colstore.store import FileEntry, check_checksum
from colstore.updating.change import Change
from colstore.updating.retention import clean_up
from colstore.updating.retrain import retrain as train_again


def compact(path: Path, *, retrain: bool = False, clean: bool = False, wait: float = 0.0) -> ChangeReport:
    """Merge segments, drop what is deleted, and rebuild derived files that are damaged.

    What was copied is compared with what it was copied from (ids, texts, metadata, stored codes) before the new
    generation is committed. Segments at least half full without deleted documents stay as they are.

    Parameters
    ----------
    path
        Directory of the index.
    retrain
        Also decode all vectors, train new centroids on them and encode them again, as a build would. From 16 bits that
        loses nothing; below, each component is rounded a second time (the report's ``loss``), so that building again
        from the documents is better where that is possible. Tuned parameters are dropped. An index that is not trained
        yet is trained now, however few tokens it has.
    clean
        Also delete all older generations at once, without the grace period, and files that crashed writers left. There
        is then no generation to go back to.
    wait
        Seconds to wait for another writer.

    Raises
    ------
    IndexLockedError, StorageError, CorruptIndexError
        The index is unchanged then.
    """
    with Change(path, wait) as change:
        if retrain and any(source.documents for source in change.sources):
            train_again(change)
            change.commit()
        else:
            _merge(change)
        if clean:
            change.report.removed_files += len(clean_up(path, change.newest, grace=0.0, force=True))
        return change.finish()


def _merge(change: Change) -> None:
    """Merge what is not full, in the segments' order."""
    due = [source for source in change.sources if source.documents and not _is_full(source, change.config)]
    if len(due) > 1 or any(len(source.deleted) for source in due):
        change.merge(due)
    bad = derived_is_bad(change)
    if change.report.merged or bad or any(not source.documents for source in change.sources):
        change.commit(**({"centroids": rebuilt(change, change.codec)} if bad else {}))


def _is_full(source: LiveSegment, config: BuildConfig) -> bool:
    """Tell whether a segment may stay as it is."""
    half_full = 2 * source.documents >= config.segment_documents or 2 * source.tokens >= config.segment_tokens
    return half_full and not len(source.deleted)


def derived_is_bad(change: Change) -> bool:
    """Tell whether the FAISS index over the centroids is missing or damaged."""
    record = change.snapshot.manifest.centroids
    if record is None:
        return True
    try:
        check_checksum(change.path, record)
    except CorruptIndexError:
        return True
    return False


def rebuilt(change: Change, codec: Codec) -> FileEntry:
    """Write the FAISS index over the centroids anew."""
    return write_centroid_index(change.path, change.generation, codec)
