"""Entries of a manifest: the size and checksum of each file, and the location of each array in it.

Entries are validated when they are created, before a file is opened or memory is allocated, so that a manifest
from an untrusted source cannot refer to anything outside its files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from colstore.errors import CorruptIndexError
from colstore.store import format as names
from colstore.store.checksums import sums_bytes
from colstore.store.strict_json import Fields, as_count
from colstore.types import Json

HEX128 = r"[0-9a-f]{32}"


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Type, shape and location of an array in a file.

    Parameters
    ----------
    offset
        Byte offset of the array, a multiple of the element size; 0 for an array without elements.
    dtype
        Element type as ``numpy.dtype.str``, one of :data:`colstore.store.format.DTYPES`.
    shape
        Shape of the array, 1 to 4 axes, row-major.

    Raises
    ------
    CorruptIndexError
        The type is not allowed, the shape is out of bounds, or the offset is misaligned.

    Examples
    --------
    >>> ArraySpec(64, "<f2", (10, 4)).nbytes
    80
    >>> ArraySpec(64, "object", (10, 4))
    Traceback (most recent call last):
        ...
    colstore.errors.CorruptIndexError: array type 'object' is not allowed
    """

    offset: int
    dtype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.dtype not in names.DTYPES:
            raise CorruptIndexError(f"array type {self.dtype!r} is not allowed")
        if not 1 <= len(self.shape) <= 4:
            raise CorruptIndexError(f"an array must have 1 to 4 axes, not {len(self.shape)}")
        if math.prod(max(n, 1) for n in self.shape) * self.itemsize > names.MAX_COUNT:
            raise CorruptIndexError(f"an array of shape {self.shape} is too large")
        if self.offset % self.itemsize or (self.nbytes == 0 and self.offset):
            raise CorruptIndexError(f"an array of {self.dtype} cannot start at byte {self.offset}")

    @property
    def itemsize(self) -> int:
        """Size of one element in bytes."""
        return np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Size of the whole array in bytes."""
        return math.prod(self.shape) * self.itemsize

    @property
    def row_bytes(self) -> int:
        """Size of one row (one step along the first axis) in bytes."""
        return math.prod(self.shape[1:]) * self.itemsize

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {"offset": self.offset, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, value: Json, where: str) -> Self:
        """Parse the JSON form strictly."""
        fields = Fields(value, where)
        spec = cls(
            offset=fields.count("offset"),
            dtype=fields.text("dtype"),
            shape=tuple(as_count(n, f"{where}: 'shape'") for n in fields.items("shape")),
        )
        fields.finish()
        return spec


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Entry of a file in a manifest.

    Parameters
    ----------
    path
        Path relative to the index, with ``/`` as separator; one that :func:`colstore.store.format.kind_of` knows.
    bytes
        Size of the file in bytes.
    checksum
        xxh3_128 of the file, as 32 hexadecimal digits.
    arrays
        Arrays in the file by name; empty for opaque files.
    """

    path: str
    bytes: int
    checksum: str
    arrays: Mapping[str, ArraySpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if names.kind_of(self.path) is None:
            raise CorruptIndexError(f"{self.path!r} is not a file name of a colstore index")
        check_arrays(self.arrays, self.bytes, self.path)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        arrays: dict[str, Json] = {name: spec.to_json() for name, spec in sorted(self.arrays.items())}
        return {"path": self.path, "bytes": self.bytes, "checksum": self.checksum, "arrays": arrays}

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Parse the JSON form strictly."""
        fields = Fields(value, "file")
        path = fields.text("path")
        entry = cls(
            path=path,
            bytes=fields.count("bytes"),
            checksum=fields.text("checksum", HEX128),
            arrays=_arrays_from_json(fields.mapping("arrays"), path),
        )
        fields.finish()
        return entry


@dataclass(frozen=True, slots=True)
class DeletedEntry:
    """Entry of a segment's deleted documents.

    Parameters
    ----------
    documents, tokens
        Number of deleted documents, and of their tokens.
    file
        Entry of ``deletes/<segment id>-<generation>.h5``, whose array ``documents`` lists the local numbers of the
        deleted documents.
    """

    documents: int
    tokens: int
    file: FileEntry

    def __post_init__(self) -> None:
        if names.kind_of(self.file.path) != "deletes":
            raise CorruptIndexError(f"{self.file.path!r} cannot list deleted documents")
        spec = self.file.arrays.get("documents")
        if spec is None or spec.dtype != "<u4" or spec.shape != (self.documents,) or not self.documents:
            raise CorruptIndexError(f"{self.file.path!r} does not list {self.documents} deleted documents")

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {"documents": self.documents, "tokens": self.tokens, "file": self.file.to_json()}

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Parse the JSON form strictly."""
        fields = Fields(value, "deleted")
        entry = cls(
            documents=fields.count("documents", least=1),
            tokens=fields.count("tokens"),
            file=FileEntry.from_json(fields.take("file")),
        )
        fields.finish()
        return entry


@dataclass(frozen=True, slots=True)
class AddedTokens:
    """How well the codec fits those tokens of a segment that were added after the codec was trained.

    Parameters
    ----------
    tokens
        Number of tokens in the segment that were added after training.
    error
        Mean of 1 - cosine between these tokens and their centroids.
    """

    tokens: int
    error: float

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {"tokens": self.tokens, "error": self.error}

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Parse the JSON form strictly."""
        fields = Fields(value, "added")
        entry = cls(tokens=fields.count("tokens"), error=fields.number("error"))
        fields.finish()
        return entry


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """Entry of a segment in a manifest.

    Parameters
    ----------
    id
        Id of the segment and stem of its file name; see :func:`colstore.store.format.is_segment_id`.
    documents, tokens
        Number of documents and tokens in the segment, including deleted ones.
    bytes
        Size of the ``.h5`` file in bytes.
    checksum
        xxh3_128 of the ``.h5`` file, as 32 hexadecimal digits.
    sums_checksum
        xxh3_128 of the ``.sums`` file, as 32 hexadecimal digits.
    arrays
        Arrays in the ``.h5`` file by name.
    deleted
        Deleted documents; ``None`` if no document is deleted.
    added
        Tokens that were added after the codec was trained; ``None`` if there are none.
    """

    id: str
    documents: int
    tokens: int
    bytes: int
    checksum: str
    sums_checksum: str
    arrays: Mapping[str, ArraySpec]
    deleted: DeletedEntry | None = None
    added: AddedTokens | None = None

    def __post_init__(self) -> None:
        if not names.is_segment_id(self.id):
            raise CorruptIndexError(f"{self.id!r} is not a valid segment id")
        check_arrays(self.arrays, self.bytes, f"segment {self.id}")
        if self.deleted is not None:
            self._check_deleted(self.deleted)
        if self.added is not None and self.added.tokens > self.tokens:
            raise CorruptIndexError(
                f"segment {self.id}: {self.added.tokens} added tokens, but only {self.tokens} tokens in all"
            )

    def _check_deleted(self, deleted: DeletedEntry) -> None:
        if deleted.documents > self.documents or deleted.tokens > self.tokens:
            raise CorruptIndexError(f"segment {self.id}: more documents or tokens are deleted than the segment has")
        if not names.is_deletes_of(deleted.file.path, self.id):
            raise CorruptIndexError(f"segment {self.id}: {deleted.file.path!r} belongs to another segment")

    @property
    def passages(self) -> int:
        """Number of passages: that of documents, unless some consist of several."""
        spans = self.arrays.get("passage_spans")
        return self.documents if spans is None else spans.shape[0]

    @property
    def live_documents(self) -> int:
        """Number of documents that are not deleted."""
        return self.documents - (0 if self.deleted is None else self.deleted.documents)

    @property
    def live_tokens(self) -> int:
        """Number of tokens of the documents that are not deleted."""
        return self.tokens - (0 if self.deleted is None else self.deleted.tokens)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Entries of the segment's files: the ``.h5`` file, the ``.sums`` file and, if any, the deleted documents."""
        folder = names.SEGMENTS
        tombstones = () if self.deleted is None else (self.deleted.file,)
        return (
            FileEntry(f"{folder}/{names.segment_file(self.id)}", self.bytes, self.checksum, self.arrays),
            FileEntry(f"{folder}/{names.sums_file(self.id)}", sums_bytes(self.bytes), self.sums_checksum),
            *tombstones,
        )

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "id": self.id,
            "documents": self.documents,
            "tokens": self.tokens,
            "bytes": self.bytes,
            "checksum": self.checksum,
            "sums_checksum": self.sums_checksum,
            "arrays": {name: spec.to_json() for name, spec in sorted(self.arrays.items())},
            "deleted": None if self.deleted is None else self.deleted.to_json(),
            "added": None if self.added is None else self.added.to_json(),
        }

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Read the JSON form strictly.

        Raises
        ------
        CorruptIndexError
            A field is missing, unknown, of the wrong type or out of range; or an array extends past the end of the
            file, is misaligned, or overlaps another.
        """
        fields = Fields(value, "segment")
        segment_id = fields.text("id")
        deleted, added = fields.optional_mapping("deleted"), fields.optional_mapping("added")
        entry = cls(
            id=segment_id,
            documents=fields.count("documents"),
            tokens=fields.count("tokens"),
            bytes=fields.count("bytes"),
            checksum=fields.text("checksum", HEX128),
            sums_checksum=fields.text("sums_checksum", HEX128),
            arrays=_arrays_from_json(fields.mapping("arrays"), f"segment {segment_id}"),
            deleted=None if deleted is None else DeletedEntry.from_json(deleted),
            added=None if added is None else AddedTokens.from_json(added),
        )
        fields.finish()
        return entry


def check_arrays(arrays: Mapping[str, ArraySpec], size: int, where: str) -> None:
    """Check that arrays lie inside a file of ``size`` bytes and do not overlap.

    Parameters
    ----------
    arrays
        Arrays by name.
    size
        Size of the file in bytes.
    where
        Name of the file, for error messages.

    Raises
    ------
    CorruptIndexError
        An array extends past the end of the file or overlaps another, or its name is not allowed.
    """
    end, previous = 0, "the start of the file"
    for name, spec in sorted(arrays.items(), key=lambda item: item[1].offset):
        if not names.is_array_name(name):
            raise CorruptIndexError(f"{where}: {name!r} is not a valid array name")
        if spec.nbytes == 0:
            continue
        if spec.offset < end:
            raise CorruptIndexError(f"{where}: array {name!r} overlaps {previous}")
        end, previous = spec.offset + spec.nbytes, f"array {name!r}"
        if end > size:
            raise CorruptIndexError(f"{where}: array {name!r} ends at byte {end:,}, past the file's {size:,}")


def _arrays_from_json(value: Mapping[str, Json], where: str) -> dict[str, ArraySpec]:
    return {name: ArraySpec.from_json(spec, f"{where}: array {name!r}") for name, spec in value.items()}
