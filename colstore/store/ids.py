"""Document ids of a segment, read directly from the mapped file, without a table of ids in memory.

The arrays are ``id_bytes`` (the ids in UTF-8, concatenated), ``id_offsets``, ``id_order`` (local numbers sorted by the
ids' UTF-8 bytes) and, for lookup, ``id_hashes`` (xxh3_64 of each id's bytes, ascending) with ``id_hash_order`` (local
numbers in that order; equal hashes by number).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import xxhash
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from colstore.errors import CorpusError, CorruptIndexError, DuplicateIdError

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]


def encode_id(document_id: str) -> bytes:
    """Return the stored form of an id, its UTF-8 bytes.

    Raises
    ------
    CorpusError
        The id contains a lone surrogate, which UTF-8 cannot represent.
    """
    try:
        return document_id.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"the id {document_id!r} cannot be stored as UTF-8: {error.reason}") from error


def id_arrays(ids: Sequence[bytes]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays that store ``ids``, by name.

    Parameters
    ----------
    ids
        UTF-8 bytes of each id, by local number.

    Raises
    ------
    DuplicateIdError
        An id occurs twice.

    Examples
    --------
    >>> arrays = id_arrays([b"b", b"a"])
    >>> arrays["id_bytes"].tobytes(), arrays["id_offsets"].tolist(), arrays["id_order"].tolist()
    (b'ba', [0, 1, 2], [1, 0])
    """
    order = sorted(range(len(ids)), key=ids.__getitem__)
    for one, two in pairwise(order):
        if ids[one] == ids[two]:
            raise DuplicateIdError(f"the id {ids[one].decode()!r} occurs twice in one segment")
    hashes = id_hashes(ids)
    hash_order = np.argsort(hashes, kind="stable")
    offsets = np.zeros(len(ids) + 1, dtype=np.uint64)
    np.cumsum(np.array([len(x) for x in ids], np.uint64), out=offsets[1:])
    return {
        "id_offsets": offsets.astype(offset_dtype(int(offsets[-1]))),
        "id_bytes": np.frombuffer(b"".join(ids), dtype=np.uint8),
        "id_order": np.array(order, dtype="<u4"),
        "id_hashes": hashes[hash_order],
        "id_hash_order": hash_order.astype("<u4"),
    }


def id_hashes(ids: Sequence[bytes]) -> NDArray[np.uint64]:
    """Return the xxh3_64 of each id, shape ``(len(ids),)``, uint64."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, ids), dtype="<u8", count=len(ids))


def offset_dtype(last: int) -> str:
    """Return the element type of an offsets array whose last element is ``last``.

    >>> offset_dtype(2**32 - 1), offset_dtype(2**32)
    ('<u4', '<u8')
    """
    return "<u4" if last < 2**32 else "<u8"


@dataclass(frozen=True, slots=True)
class SoughtIds:
    """Ids to be looked up, prepared once for all segments.

    Parameters
    ----------
    encoded
        The UTF-8 bytes of each.
    data, starts, lengths
        The same bytes, one id after another, ``(bytes,)`` uint8, and where each begins and how long it is, ``(n,)``
        int64.
    ascending, order
        Their hashes in ascending order, ``(n,)`` uint64, and the number of the id of each, ``(n,)`` int64.
    """

    encoded: Sequence[bytes]
    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    ascending: NDArray[np.uint64]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, ids: Sequence[str]) -> SoughtIds:
        """Prepare ids. A lone surrogate cannot be stored, so no segment holds an id with one."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in ids]
        hashes = id_hashes(encoded)
        order = np.argsort(hashes)
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        data = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(encoded, data, np.cumsum(lengths) - lengths, lengths, hashes[order], order)


