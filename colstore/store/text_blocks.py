"""Texts and metadata: UTF-8 JSON of the documents, compressed with zlib in blocks of about as many bytes each.

A block is decompressed and parsed as a whole, so its size is what reading one document costs. Four arrays each:
``<name>`` (the compressed blocks, one after another), ``<name>_blocks`` (uint64 byte offsets, one more than blocks),
``<name>_sizes`` (uint32 uncompressed bytes of each block) and ``<name>_documents`` (the first document of each block,
and the number of documents).
"""

from __future__ import annotations

import json
import threading
import zlib
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from colstore.errors import CorpusError, CorruptIndexError
from colstore.store.files import AtomicFile
from colstore.store.format import MAX_TEXT_BLOCK_BYTES, TEXT_BLOCK_BYTES
from colstore.store.strict_json import check_json_value
from colstore.types import Json

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_LEVEL = 6
_EMPTY = ("{}", "[]")
_MAX_RATIO = 1032  # deflate cannot expand a byte to more than this; a block that declares more is forged
_CACHE_BYTES = 16 << 20
_RELEASED_BYTES = 4 << 20

Read: TypeAlias = Callable[[str, int, int | None], NDArray[Any]]
"""Returns checked rows of an array: ``read(name, start, stop)``; ``None`` stands for its end."""


