"""Reading a segment: the file is mapped once, and its arrays, ids, texts and metadata are read from the map.

This module does not use libhdf5. Bytes are compared with their checksums when they are first used.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from colstore.errors import (
    ChecksumError,
    ColstoreError,
    CorruptIndexError,
)
from colstore.store import format as names
from colstore.store.block_checks import BlockChecks
from colstore.store.checksums import checksum, sums_bytes
from colstore.store.entries import SegmentEntry
from colstore.store.files import storage_errors
from colstore.store.ids import Ids
from colstore.store.passages import NAMES as PASSAGE_ARRAYS
from colstore.store.passages import Passages
from colstore.store.prefetch import prefetch_ranges, release_range
from colstore.store.reading import check_file_size, compare_size, open_regular, read_file
from colstore.store.text_blocks import BlockReader, as_mapping, as_title_text
from colstore.types import Json

Array = NDArray[Any]
Rows = NDArray[np.integer]
_U4_OR_U8 = ("<u4", "<u8")


def segments_folder(directory: Path) -> Path:
    """Return the folder in which an index keeps its segments."""
    return directory / names.SEGMENTS


class Segment:
    """An open segment. It is read-only and can be shared between threads.

    Use :meth:`open` to create one. Arrays that were returned stay valid after :meth:`close`; the file is unmapped
    when the last of them has been released.
    """

    def __init__(self, folder: Path, record: SegmentEntry, data: NDArray[np.uint8]) -> None:
        self.entry = record
        self._data = data
        self.path = folder / names.segment_file(record.id)
        self._folder = folder
        self._arrays = {name: _view(data, record, name) for name in record.arrays}
        self._checks = BlockChecks(data, self._load_sums, str(self.path))
        self._sums = b""
        self._doc_offsets: Array | None = None
        self._passages: tuple[Array, Array] | None = None
        self.ids = Ids(self, record.documents, str(self.path))
        self._texts = self._block_reader("texts")
        self._metadata = self._block_reader("metadata")

    @classmethod
    def open(cls, folder: Path, record: SegmentEntry) -> Self:
        """Map a segment.

        Parameters
        ----------
        folder
            Folder that holds the segment's files.
        record
            The segment's entry in the manifest.

        Raises
        ------
        MissingFileError, TruncatedFileError
            A file is missing, or its size differs from that in the manifest (checked before mapping).
        CorruptIndexError
            An array that every segment has is missing, or the arrays are inconsistent.
        """
        path = folder / names.segment_file(record.id)
        segment = cls(folder, record, _map(path, record.bytes))
        # Read now although used later: a snapshot must not depend on a file that a writer may remove in the meantime.
        sums, size = folder / names.sums_file(record.id), sums_bytes(record.bytes)
        check_file_size(sums, size)
        segment._sums = read_file(sums, size)
        segment._check_structure()
        return segment

    def with_entry(self, record: SegmentEntry) -> Self:
        """Return the same open file with the entry of another generation, which may have other deleted documents.

        Raises
        ------
        ColstoreError
            The entry is that of another segment, or this segment is closed.
        """
        if not self.same_file(record) or not self._arrays:
            raise ColstoreError(f"segment {self.id} is closed, or is not the one that was asked for")
        other = type(self)(self._folder, record, self._data)
        other._sums, other._checks, other._doc_offsets = self._sums, self._checks, self._doc_offsets
        other._passages = self._passages
        return other

    def same_file(self, record: SegmentEntry) -> bool:
        """Return whether an entry names this same file, regardless of deleted documents."""
        mine, other = (replace(entry, deleted=None, added=None) for entry in (self.entry, record))
        return mine == other

    @property
    def id(self) -> str:
        """Id of the segment."""
        return self.entry.id

    @property
    def documents(self) -> int:
        """Number of documents."""
        return self.entry.documents

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return self.entry.tokens

    @property
    def names(self) -> frozenset[str]:
        """Names of all arrays."""
        return frozenset(self.entry.arrays)

    @property
    def has_texts(self) -> bool:
        """Whether titles and texts were stored."""
        return self._texts is not None

    def array(self, name: str) -> Array:
        """Return an array as a read-only view of the mapped file, *without* verifying its checksums.

        Raises
        ------
        CorruptIndexError
            The segment has no array of this name.
        """
        if name not in self._arrays:
            if not self._arrays:
                raise ColstoreError(f"segment {self.id} is closed")
            raise CorruptIndexError(f"there is no array {name!r} in this segment", file=self.path)
        return self._arrays[name]

    def expect(self, name: str, dtype: str | tuple[str, ...], shape: tuple[int | None, ...]) -> Array:
        """Return an array like :meth:`array` after checking its type and shape (``None`` allows any length).

        Raises
        ------
        CorruptIndexError
            The array is missing, or has another type or shape.
        """
        array = self.array(name)
        allowed = (dtype,) if isinstance(dtype, str) else dtype
        fits = len(shape) == array.ndim and all(
            want is None or want == have for want, have in zip(shape, array.shape, strict=True)
        )
        if array.dtype.str not in allowed or not fits:
            raise CorruptIndexError(
                f"array {name!r} is {array.dtype.str} {array.shape}, not {' or '.join(allowed)} {shape}",
                file=self.path,
            )
        return array

    def ensure(self, name: str, start: int = 0, stop: int | None = None) -> None:
        """Verify the checksums of the blocks that hold rows ``start..stop`` of an array; each block is verified once.

        Raises
        ------
        ChecksumError
            Bytes have changed since they were written.
        CorruptIndexError
            The rows do not exist, because an offset that led here is wrong.
        """
        spec = self.entry.arrays[name]
        stop = spec.shape[0] if stop is None else stop
        if not 0 <= start <= stop <= spec.shape[0]:
            raise CorruptIndexError(f"rows {start}..{stop} of {name!r}, which has {spec.shape[0]}", file=self.path)
        self._checks.ensure(spec.offset + start * spec.row_bytes, spec.offset + stop * spec.row_bytes)

    def ensure_rows(self, name: str, starts: Rows, stops: Rows) -> None:
        """Do what :meth:`ensure` does for many row ranges at once; ``starts`` and ``stops`` have shape ``(n,)``."""
        if not len(starts):
            return
        spec = self.entry.arrays[name]
        first, last = starts.astype(np.int64, copy=False), stops.astype(np.int64, copy=False)
        if first.min() < 0 or last.max() > spec.shape[0] or (last < first).any():
            raise CorruptIndexError(
                f"row ranges outside {name!r}, which has {spec.shape[0]} rows: the offsets that led here are "
                "wrong; run `colstore.verify(path)`",
                file=self.path,
            )
        if not self._checks.complete:
            self._checks.ensure_spans(spec.offset + first * spec.row_bytes, spec.offset + last * spec.row_bytes)

    def prefetch(self, ranges: Sequence[tuple[str, Rows, Rows]]) -> int:
        """Ask the system to read row ranges of some arrays into memory, unless a sample of them is there already.

        Parameters
        ----------
        ranges
            Name, start rows and stop rows of each array, both of shape ``(n,)``, as for :meth:`ensure_rows`.

        Returns
        -------
        int
            Number of byte ranges that were requested, after merging near ones; 0 if nothing was requested.
        """
        spans = []
        for name, starts, stops in ranges:
            spec = self.entry.arrays[name]
            ends = np.stack([starts, stops]).astype(np.int64) * spec.row_bytes + spec.offset
            spans.append(self._checks.spans_to_read(*ends))
        return prefetch_ranges(self._data, *np.concatenate(spans, axis=1)) if spans else 0

    def ensure_all(self) -> None:
        """Verify the checksums of the whole file."""
        self._checks.ensure_all()

    def bad_blocks(self) -> list[int]:
        """Return the numbers of the 64 KiB blocks that do not match their checksums."""
        return self._checks.bad_blocks()

    def rows(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Return rows of an array as a read-only view, after verifying their checksums.

        Raises
        ------
        ChecksumError
            Bytes have changed since they were written.
        CorruptIndexError
            The rows do not exist, because an offset that led here is wrong.
        """
        array = self.array(name)
        stop = len(array) if stop is None else stop
        if not 0 <= start <= stop <= len(array):
            raise CorruptIndexError(f"rows {start}..{stop} of {name!r}, which has {len(array)}", file=self.path)
        self.ensure(name, start, stop)
        return array[start:stop]

    def doc_offsets(self) -> Array:
        """Return the first token row of each document and the number of tokens, shape ``(documents + 1,)``.

        The array is verified as a whole: its elements never decrease and run from 0 to the number of tokens, so that
        loops without bounds checks can rely on it.

        Raises
        ------
        CorruptIndexError
            The offsets decrease, or bytes have changed since they were written.
        """
        if self._doc_offsets is None:
            offsets = self.rows("doc_offsets")
            if (offsets[1:] < offsets[:-1]).any():
                raise CorruptIndexError("'doc_offsets' runs backwards", file=self.path)
            self._doc_offsets = offsets
        return self._doc_offsets

    @property
    def has_passages(self) -> bool:
        """Whether a document has more than one passage."""
        return PASSAGE_ARRAYS[0] in self.entry.arrays

    @property
    def passages(self) -> int:
        """Number of passages."""
        return self.entry.passages

    def passage_tables(self) -> tuple[Array, Array]:
        """Return the first passage of each document, ``(documents + 1,)``, and the first token of each passage.

        Both are verified as a whole, like :meth:`doc_offsets`: each document has a passage, each passage a token, and
        the passages of a document have its tokens. Without arrays of passages, each document is one.

        Raises
        ------
        CorruptIndexError
            They are not such, or bytes have changed since they were written.
        """
        if self._passages is None:
            documents = self.doc_offsets()
            if self.has_passages:
                first, tokens = self.rows("doc_passages"), self.rows("passage_offsets")
                rising = bool((first[1:] > first[:-1]).all()) and bool((tokens[1:] > tokens[:-1]).all())
                if not rising or not np.array_equal(tokens[first.astype(np.int64)], documents):
                    raise CorruptIndexError("the passages do not fit the documents' tokens", file=self.path)
                self._passages = first, tokens
            else:
                self._passages = np.arange(self.documents + 1, dtype=np.uint32), documents
        return self._passages

    def passages_of(self, start: int, stop: int) -> Passages | None:
        """Return the passages of the documents ``start..stop``; ``None`` where each document is one.

        Raises
        ------
        CorruptIndexError
            As for :meth:`passage_tables`.
        """
        if not self.has_passages:
            return None
        first, tokens = self.passage_tables()
        begin, end = int(first[start]), int(first[stop])
        ends, passage_ends = first[start : stop + 1].astype(np.int64), tokens[begin : end + 1].astype(np.int64)
        spans = self.rows("passage_spans", begin, end).astype(np.int64)
        return Passages(ends[1:] - ends[:-1], passage_ends[1:] - passage_ends[:-1], spans)

    def passage_span(self, document: int, passage: int) -> tuple[int, int] | None:
        """Return where a passage of a document begins and ends in its text, in characters; ``None`` for all of it.

        Parameters
        ----------
        document
            Local number of the document.
        passage
            Number of the passage in the document, from 0.

        Raises
        ------
        CorruptIndexError
            The span ends before it begins, or beyond the text.
        """
        if not self.has_passages:
            return None
        first = self.passage_tables()[0]
        if int(first[document + 1]) - int(first[document]) == 1:
            return None
        row = int(first[document]) + passage
        start, end = self.rows("passage_spans", row, row + 1)[0].tolist()
        record = self.title_and_text(document)
        if start > end or (record is not None and end > len(record[1])):
            raise CorruptIndexError(
                f"a passage of document {document} spans {start} to {end}, beyond its text", file=self.path
            )
        return start, end

    def title_and_text(self, document: int) -> tuple[str, str] | None:
        """Return the title and text of a document by its local number, or ``None`` if no texts are stored.

        Raises
        ------
        CorruptIndexError
            The stored block is damaged.
        """
        self._check_number(document)
        if self._texts is None:
            return None
        record = as_title_text(self._texts.get(document))
        if record is None:
            raise CorruptIndexError(f"the record of document {document} is not a title and a text", file=self.path)
        return record

    def metadata(self, document: int) -> Mapping[str, Json]:
        """Return the metadata of a document by its local number; the caller must not change it. Empty if not stored."""
        self._check_number(document)
        if self._metadata is None:
            return {}
        return self._as_metadata(document, self._metadata.get(document))

    def iter_metadata(self) -> Iterator[Mapping[str, Json]]:
        """Return an iterator over the metadata of all documents, by local number; one block is in memory at a time."""
        if self._metadata is None:
            return ({} for _ in range(self.documents))
        return (self._as_metadata(document, value) for document, value in enumerate(self._metadata.all(self._release)))

    def _release(self, start: int, stop: int) -> None:
        """Let the system drop bytes of the metadata, read once from end to end, from this process's memory."""
        first = self.entry.arrays["metadata"].offset
        release_range(self._data, first + start, first + stop)

    def forget_texts(self) -> None:
        """Drop the decompressed texts and metadata that are kept in memory."""
        for reader in (self._texts, self._metadata):
            if reader is not None:
                reader.clear()

    def close(self) -> None:
        """Release the file. It is safe to call this twice, and while arrays are still in use."""
        self._arrays, self._doc_offsets, self._data = {}, None, np.zeros(0, np.uint8)
        self._passages = None
        self._checks = BlockChecks(self._data, self._load_sums, str(self.path))

    def _as_metadata(self, document: int, value: Json) -> Mapping[str, Json]:
        metadata = as_mapping(value)
        if metadata is None:
            raise CorruptIndexError(f"the metadata of document {document} is not an object", file=self.path)
        return metadata

    def _check_number(self, document: int) -> None:
        if not 0 <= document < self.documents:
            raise IndexError(f"document {document} of {self.documents}")

    def _block_reader(self, name: str) -> BlockReader | None:
        if name not in self.entry.arrays:
            return None
        return BlockReader(self.rows, name, self.documents, str(self.path))

    def _check_blocks(self, name: str) -> None:
        """Check the tables that lead to the blocks of ``"texts"`` or ``"metadata"``."""
        blocks = len(self.expect(f"{name}_sizes", "<u4", (None,)))
        self._check_offsets(f"{name}_blocks", blocks, len(self.expect(name, "|u1", (None,))))
        self._check_offsets(f"{name}_documents", blocks, self.documents)

    def _load_sums(self) -> NDArray[np.uint64]:
        if checksum(self._sums) != self.entry.sums_checksum:
            raise ChecksumError(
                "the block checksums themselves changed: restore this file from a copy",
                file=self._folder / names.sums_file(self.id),
            )
        return np.frombuffer(self._sums, dtype="<u8")

    def _check_structure(self) -> None:
        documents = self.documents
        self._check_offsets("doc_offsets", documents, self.tokens)
        if any(name in self.names for name in PASSAGE_ARRAYS):
            passages = len(self.expect("passage_spans", "<u4", (None, 2)))
            self._check_offsets("doc_passages", documents, passages)
            self._check_offsets("passage_offsets", passages, self.tokens)
        self._check_offsets("id_offsets", documents, len(self.expect("id_bytes", "|u1", (None,))))
        self.expect("id_order", "<u4", (documents,))
        self.expect("id_hashes", "<u8", (documents,))
        self.expect("id_hash_order", "<u4", (documents,))
        for name in ("texts", "metadata"):
            if name in self.names:
                self._check_blocks(name)

    def _check_offsets(self, name: str, entries: int, last: int) -> None:
        """Check both ends of an offsets array. Its users and ``verify`` check the elements in between."""
        array = self.expect(name, _U4_OR_U8, (entries + 1,))
        if int(array[0]) != 0 or int(array[-1]) != last:
            raise CorruptIndexError(
                f"{name!r} runs from {array[0]} to {array[-1]}, not from 0 to {last}: run `colstore.verify(path)`",
                file=self.path,
            )


def _map(path: Path, size: int) -> NDArray[np.uint8]:
    with open_regular(path) as descriptor:
        compare_size(path, os.fstat(descriptor).st_size, size)
        if size == 0:  # mmap refuses an empty file
            return np.zeros(0, np.uint8)
        with storage_errors(path, "mapping"):
            return np.frombuffer(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ), dtype=np.uint8)


def _view(data: NDArray[np.uint8], record: SegmentEntry, name: str) -> Array:
    spec = record.arrays[name]
    flat = data[spec.offset : spec.offset + spec.nbytes]
    return flat.view(spec.dtype).reshape(spec.shape)
