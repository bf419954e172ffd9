"""What a manifest says about a file: size, checksum, and where each array lies in it. Checked when made.

Everything is cross-checked here, before a file is opened or anything is allocated, so that a manifest from a
stranger cannot point outside its files.
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
    """Where an array lies in a file.

    Parameters
    ----------
    offset
        Byte offset, a multiple of the element size; 0 for an array without elements.
    dtype
        ``numpy.dtype.str``, one of :data:`colstore.store.format.DTYPES`.
    shape
        Of the array, row-major.

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
            raise CorruptIndexError(f"an array of shape {self.shape} cannot be")
        if self.offset % self.itemsize or (self.nbytes == 0 and self.offset):
            raise CorruptIndexError(f"an array of {self.dtype} cannot start at byte {self.offset}")

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * self.itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes of one row (one step along the first axis)."""
        return math.prod(self.shape[1:]) * self.itemsize

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {"offset": self.offset, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, value: Json, where: str) -> Self:
        """Read the JSON form strictly."""
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
    """A file that a manifest names.

    Parameters
    ----------
    path
        Relative to the index, with ``/``; one of the shapes that :func:`colstore.store.format.kind_of` knows.
    bytes
        Size of the file.
    checksum
        xxh3_128, 32 hexadecimal digits.
    arrays
        Arrays in it; empty for opaque files.
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
        """Read the JSON form strictly."""
        fields = Fields(value, "file")
        path = fields.text("path")
        record = cls(
            path=path,
            bytes=fields.count("bytes"),
            checksum=fields.text("checksum", HEX128),
            arrays=_arrays_from_json(fields.mapping("arrays"), path),
        )
        fields.finish()
        return record


@dataclass(frozen=True, slots=True)
class DeletedEntry:
    """Which documents of a segment are deleted.

    Parameters
    ----------
    documents, tokens
        How many.
    file
        ``deletes/<segment id>-<generation>.h5``, whose array ``documents`` lists their local numbers.
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
        """Read the JSON form strictly."""
        fields = Fields(value, "deleted")
        record = cls(
            documents=fields.count("documents", least=1),
            tokens=fields.count("tokens"),
            file=FileEntry.from_json(fields.take("file")),
        )
        fields.finish()
        return record


@dataclass(frozen=True, slots=True)
class AddedTokens:
    """How well the codec fits the tokens of a segment that came after it was trained.

    Parameters
    ----------
    tokens
        How many of the segment's tokens came later.
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
        """Read the JSON form strictly."""
        fields = Fields(value, "added")
        record = cls(tokens=fields.count("tokens"), error=fields.number("error"))
        fields.finish()
        return record


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment, as a manifest names it.

    Parameters
    ----------
    id
        Also the file name; see :func:`colstore.store.format.is_segment_id`.
    documents, tokens
        How many it holds.
    bytes
        Size of the ``.h5`` file.
    checksum
        xxh3_128 of the ``.h5`` file.
    sums_checksum
        xxh3_128 of the ``.sums`` file.
    arrays
        Where each array lies in the ``.h5`` file.
    deleted
        Documents that no longer count; ``None`` where all do.
    added
        Tokens that came after the codec was trained; ``None`` where none did.
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
            raise CorruptIndexError(f"{self.id!r} cannot be the id of a segment")
        check_arrays(self.arrays, self.bytes, f"segment {self.id}")
        if self.deleted is not None:
            self._check_deleted(self.deleted)
        if self.added is not None and self.added.tokens > self.tokens:
            raise CorruptIndexError(f"segment {self.id}: {self.added.tokens} tokens added, of {self.tokens}")

    def _check_deleted(self, deleted: DeletedEntry) -> None:
        if deleted.documents > self.documents or deleted.tokens > self.tokens:
            raise CorruptIndexError(f"segment {self.id}: more is deleted than there is")
        if not names.is_deletes_of(deleted.file.path, self.id):
            raise CorruptIndexError(f"segment {self.id}: {deleted.file.path!r} belongs to another segment")

    @property
    def live_documents(self) -> int:
        """Documents that are not deleted."""
        return self.documents - (0 if self.deleted is None else self.deleted.documents)

    @property
    def live_tokens(self) -> int:
        """Tokens of documents that are not deleted."""
        return self.tokens - (0 if self.deleted is None else self.deleted.tokens)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The segment's files inside an index: the ``.h5``, the ``.sums``, the list of deleted documents."""
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
            A field is missing, unknown, of a wrong type or out of range; an array leaves the file, is
            misaligned, or overlaps another.
        """
        fields = Fields(value, "segment")
        segment_id = fields.text("id")
        deleted, added = fields.optional_mapping("deleted"), fields.optional_mapping("added")
        record = cls(
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
        return record


def check_arrays(arrays: Mapping[str, ArraySpec], size: int, where: str) -> None:
    """Check that arrays lie inside a file of ``size`` bytes and do not overlap.

    Raises
    ------
    CorruptIndexError
        They do not, or a name is not allowed.
    """
    end, before = 0, "the start of the file"
    for name, spec in sorted(arrays.items(), key=lambda item: item[1].offset):
        if not names.is_array_name(name):
            raise CorruptIndexError(f"{where}: {name!r} cannot be the name of an array")
        if spec.nbytes == 0:
            continue
        if spec.offset < end:
            raise CorruptIndexError(f"{where}: array {name!r} overlaps {before}")
        end, before = spec.offset + spec.nbytes, f"array {name!r}"
        if end > size:
            raise CorruptIndexError(f"{where}: array {name!r} ends at byte {end:,}, past the file's {size:,}")


def _arrays_from_json(value: Mapping[str, Json], where: str) -> dict[str, ArraySpec]:
    return {name: ArraySpec.from_json(spec, f"{where}: array {name!r}") for name, spec in value.items()}