def encode_value(document_id: str, value: object) -> str:
    """Return a document's value as JSON.

    Raises
    ------
    CorpusError
        JSON or UTF-8 cannot hold it: NaN, a lone surrogate, an object that is none of JSON's.
    """
    try:
        text = _to_json(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CorpusError(f"document {document_id!r} cannot be stored: {error}") from error
    return text


class BlockPacker:
    """Collects values, one a document, and appends full blocks to a file.

    Parameters
    ----------
    spool
        Where the compressed blocks go.
    what
        Name of the array, for messages.
    limit
        Uncompressed bytes of a block. A document with more has a block of its own.
    """

    def __init__(self, spool: AtomicFile, what: str, limit: int = TEXT_BLOCK_BYTES) -> None:
        self.spool = spool
        self.anything = False
        self._what = what
        self._limit = limit
        self._values: list[bytes] = []
        self._size = 1  # the two brackets, less the comma that the last value lacks
        self._offsets = [0]
        self._sizes: list[int] = []
        self._documents = [0]

    def add(self, values: Iterable[str]) -> None:
        """Add one value a document, each as :func:`encode_value` made it."""
        for value in values:
            self.anything = self.anything or value not in _EMPTY
            data = value.encode()
            if self._values and self._size + len(data) + 1 > self._limit:
                self._flush()
            self._values.append(data)
            self._size += len(data) + 1

    def finish(self) -> dict[str, NDArray[np.unsignedinteger]]:
        """Write the last block and return the tables by name.

        Returns
        -------
        dict
            ``blocks`` ``(blocks + 1,)``, ``sizes`` ``(blocks,)`` and ``documents`` ``(blocks + 1,)``.
        """
        if self._values:
            self._flush()
        return {
            "blocks": np.array(self._offsets, dtype="<u8"),
            "sizes": np.array(self._sizes, dtype="<u4"),
            "documents": np.array(self._documents, dtype="<u4"),
        }

    def _flush(self) -> None:
        block = b"[" + b",".join(self._values) + b"]"
        self._documents.append(self._documents[-1] + len(self._values))
        self._values, self._size = [], 1
        if len(block) > MAX_TEXT_BLOCK_BYTES:
            raise CorpusError(
                f"the {self._what} of one document have {len(block):,} bytes, and at most {MAX_TEXT_BLOCK_BYTES:,} can "
                "be stored: split this document"
            )
        packed = zlib.compress(block, _LEVEL)
        self.spool.append(packed)
        self._offsets.append(self._offsets[-1] + len(packed))
        self._sizes.append(len(block))


class BlockReader:
    """Reads one document's value, keeping recently used blocks (up to 16 MiB of JSON) decompressed.

    Parameters
    ----------
    read
        Returns checked rows of the segment's arrays.
    name
        ``"texts"`` or ``"metadata"``.
    documents
        Number of documents in the segment.
    path
        Of the segment, for messages.
    """

    def __init__(self, read: Read, name: str, documents: int, path: str) -> None:
        self._read = read
        self._name = name
        self._documents = documents
        self._path = path
        self._first: array[int] | None = None
        self._cache: OrderedDict[int, tuple[list[Json], int]] = OrderedDict()
        self._cached_bytes = 0
        self._lock = threading.Lock()

    def get(self, document: int) -> Json:
        """Return the value of one document (local number)."""
        first = self._first_documents()
        number = bisect_right(first, document) - 1
        inside = document - first[number]
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number][0][inside]
        values, size = self._block(number)
        self._keep(number, values, size)
        return values[inside]

    def all(self, release: Callable[[int, int], None] | None = None) -> Iterator[Json]:
        """Yield the value of every document, each block read once and none kept.

        Parameters
        ----------
        release
            Called from time to time with the first and the last byte (exclusive) of the array that will not be read
            again.
        """
        done = 0
        for number in range(len(self._first_documents()) - 1):
            yield from self._block(number)[0]
            stop = int(self._read(f"{self._name}_blocks", number + 1, number + 2)[0])
            if release is not None and stop - done >= _RELEASED_BYTES:
                release(done, stop)
                done = stop

    def _first_documents(self) -> array[int]:
        """Return the first document of each block, and the number of documents, checked as a whole.

        Raises
        ------
        CorruptIndexError
            They do not rise from 0 to the number of documents: a look-up would lead to another document.
        """
        if self._first is None:
            first: NDArray[Any] = self._read(f"{self._name}_documents", 0, None)
            if first[0] != 0 or first[-1] != self._documents or (first[1:] <= first[:-1]).any():
                raise CorruptIndexError(
                    f"'{self._name}_documents' does not rise from 0 to {self._documents}: run "
                    "`colstore.verify(path)`, and build again or restore a copy",
                    file=self._path,
                )
            # A copy, because a view would keep the file mapped after the segment is closed; bisect is fast on it.
            self._first = array("I", first.astype(np.uintc).tobytes())
        return self._first

    def _block(self, number: int) -> tuple[list[Json], int]:
        """Return all values of one block, and its uncompressed bytes.

        Raises
        ------
        CorruptIndexError
            The block is not what was written.
        """
        start, stop = (int(x) for x in self._read(f"{self._name}_blocks", number, number + 2))
        size = int(self._read(f"{self._name}_sizes", number, number + 1)[0])
        if not start <= stop or size > min(MAX_TEXT_BLOCK_BYTES, (stop - start) * _MAX_RATIO):
            raise self._damage(number, "its offsets or its size are impossible")
        data = self._read(self._name, start, stop).tobytes()
        values = self._decode(number, data, size)
        first = self._first_documents()
        expected = first[number + 1] - first[number]
        if not isinstance(values, list) or len(values) != expected:
            raise self._damage(number, f"not a list of {expected} entries")
        return values, size

    def clear(self) -> None:
        """Drop the blocks that are kept decompressed."""
        with self._lock:
            self._cache.clear()
            self._cached_bytes = 0

    def _decode(self, number: int, data: bytes, size: int) -> Json:
        decompressor = zlib.decompressobj()
        try:
            text = decompressor.decompress(data, size + 1)
            if len(text) != size or not decompressor.eof or decompressor.unused_data:
                raise self._damage(number, "its size differs from the declared one")
            value: Json = json.loads(text, parse_constant=_refuse_constant)
            check_json_value(value, text)
        except (zlib.error, ValueError, RecursionError) as error:
            raise self._damage(number, str(error)) from error
        return value

    def _keep(self, number: int, values: list[Json], size: int) -> None:
        with self._lock:
            if number not in self._cache:
                self._cache[number] = (values, size)
                self._cached_bytes += size
            while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
                self._cached_bytes -= self._cache.popitem(last=False)[1][1]

    def _damage(self, number: int, reason: str) -> CorruptIndexError:
        return CorruptIndexError(
            f"block {number} of {self._name!r} is damaged ({reason}): run `colstore.verify(path)`, and build again "
            "or restore a copy",
            file=self._path,
        )


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def as_mapping(value: Json) -> Mapping[str, Json] | None:
    """Return a stored metadata value if it is an object, else ``None``."""
    return value if isinstance(value, dict) else None


def as_title_text(value: Json) -> tuple[str, str] | None:
    """Return a stored record as (title, text) if it is two strings, else ``None``."""
    match value:
        case [str(title), str(text)]:
            return title, text
        case _:
            return None
