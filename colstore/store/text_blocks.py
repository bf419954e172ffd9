"""Texts and metadata: 32 documents at a time as UTF-8 JSON, compressed with zlib.

Three arrays each: ``<name>`` (the compressed blocks, one after another), ``<name>_blocks`` (uint64 byte
offsets, one more than blocks) and ``<name>_sizes`` (uint32 uncompressed bytes of each block).
"""

from __future__ import annotations

import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from colstore.errors import CorpusError, CorruptIndexError
from colstore.store.files import AtomicFile
from colstore.store.format import MAX_TEXT_BLOCK_BYTES, TEXT_BLOCK_DOCUMENTS
from colstore.store.strict_json import check_json_value
from colstore.types import Json

_LEVEL = 6
_EMPTY = ("{}", "[]")
_MAX_RATIO = 1032  # deflate cannot expand a byte to more than this; a block that declares more is forged
_CACHE_BYTES = 16 << 20

Read: TypeAlias = Callable[[str, int, int], NDArray[np.generic]]
"""Returns checked rows of an array: ``read(name, start, stop)``."""


def encode_value(document_id: str, value: object) -> str:
    """Return a document's value as JSON.

    Raises
    ------
    CorpusError
        JSON or UTF-8 cannot hold it: NaN, a lone surrogate, an object that is none of JSON's.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
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
        Word for messages.
    """

    def __init__(self, spool: AtomicFile, what: str) -> None:
        self.spool = spool
        self.anything = False
        self._what = what
        self._values: list[str] = []
        self._offsets = [0]
        self._sizes: list[int] = []

    def add(self, values: Iterable[str]) -> None:
        """Add one value a document, each as :func:`encode_value` made it."""
        for value in values:
            self.anything = self.anything or value not in _EMPTY
            self._values.append(value)
            if len(self._values) == TEXT_BLOCK_DOCUMENTS:
                self._flush()

    def finish(self) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        """Write the last block and return the offsets ``(blocks + 1,)`` and the sizes ``(blocks,)``."""
        if self._values:
            self._flush()
        return np.array(self._offsets, dtype="<u8"), np.array(self._sizes, dtype="<u4")

    def _flush(self) -> None:
        block = f"[{','.join(self._values)}]".encode()
        self._values = []
        if len(block) > MAX_TEXT_BLOCK_BYTES:
            raise CorpusError(
                f"{self._what} of {TEXT_BLOCK_DOCUMENTS} documents in a row exceeds {MAX_TEXT_BLOCK_BYTES:,} "
                "bytes: split these documents"
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
        In the segment.
    path
        Of the segment, for messages.
    """

    def __init__(self, read: Read, name: str, documents: int, path: str) -> None:
        self._read = read
        self._name = name
        self._documents = documents
        self._path = path
        self._cache: OrderedDict[int, tuple[list[Json], int]] = OrderedDict()
        self._cached_bytes = 0
        self._lock = threading.Lock()

    def get(self, document: int) -> Json:
        """Return the value of one document (local number)."""
        number, inside = divmod(document, TEXT_BLOCK_DOCUMENTS)
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number][0][inside]
        values, size = self.block(number)
        self._keep(number, values, size)
        return values[inside]

    def block(self, number: int) -> tuple[list[Json], int]:
        """Return all values of one block, and its uncompressed bytes.

        Raises
        ------
        CorruptIndexError
            The block is not what was written.
        """
        start, stop = (int(x) for x in self._read(f"{self._name}_blocks", number, number + 2))
        size = int(self._read(f"{self._name}_sizes", number, number + 1)[0])
        if not start <= stop or size > min(MAX_TEXT_BLOCK_BYTES, (stop - start) * _MAX_RATIO):
            raise self._damage(number, "its offsets or sizes cannot be")
        data = self._read(self._name, start, stop).tobytes()
        values = self._decode(number, data, size)
        expected = min(TEXT_BLOCK_DOCUMENTS, self._documents - number * TEXT_BLOCK_DOCUMENTS)
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
