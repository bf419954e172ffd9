"""Parts become segments: projected, encoded by the codec, with postings, in the documents' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from colstore.codec import Codec
from colstore.config import BuildConfig
from colstore.encode import Projection
from colstore.indexing import ingest as encoding
from colstore.indexing.nearest import Nearest
from colstore.indexing.parts import Parts
from colstore.indexing.segments import Batch, SegmentSink, coarse_error, mean_error
from colstore.store import AddedTokens, Segment, SegmentEntry

BATCH_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class Compressed:
    """The segments of a build, and how well the codec fits their tokens (see :func:`coarse_error`)."""

    segments: tuple[SegmentEntry, ...]
    error: float


def compress(
    directory: Path,
    parts: Parts,
    codec: Codec,
    projection: Projection | None,
    config: BuildConfig,
    generation: int,
    threads: int,
    tick: Callable[[int], None],
) -> Compressed:
    """Write the segments of a generation.

    Parameters
    ----------
    tick
        Called with the number of tokens done.
    """
    records: list[SegmentEntry] = []
    errors: list[AddedTokens] = []
    numbers = count(1)
    with SegmentSink(directory, codec, config, lambda: f"{generation:06d}-{next(numbers):04d}", records.append) as sink:
        done = 0
        for batch, error in _encoded(parts, codec, projection, threads, store_texts=config.store_texts):
            sink.append(batch)
            errors.append(error)
            done += error.tokens
            tick(done)
        sink.seal()
    fit = mean_error(errors)
    return Compressed(tuple(records), 0.0 if fit is None else fit.error)


def _encoded(
    parts: Parts, codec: Codec, projection: Projection | None, threads: int, *, store_texts: bool
) -> Iterator[tuple[Batch, AddedTokens]]:
    """Yield encoded batches in order, each with the codec's error on it, with a few ahead in other threads."""
    nearest = Nearest(codec.centroids.values)

    def encode(segment: Segment, start: int, stop: int, counts: NDArray[np.int64]) -> tuple[Batch, AddedTokens]:
        first, last = (int(n) for n in segment.array("doc_offsets")[[start, stop]])
        vectors = segment.rows("vectors", first, last).astype(np.float32)
        if projection is not None:
            vectors = projection.apply(vectors)
        arrays = codec.encode(vectors, nearest)
        records = None
        if store_texts:
            pairs = [segment.title_and_text(i) or ("", "") for i in range(start, stop)]
            records = [(*pair, segment.metadata(i)) for i, pair in zip(range(start, stop), pairs, strict=True)]
        batch = Batch(segment.ids.many(range(start, stop)), counts, arrays, records)
        return batch, AddedTokens(len(vectors), coarse_error(codec, vectors, arrays["codes"]))

    with ThreadPoolExecutor(threads) as pool:
        for segment in parts.read():
            waiting: deque[Future[tuple[Batch, AddedTokens]]] = deque()
            for start, stop, counts in _batches(segment):
                waiting.append(pool.submit(encode, segment, start, stop, counts))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _batches(segment: Segment) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Yield runs of documents of about :data:`BATCH_TOKENS` tokens, with each document's count.

    Batches end where windows end, too: parts hold whole windows, so that batches, and with them every byte of the
    segments, are the same wherever parts were sealed.
    """
    offsets = segment.rows("doc_offsets").astype(np.int64)
    start = 0
    while start < segment.documents:
        window_end = (start // encoding.WINDOW_DOCUMENTS + 1) * encoding.WINDOW_DOCUMENTS
        stop = int(np.searchsorted(offsets, offsets[start] + BATCH_TOKENS, side="right")) - 1
        stop = min(max(stop, start + 1), window_end, segment.documents)
        yield start, stop, np.diff(offsets[start : stop + 1])
        start = stop
