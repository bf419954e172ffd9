"""Encoded documents become segments: appended in order, sealed when full, each with its postings.

Building, adding and merging all write through :class:`SegmentSink`, so that a segment looks the same whichever of them
wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.codec import Codec
from colstore.config import BuildConfig
from colstore.kernels.calls import Ints
from colstore.store import AddedTokens, Passages, SegmentEntry, SegmentWriter, segments_folder
from colstore.types import FloatMatrix, Json

ERROR_ROWS = 1_024
Record = tuple[str, str, Mapping[str, Json]]
"""Title, text and metadata of a document."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some documents, encoded.

    Parameters
    ----------
    ids, counts
        The id and the number of tokens of each document.
    arrays
        The codec's token arrays, rows in the documents' order.
    records
        Title, text and metadata of each document; ``None`` where the index keeps no texts.
    added
        How many of the tokens came after the codec was trained, and how badly it fits them; ``None`` where none did.
    passages
        The passages of the documents; ``None`` where each of them is one.
    """

    ids: Sequence[str]
    counts: NDArray[np.int64]
    arrays: Mapping[str, NDArray[Any]]
    records: Sequence[Record] | None
    added: AddedTokens | None = None
    passages: Passages | None = None

    @property
    def passage_tokens(self) -> NDArray[np.int64]:
        """Number of tokens of each passage, ``(passages,)``."""
        return self.counts if self.passages is None else self.passages.tokens


class SegmentSink:
    """Appends batches to segments of an index, and seals each when it is full.

    Use as a context manager: leaving it drops the segment that is not sealed.

    Parameters
    ----------
    directory
        The index's directory.
    codec
        The codec that encoded the batches.
    config
        Says when a segment is full, and whether texts are stored.
    next_name
        Returns the id of the next segment.
    sealed
        Called with the entry of each sealed segment.
    """

    def __init__(
        self,
        directory: Path,
        codec: Codec,
        config: BuildConfig,
        next_name: Callable[[], str],
        sealed: Callable[[SegmentEntry], None],
    ) -> None:
        self._folder, self._codec, self._config = segments_folder(directory), codec, config
        self._next_name, self._sealed = next_name, sealed
        # The largest array first: the writer puts it straight into its place.
        self._kinds = dict(sorted(codec.token_arrays.items(), key=lambda item: -np.prod(item[1][1], initial=1.0)))
        self._writer: SegmentWriter | None = None
        self._begin()

    def _begin(self) -> None:
        self._codes: list[NDArray[Any]] = []
        self._passage_tokens: list[NDArray[np.int64]] = []
        self._added: list[AddedTokens] = []
        self.open_ids: set[str] = set()
        """Ids in the segment that is not sealed yet."""

    def append(self, batch: Batch) -> None:
        """Add documents; the segment that is open is sealed first where they would not fit."""
        config = self._config
        if self._writer is not None:
            documents = self._writer.documents + len(batch.ids)
            tokens = self._writer.tokens + int(batch.counts.sum())
            if documents > config.segment_documents or tokens > config.segment_tokens:
                self.seal()
        if self._writer is None:
            self._writer = SegmentWriter(self._folder, self._next_name(), self._kinds, store_texts=config.store_texts)
        records = batch.records if config.store_texts else None
        self._writer.append(batch.ids, batch.counts, batch.arrays, records, batch.passages)
        self._codes.append(batch.arrays["codes"])
        self._passage_tokens.append(batch.passage_tokens)
        self._added += [] if batch.added is None else [batch.added]
        self.open_ids.update(batch.ids)

    def seal(self) -> None:
        """Make what was appended a segment; do nothing where nothing was."""
        if self._writer is None:
            return
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(self._passage_tokens))]).astype(np.uint64)
        postings = build_postings(np.concatenate(self._codes), offsets, len(self._codec.centroids.values))
        entry = self._writer.seal(postings)
        self._writer = None
        entry = replace(entry, added=mean_error(self._added))
        self._begin()
        self._sealed(entry)

    def close(self) -> None:
        """Drop a segment that is not sealed."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> SegmentSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def token_runs(offsets: Ints, most_tokens: int, window: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of runs of documents of at most ``most_tokens`` tokens, or of one longer document.

    Parameters
    ----------
    offsets
        ``(documents + 1,)`` first token of each document.
    window
        Let runs end at multiples of so many documents, too.

    Examples
    --------
    >>> list(token_runs(np.array([0, 3, 6, 20, 21]), 6))
    [(0, 2), (2, 3), (3, 4)]
    """
    documents, start = len(offsets) - 1, 0
    while start < documents:
        stop = int(np.searchsorted(offsets, offsets[start] + most_tokens, side="right")) - 1
        end = documents if window is None else min(documents, (start // window + 1) * window)
        stop = min(max(stop, start + 1), end)
        yield start, stop
        start = stop


def coarse_error(codec: Codec, vectors: FloatMatrix, codes: NDArray[np.integer]) -> float:
    """Return how far vectors lie from their centroids: the mean of 1 - cosine, over at most about a thousand rows.

    Parameters
    ----------
    vectors
        ``(tokens, dim)``, none of them zero.
    codes
        ``(tokens,)`` the numbers of their centroids.
    """
    step = max(1, len(vectors) // ERROR_ROWS)
    rows = codec.centroids.rotate(vectors[::step])
    centers = codec.centroids.floats_of(codes[::step])
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(centers, axis=1)
    return float(1.0 - (np.einsum("ij,ij->i", rows, centers) / np.maximum(lengths, 1e-30)).mean())


def mean_error(parts: Sequence[AddedTokens]) -> AddedTokens | None:
    """Return tokens and mean error of several parts; ``None`` where there are no tokens.

    >>> mean_error([AddedTokens(1, 0.5), AddedTokens(3, 0.1)])
    AddedTokens(tokens=4, error=0.2)
    """
    tokens = sum(part.tokens for part in parts)
    if not tokens:
        return None
    return AddedTokens(tokens, round(sum(part.tokens * part.error for part in parts) / tokens, 9))


def build_postings(
    codes: NDArray[np.unsignedinteger], passage_offsets: NDArray[np.unsignedinteger], centroids: int
) -> dict[str, NDArray[np.unsignedinteger]]:
    """Return ``postings`` and ``postings_offsets`` of one segment.

    Parameters
    ----------
    codes
        ``(tokens,)`` centroid of each token.
    passage_offsets
        ``(passages + 1,)`` first token of each passage: of each document, where each is one passage.
    centroids
        Number of centroids.

    Returns
    -------
    dict
        ``postings_offsets`` (centroids + 1,) uint32 and ``postings`` (pairs,) uint16 or uint32: local passage
        numbers, ascending within a centroid, none twice.

    Examples
    --------
    >>> arrays = build_postings(np.array([2, 0, 2, 2]), np.array([0, 2, 4]), 3)
    >>> arrays["postings_offsets"].tolist(), arrays["postings"].tolist()
    ([0, 1, 1, 3], [0, 0, 1])
    """
    passages = len(passage_offsets) - 1
    owner = np.repeat(np.arange(passages, dtype=np.uint64), np.diff(passage_offsets).astype(np.int64))
    pairs = codes.astype(np.uint64) << np.uint64(32) | owner
    pairs.sort()
    if len(pairs):
        pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
    offsets = np.zeros(centroids + 1, np.uint32)
    np.cumsum(np.bincount((pairs >> np.uint64(32)).astype(np.int64), minlength=centroids), out=offsets[1:])
    narrow = np.dtype("<u2" if passages <= 2**16 else "<u4")
    return {"postings_offsets": offsets, "postings": (pairs & np.uint64(0xFFFFFFFF)).astype(narrow)}
