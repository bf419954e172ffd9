"""Parts become segments: projected, encoded by the codec, with postings, in the documents' order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from colstore.config import BuildConfig
from colstore.indexing import ingest
from colstore.indexing.ingest import Compressor
from colstore.indexing.parts import Parts
from colstore.indexing.read_ahead import in_order
from colstore.indexing.segments import Batch, SegmentSink, mean_error, token_runs
from colstore.store import AddedTokens, Segment, SegmentEntry


@dataclass(frozen=True, slots=True)
class CompressedParts:
    """The segments of a build, and how well the codec fits their tokens (see :func:`coarse_error`)."""

    segments: tuple[SegmentEntry, ...]
    error: float


def compress(
    directory: Path,
    parts: Parts,
    compressor: Compressor,
    config: BuildConfig,
    generation: int,
    threads: int,
    tick: Callable[[int], None],
) -> CompressedParts:
    """Write the segments of a generation.

    Parameters
    ----------
    tick
        Called with the number of tokens done.
    """
    entries: list[SegmentEntry] = []
    fits: list[AddedTokens] = []
    numbers = count(1)

    def next_name() -> str:
        return f"{generation:06d}-{next(numbers):04d}"

    done = 0
    with SegmentSink(directory, compressor.codec, config, next_name, entries.append) as sink:
        for batch, fit in _batches(parts, compressor, threads, store_texts=config.store_texts):
            sink.append(batch)
            fits.append(fit)
            done += fit.tokens
            tick(done)
        sink.seal()
    mean = mean_error(fits)
    return CompressedParts(tuple(entries), 0.0 if mean is None else mean.error)


def _batches(
    parts: Parts, compressor: Compressor, threads: int, *, store_texts: bool
) -> Iterator[tuple[Batch, AddedTokens]]:
    """Yield compressed batches in order, with the codec's error on each, computed a few ahead in other threads."""

    def compressed(piece: tuple[Segment, int, int]) -> tuple[Batch, AddedTokens]:
        segment, start, stop = piece
        offsets = segment.rows("doc_offsets", start, stop + 1).astype(np.int64)
        arrays, fit = compressor(segment.rows("vectors", int(offsets[0]), int(offsets[-1])))
        records = None
        if store_texts:
            records = [(*(segment.title_and_text(i) or ("", "")), segment.metadata(i)) for i in range(start, stop)]
        passages = segment.passages_of(start, stop)
        return Batch(segment.ids.many(range(start, stop)), np.diff(offsets), arrays, records, passages=passages), fit

    for segment in parts.read():
        # Runs end where windows end, too: parts hold whole windows, so that batches, and with them every byte of the
        # segments, are the same wherever parts were sealed.
        offsets = segment.rows("doc_offsets").astype(np.int64)
        runs = token_runs(offsets, ingest.BATCH_TOKENS, ingest.WINDOW_DOCUMENTS)
        with closing(in_order(compressed, ((segment, *run) for run in runs), threads)) as batches:
            yield from batches
