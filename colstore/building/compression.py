"""Parts become segments: projected, encoded by the codec, with postings, in the documents' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.building.parts import Parts
from colstore.codec import Codec
from colstore.config import BuildConfig
from colstore.encode import Projection
from colstore.engine.postings import build_postings
from colstore.store import Segment, SegmentRecord, SegmentWriter, segments_folder

BATCH_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some documents of one part, and their encoded arrays."""

    segment: Segment
    start: int
    stop: int
    counts: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]


def compress(
    directory: Path, parts: Parts, codec: Codec, projection: Projection | None, config: BuildConfig, generation: int,
    threads: int, tick: Callable[[int], None],
) -> list[SegmentRecord]:  # fmt: skip
    """Write the segments of a generation.

    Parameters
    ----------
    tick
        Called with the number of tokens done.
    """
    sink = _Segments(directory, codec, config, generation)
    done = 0
    try:
        for batch in _encoded(parts, codec, projection, threads):
            sink.append(batch)
            done += int(batch.counts.sum())
            tick(done)
        return sink.finish()
    finally:
        sink.close()


def _encoded(parts: Parts, codec: Codec, projection: Projection | None, threads: int) -> Iterator[_Batch]:
    """Yield encoded batches in order, with a few ahead in other threads."""

    def encode(segment: Segment, start: int, stop: int, counts: NDArray[np.int64]) -> _Batch:
        first, last = (int(n) for n in segment.array("doc_offsets")[[start, stop]])
        vectors = segment.rows("vectors", first, last).astype(np.float32)
        if projection is not None:
            vectors = projection.apply(vectors)
        return _Batch(segment, start, stop, counts, codec.encode(vectors))

    with ThreadPoolExecutor(threads) as pool:
        for segment in parts.read():
            waiting: deque[Future[_Batch]] = deque()
            for start, stop, counts in _batches(segment):
                waiting.append(pool.submit(encode, segment, start, stop, counts))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _batches(segment: Segment) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Yield runs of documents of about :data:`BATCH_TOKENS` tokens, with each document's count."""
    offsets = segment.rows("doc_offsets").astype(np.int64)
    start = 0
    while start < segment.documents:
        stop = int(np.searchsorted(offsets, offsets[start] + BATCH_TOKENS, side="right")) - 1
        stop = min(max(stop, start + 1), segment.documents)
        yield start, stop, np.diff(offsets[start : stop + 1])
        start = stop


class _Segments:
    """Appends batches to segments, and seals each when it is full."""

    def __init__(self, directory: Path, codec: Codec, config: BuildConfig, generation: int) -> None:
        self._folder, self._codec, self._config, self._generation = segments_folder(directory), codec, config, generation
        # The largest array first: the writer puts it straight into its place.
        self._kinds = dict(sorted(codec.token_arrays.items(), key=lambda item: -np.prod(item[1][1], initial=1.0)))
        self._writer: SegmentWriter | None = None
        self._codes: list[NDArray[Any]] = []
        self._counts: list[NDArray[np.int64]] = []
        self._records: list[SegmentRecord] = []

    def append(self, batch: _Batch) -> None:
        config = self._config
        if self._writer is not None:
            documents = self._writer.documents + batch.stop - batch.start
            tokens = self._writer.tokens + int(batch.counts.sum())
            if documents > config.segment_documents or tokens > config.segment_tokens:
                self._seal()
        if self._writer is None:
            name = f"{self._generation:06d}-{len(self._records) + 1:04d}"
            self._writer = SegmentWriter(self._folder, name, self._kinds, store_texts=config.store_texts)
        numbers = range(batch.start, batch.stop)
        records = None
        if config.store_texts:
            pairs = [batch.segment.record(i) or ("", "") for i in numbers]
            records = [(*pair, batch.segment.metadata(i)) for i, pair in zip(numbers, pairs, strict=True)]
        self._writer.append(batch.segment.ids.many(numbers), batch.counts, batch.arrays, records)
        self._codes.append(batch.arrays["codes"])
        self._counts.append(batch.counts)

    def finish(self) -> list[SegmentRecord]:
        """Seal the last segment and return the records of all."""
        if self._writer is not None:
            self._seal()
        return self._records

    def close(self) -> None:
        """Drop a segment that is not sealed."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _seal(self) -> None:
        assert self._writer is not None
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(self._counts))]).astype(np.uint64)
        postings = build_postings(np.concatenate(self._codes), offsets, len(self._codec.centroids.values))
        self._records.append(self._writer.seal(postings))
        self._writer, self._codes, self._counts = None, [], []