class CheckedArrays(Protocol):
    """The part of a segment's interface that :class:`Ids` needs."""

    def rows(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return rows of an array after verifying their checksums."""
        ...

    def array(self, name: str) -> NDArray[Any]:
        """Return an array without verifying its checksums."""
        ...


class Ids:
    """Maps local document numbers of a segment to ids and back.

    Parameters
    ----------
    segment
        Segment that holds the arrays.
    documents
        Number of documents in the segment.
    path
        Path of the segment, for error messages.
    """

    def __init__(self, segment: CheckedArrays, documents: int, path: str) -> None:
        self._segment = segment
        self._documents = documents
        self._path = path
        self._checked = False

    def __len__(self) -> int:
        return self._documents

    def __getitem__(self, document: int) -> str:
        return self.many([document])[0]

    def many(self, documents: Sequence[int] | NDArray[np.integer]) -> list[str]:
        """Return the ids of documents by their local numbers, in the order of ``documents``.

        Raises
        ------
        IndexError
            A number is negative or not below the number of documents.
        """
        numbers = np.asarray(documents, dtype=np.int64)
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < self._documents):
            raise IndexError(f"documents {numbers.min()}..{numbers.max()} of {self._documents}")
        return [self._decode(data) for data in self._gather(numbers)]

    def all(self) -> list[str]:
        """Return all ids in the order of their local numbers."""
        return self.many(np.arange(self._documents))

    def find(self, document_id: str) -> int | None:
        """Return the local number of the document with this id, or ``None`` if the segment has no such document."""
        number = int(self.find_many([document_id])[0])
        return None if number < 0 else number

    def find_many(self, document_ids: Sequence[str] | SoughtIds) -> NDArray[np.int64]:
        """Return the local number of each id, shape ``(len(document_ids),)``, int64; -1 if the segment lacks the id.

        Parameters
        ----------
        document_ids
            The ids. For a look-up in several segments they are prepared once, by :meth:`SoughtIds.of`.
        """
        sought = document_ids if isinstance(document_ids, SoughtIds) else SoughtIds.of(document_ids)
        stored = self._segment.rows("id_hashes")
        numbers = np.full(len(sought.encoded), -1, dtype=np.int64)
        if not len(stored):
            return numbers
        # In ascending order, in which neighbours are found near each other, and so in the processor's cache.
        position = np.searchsorted(stored, sought.ascending)
        rows = np.flatnonzero(stored[np.minimum(position, len(stored) - 1)] == sought.ascending)
        position = position[rows]
        while len(rows):  # once, unless different ids have the same hash
            candidates = self._candidates(position)
            which = sought.order[rows]
            same = self._equal(candidates, sought, which)
            numbers[which[same]] = candidates[same]
            rows, position = rows[~same], position[~same] + 1
            inside = position < len(stored)
            inside[inside] = stored[position[inside]] == sought.ascending[rows[inside]]
            rows, position = rows[inside], position[inside]
        return numbers

    def _candidates(self, position: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the documents at positions in the order of hashes."""
        candidates = self._segment.rows("id_hash_order")[position].astype(np.int64)
        if (candidates >= self._documents).any():
            raise CorruptIndexError("'id_hash_order' refers to documents that do not exist", file=self._path)
        return candidates

    def _gather(self, documents: NDArray[np.int64]) -> list[bytes]:
        starts, stops = self._spans(documents)
        data = self._segment.array("id_bytes").data
        return [data[i:j].tobytes() for i, j in zip(starts.tolist(), stops.tolist(), strict=True)]

    def _spans(self, documents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the byte offsets at which the ids of documents begin and end, each ``(len(documents),)``, int64.

        On first use the arrays of all ids are verified as a whole, which is cheap because ids are short.
        """
        if not self._checked:
            offsets, data = self._segment.rows("id_offsets"), self._segment.rows("id_bytes")
            if int(offsets[-1]) != len(data) or (offsets[1:] < offsets[:-1]).any():
                raise CorruptIndexError("'id_offsets' runs backwards: run `colstore.verify(path)`", file=self._path)
            self._checked = True
        offsets = self._segment.array("id_offsets")
        return offsets[documents].astype(np.int64), offsets[documents + 1].astype(np.int64)

    def _equal(self, documents: NDArray[np.int64], sought: SoughtIds, which: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether the id of ``documents[i]`` equals id ``which[i]`` of those sought, in one comparison."""
        starts, stops = self._spans(documents)
        lengths = stops - starts
        same: NDArray[np.bool_] = lengths == sought.lengths[which]
        compared = np.flatnonzero(same & (lengths > 0))
        if not len(compared):
            return same
        starts, lengths = starts[compared], lengths[compared]
        begins = sought.starts[which[compared]]
        stored, expected = self._segment.array("id_bytes"), sought.data
        width = int(lengths.max())
        if len(compared) * width > 2 * int(lengths.sum()) + 1024 or min(len(stored), len(expected)) < width:
            same[compared] = _equal_ranges(stored, starts, expected, begins, lengths)
        else:
            same[compared] = _equal_rows(stored, starts, expected, begins, lengths)
        return same

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise CorruptIndexError(f"an id is not UTF-8: {data[:60]!r}", file=self._path) from error


def _equal_ranges(one: Bytes, starts: Places, two: Bytes, begins: Places, lengths: Places) -> NDArray[np.bool_]:
    """Return whether ranges of two arrays are equal: byte by byte, for lengths (at least 1) that differ much."""
    ends = np.cumsum(lengths)
    inside = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    equal = one[np.repeat(starts, lengths) + inside] == two[np.repeat(begins, lengths) + inside]
    return np.asarray(np.logical_and.reduceat(equal, ends - lengths))


def _equal_rows(one: Bytes, starts: Places, two: Bytes, begins: Places, lengths: Places) -> NDArray[np.bool_]:
    """Return what :func:`_equal_ranges` returns, faster where all lengths are about the same: as rows of a matrix.

    The few rows that would reach beyond the end of an array are compared byte by byte.
    """
    width = int(lengths.max())
    fits = (starts + width <= len(one)) & (begins + width <= len(two))
    equal = np.zeros(len(lengths), bool)
    rows, rest = np.flatnonzero(fits), np.flatnonzero(~fits)
    left = sliding_window_view(one, width)[starts[rows]]
    right = sliding_window_view(two, width)[begins[rows]]
    equal[rows] = ((left == right) | (np.arange(width) >= lengths[rows, None])).all(axis=1)
    if len(rest):
        equal[rest] = _equal_ranges(one, starts[rest], two, begins[rest], lengths[rest])
    return equal
