"""Compaction on request: as few segments as can be, nothing deleted in them; with ``retrain`` also new centroids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from colstore.codec import Centroids, Codec, make
from colstore.codec.base import codec_settings, to_arrays
from colstore.config import BuildConfig
from colstore.errors import CorruptIndexError
from colstore.indexing import kmeans as engine
from colstore.indexing.centroid_index import build_faiss
from colstore.indexing.nearest import Nearest
from colstore.indexing.segments import Batch, SegmentSink, coarse_error, mean_error
from colstore.reports import ChangeReport
from colstore.snapshot.live_segment import LiveSegment, live_counts
from colstore.store import (
    AddedTokens,
    FileEntry,
    Part,
    centroids_name,
    check_checksum,
    codec_name,
    write_arrays_file,
    write_whole,
)
from colstore.threads import available_cores
from colstore.types import FloatMatrix
from colstore.updating.change import Change
from colstore.updating.merge import check_same_content, content, live_batches
from colstore.updating.retention import clean_up


def compact(path: Path, *, retrain: bool = False, clean: bool = False, wait: float = 0.0) -> ChangeReport:
    """Merge segments, drop what is deleted, and rebuild derived files that are damaged.

    What was copied is compared with what it was copied from (ids, texts, metadata, stored codes) before the new
    generation is committed. Segments at least half full without deleted documents stay as they are.

    Parameters
    ----------
    path
        Of the index.
    retrain
        Also decode all vectors, train new centroids on them and encode them again, as a build would. At 16 bits that
        loses nothing; below, each component is rounded a second time (the report's ``loss``), so that building again
        from the documents is better where that is possible. Tuned parameters are dropped.
    clean
        Also delete all older generations at once, without the grace period, and files that crashed writers left.
        Nobody can go back then.
    wait
        Seconds to wait for another writer.

    Raises
    ------
    IndexLockedError, StorageError, CorruptIndexError
        The index is then what it was.
    """
    with Change(path, wait) as change:
        if retrain and any(source.documents for source in change.sources):
            _retrain(change)
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
    return write_whole(change.path, centroids_name(change.generation), build_faiss(codec.centroids))


def _retrain(change: Change) -> None:
    old, sources = change.codec, list(change.sources)
    codec = make(old.bits, _trained(change))
    without = frozenset({"codes"} if old.bits == 16 else old.token_arrays)
    first = len(sources)
    fit: list[AddedTokens] = []
    loss: list[AddedTokens] = []
    with change.sink(codec) as sink:
        before = content(_encoded_again(sources, old, codec, sink, fit, loss), without)
        sink.seal()
    made = change.sources[first:]
    after = content((b for s in made for b in live_batches(s, codec)), without)
    check_same_content(before, after, live_counts(sources))
    change.sources = made
    change.report.merged += first
    measured = mean_error(loss)
    change.report.loss = None if measured is None else measured.error
    arrays, attributes = to_arrays(codec)
    error = mean_error(fit)
    change.commit(
        codec=Part(
            codec_settings(codec, 0.0 if error is None else error.error),
            (write_arrays_file(change.path, codec_name(change.generation), arrays, attributes),),
        ),
        centroids=rebuilt(change, codec),
        tuned=None,
    )


def _encoded_again(
    sources: list[LiveSegment],
    old: Codec,
    new: Codec,
    sink: SegmentSink,
    fit: list[AddedTokens],
    loss: list[AddedTokens],
) -> Iterator[Batch]:
    """Write all live documents with the new codec, and yield them as they were before."""
    nearest = Nearest(new.centroids.values)
    for source in sources:
        for batch in live_batches(source, old):
            vectors = old.decode(batch.arrays)
            arrays = new.encode(vectors, nearest)
            sink.append(replace(batch, arrays=arrays, added=None))
            fit.append(AddedTokens(len(vectors), coarse_error(new, vectors, arrays["codes"])))
            loss.append(AddedTokens(len(vectors), _mean_loss(vectors, new.decode(arrays))))
            yield batch


def _mean_loss(before: FloatMatrix, after: FloatMatrix) -> float:
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return max(0.0, float(1.0 - (np.einsum("ij,ij->i", before, after) / np.maximum(lengths, 1e-30)).mean()))


def _trained(change: Change) -> Centroids:
    """Train centroids on a sample of the decoded vectors, in the rotation that is there."""
    config, codec = change.config, change.codec
    tokens = sum(source.tokens for source in change.sources)
    number = config.centroids or engine.centroid_count(tokens)
    size = engine.sample_size(number)
    chosen = np.arange(tokens)
    if tokens > size:
        chosen = np.sort(np.random.default_rng(config.seed).choice(tokens, size, replace=False, shuffle=False))
    rows, first = [], 0
    for source in change.sources:
        for batch in live_batches(source, codec):
            count = int(batch.counts.sum())
            local = chosen[(chosen >= first) & (chosen < first + count)] - first
            rows.append(codec.decode({name: array[local] for name, array in batch.arrays.items()}))
            first += count
    threads = available_cores()
    return engine.train(np.concatenate(rows), codec.centroids.rotation, number, seed=config.seed, threads=threads)
