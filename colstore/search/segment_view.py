"""A segment as searching sees it: checked arrays, addressed by local numbers.

What is gathered and scored are passages. Their numbers are those of the documents, unless some consist of several.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.codec import Codec
from colstore.errors import CorruptIndexError
from colstore.kernels import calls
from colstore.kernels.calls import CentroidTable, Floats, Ints, QueryPass
from colstore.search.columns import ColumnCache
from colstore.search.query import PreparedQuery
from colstore.store import Segment
from colstore.types import FloatMatrix

Tokens = NDArray[np.int32]
CHECKED_WHOLE = 1 << 20
"""A segment of at most so many tokens has its codes checked whole, once."""


class SegmentView:
    """Scores and gathers passages of one segment.

    Every array is checked once before a kernel sees it, because kernels trust offsets and files cannot be trusted.

    Parameters
    ----------
    segment
        The open segment.
    codec
        The codec that wrote the segment.
    first
        Number, in the index, of the segment's first document.
    deleted
        Local numbers of the deleted documents, ascending; ``None`` where no document is deleted.
    first_passage
        Number, in the index, of the segment's first passage.
    """

    def __init__(
        self, segment: Segment, codec: Codec, first: int, deleted: Ints | None = None, first_passage: int = 0
    ) -> None:
        self.segment, self.codec, self.first, self.deleted = segment, codec, first, deleted
        self.first_passage = first_passage
        self.documents, self.passages = segment.documents, segment.passages
        for name, (dtype, row) in codec.token_arrays.items():
            segment.expect(name, dtype, (segment.tokens, *row))

    def take_over(self, other: SegmentView) -> None:
        """Take over what another view of the same segment and codec has read and checked already."""
        if other.segment.entry.checksum == self.segment.entry.checksum and other.codec is self.codec:
            for name in ("offsets", "passage_offsets", "codes", "columns", "postings", "_checked"):
                if name in other.__dict__:
                    self.__dict__[name] = other.__dict__[name]

    @cached_property
    def is_deleted(self) -> NDArray[np.bool_]:
        """Whether each document is deleted, ``(documents,)`` bool."""
        mask = np.zeros(self.documents, bool)
        if self.deleted is not None:
            mask[self.deleted] = True
        return mask

    @cached_property
    def offsets(self) -> Ints:
        """Number of each document's first token, and of the end: ``(documents + 1,)`` int64, ascending."""
        offsets = self.segment.doc_offsets().astype(np.int64)
        if (np.diff(offsets) < 1).any():
            raise CorruptIndexError("a document has no tokens: run `colstore.verify(path)`", file=self.segment.path)
        return offsets

    @cached_property
    def passage_offsets(self) -> Ints:
        """Number of each passage's first token, and of the end: ``(passages + 1,)`` int64, ascending."""
        return self.segment.passage_tables()[1].astype(np.int64) if self.segment.has_passages else self.offsets

    @cached_property
    def codes(self) -> NDArray[Any]:
        """Centroid of each token, checked, ``(tokens,)``."""
        codes = self.segment.rows("codes")
        self._check_codes(codes)
        return codes

    @cached_property
    def records(self) -> Segment:
        """The segment again, for hits that outlive the index: the file stays mapped as long as they exist."""
        return self.segment.with_entry(self.segment.entry)

    @cached_property
    def columns(self) -> ColumnCache:
        """The metadata fields that filters have needed."""
        return ColumnCache(self.documents)

    @cached_property
    def postings(self) -> tuple[NDArray[np.uint32], NDArray[Any]] | None:
        """Offsets and passage numbers by centroid, checked; ``None`` where the segment has none."""
        if "postings" not in self.segment.names:
            return None
        number = len(self.codec.centroids.values)
        self.segment.expect("postings_offsets", "<u4", (number + 1,))
        self.segment.expect("postings", ("<u2", "<u4"), (None,))
        offsets, postings = self.segment.rows("postings_offsets"), self.segment.rows("postings")
        ascending = offsets[0] == 0 and offsets[-1] == len(postings) and not (offsets[1:] < offsets[:-1]).any()
        if not ascending or (len(postings) and int(postings.max()) >= self.passages):
            raise CorruptIndexError(
                "the postings do not fit the documents: run `colstore.verify(path)`", file=self.segment.path
            )
        return offsets, postings

    def prefetch(self, passages: Ints) -> None:
        """Read ahead what scoring needs of passages (local numbers, ascending), where it is not in memory."""
        starts, stops = self.passage_offsets[passages], self.passage_offsets[passages + 1]
        self.segment.prefetch([(name, starts, stops) for name in self.codec.token_arrays])

    @cached_property
    def _checked(self) -> NDArray[np.bool_]:
        """Whether each passage's tokens have been compared with their checksums, ``(passages,)`` bool."""
        return np.zeros(self.passages, bool)

    def _check(self, passages: Ints, starts: Ints, stops: Ints) -> None:
        """Check the tokens ``starts..stops`` of passages (local numbers), each passage once.

        For a few passages of a large segment only their own codes are checked, so that the rest is not read.
        """
        if self._checked[passages].all():
            return
        for name in self.codec.token_arrays:
            if name != "codes":
                self.segment.ensure_rows(name, starts, stops)
        if self.codec.bits < 16 and "codes" not in self.__dict__ and self.segment.tokens > CHECKED_WHOLE:
            self.segment.ensure_rows("codes", starts, stops)
            lengths = stops - starts
            rows = np.repeat(stops - np.cumsum(lengths), lengths) + np.arange(int(lengths.sum()))
            self._check_codes(self.segment.array("codes")[rows])
        elif self.codec.bits < 16:
            _ = self.codes
        self._checked[passages] = True

    def _check_codes(self, codes: NDArray[Any]) -> None:
        if len(codes) and int(codes.max()) >= len(self.codec.centroids.values):
            raise CorruptIndexError(
                "a token names a centroid that does not exist: run `colstore.verify(path)`", file=self.segment.path
            )

    def interact(self, query_pass: QueryPass, table: CentroidTable, passages: Ints) -> Floats:
        """Return the centroid scores of passages (local numbers)."""
        starts, stops = self.passage_offsets[passages], self.passage_offsets[passages + 1]
        return calls.interact(query_pass, table, self.codes, starts, stops)

    def score(self, query: PreparedQuery, number: int, passages: Ints) -> tuple[Floats, Tokens]:
        """Return MaxSim scores of passages (local numbers) in one pass, and the token each query token matched."""
        starts, stops = self.passage_offsets[passages], self.passage_offsets[passages + 1]
        self._check(passages, starts, stops)
        if self.codec.bits == 16:
            vectors = self.segment.array("vectors")
            return calls.dense(_padded(query.sources[number], vectors.shape[1]), vectors, starts, stops)
        query_pass, table = query.passes[number], query.table(number)
        payload, scales = self.segment.array("residuals"), self.segment.array("scales").view(np.uint16)
        return calls.score(
            query_pass, table, self.codec.bits, payload, self.segment.array("codes"), scales, starts, stops
        )

    def refine(self, query_pass: QueryPass, passages: Ints, rows: Ints, tokens: Tokens) -> Floats:
        """Return float scores of passages whose matched tokens are ``tokens[rows]``."""
        payload, scales = self.segment.array("residuals"), self.segment.array("scales").view(np.uint16)
        coarse, codes = self.codec.centroids, self.segment.array("codes")  # checked when they were scored
        return calls.refine(
            query_pass,
            self.codec.bits,
            payload,
            codes,
            scales,
            self.passage_offsets[passages],
            rows,
            tokens,
            coarse.values,
            coarse.scale,
        )

    def vectors(self, document: int) -> FloatMatrix:
        """Return the decoded vectors of a document (local number), ``(tokens, dim)`` float32."""
        start, stop = int(self.offsets[document]), int(self.offsets[document + 1])
        return self.codec.decode({name: self.segment.rows(name, start, stop) for name in self.codec.token_arrays})


def _padded(vectors: FloatMatrix, width: int) -> FloatMatrix:
    if vectors.shape[1] == width:
        return vectors
    padded = np.zeros((len(vectors), width), np.float32)
    padded[:, : vectors.shape[1]] = vectors
    return padded
