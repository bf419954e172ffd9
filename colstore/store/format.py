"""File names on disk and the format version. No other module defines them.

The rest of this room gets them from here, so that one module decides which files colstore may read, write or
delete. ``docs/FORMAT.md`` is the specification.
"""

from __future__ import annotations

import re
import uuid
from typing import Final

FORMAT: Final = "colstore"
FORMAT_VERSION: Final = 1
"""The newest version that this code reads, and the only one that it writes."""

SEGMENTS: Final = "segments"
DELETES: Final = "deletes"
ENCODER: Final = "encoder"
BUILDING: Final = "building"
LOCK: Final = "LOCK"
NEWEST: Final = "NEWEST"
STATE: Final = "state.json"

BLOCK_BYTES: Final = 65_536
"""Number of bytes that one checksum of a ``.sums`` file covers."""
TEXT_BLOCK_BYTES: Final = 8192
"""Uncompressed bytes that a block of texts or metadata is filled up to; a larger document has a block of its own."""
MAX_TEXT_BLOCK_BYTES: Final = 1 << 30
"""Largest uncompressed size of one block of texts or metadata, in bytes."""
MAX_MANIFEST_BYTES: Final = 64 << 20
MAX_GENERATION: Final = 10**12 - 1
MAX_COUNT: Final = 2**62
"""Upper bound of every count and size, so that sums of them cannot overflow."""

DTYPES: Final = frozenset({"|u1", "<u2", "<u4", "<u8", "|i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8"})
"""Element types that a file may declare, as ``numpy.dtype.str``."""

_ID = r"[a-z0-9][a-z0-9_-]{0,63}"
_PATTERNS: Final = {
    "manifest": re.compile(r"manifest-(\d{12})\.json", re.ASCII),
    "codec": re.compile(r"codec-\d{6,12}\.h5", re.ASCII),
    "centroids": re.compile(r"centroids-\d{6,12}\.faiss", re.ASCII),
    "lexical": re.compile(r"lexical-\d{6,12}\.h5", re.ASCII),
    "segment": re.compile(rf"segments/{_ID}\.h5"),
    "sums": re.compile(rf"segments/{_ID}\.sums"),
    "deletes": re.compile(rf"deletes/{_ID}-\d{{12}}\.h5", re.ASCII),
    "encoder": re.compile(r"encoder(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){1,4}"),
}
_SEGMENT_ID: Final = re.compile(_ID)
_ARRAY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TEMPORARY: Final = re.compile(r"\.tmp-[0-9a-f]{32}-[A-Za-z0-9._-]{1,120}")


def manifest_name(generation: int) -> str:
    """Return the file name of a generation's manifest.

    >>> manifest_name(42)
    'manifest-000000000042.json'
    """
    return f"manifest-{generation:012d}.json"


def manifest_generation(name: str) -> int | None:
    """Return the generation of a manifest by its file name, or ``None`` if the name is not that of a manifest.

    >>> manifest_generation("manifest-000000000042.json"), manifest_generation("manifest-42.json")
    (42, None)
    """
    match = _PATTERNS["manifest"].fullmatch(name)
    return int(match[1]) if match and int(match[1]) > 0 else None


def codec_name(number: int) -> str:
    """Return the file name of the codec with this number.

    >>> codec_name(1)
    'codec-000001.h5'
    """
    return f"codec-{number:06d}.h5"


def centroids_name(number: int) -> str:
    """Return the file name of the FAISS index over the centroids with this number.

    >>> centroids_name(1)
    'centroids-000001.faiss'
    """
    return f"centroids-{number:06d}.faiss"


def lexical_name(number: int) -> str:
    """Return the file name of the BM25 index with this number.

    >>> lexical_name(1)
    'lexical-000001.h5'
    """
    return f"lexical-{number:06d}.h5"


def segment_file(segment_id: str) -> str:
    """Return the file name of a segment inside its folder.

    >>> segment_file("000001")
    '000001.h5'
    """
    return f"{segment_id}.h5"


def sums_file(segment_id: str) -> str:
    """Return the file name of a segment's block checksums inside its folder.

    >>> sums_file("000001")
    '000001.sums'
    """
    return f"{segment_id}.sums"


def deletes_name(segment_id: str, generation: int) -> str:
    """Return the path, relative to the index, of the deleted documents of a segment as of a generation.

    >>> deletes_name("000001", 7)
    'deletes/000001-000000000007.h5'
    """
    return f"{DELETES}/{segment_id}-{generation:012d}.h5"


def is_deletes_of(path: str, segment_id: str) -> bool:
    """Return whether a path names a file of deleted documents of this segment.

    >>> is_deletes_of("deletes/a-000000000007.h5", "a"), is_deletes_of("deletes/a-b-000000000007.h5", "a")
    (True, False)
    """
    return re.fullmatch(rf"{DELETES}/{re.escape(segment_id)}-\d{{12}}\.h5", path, re.ASCII) is not None


def encoder_name(name: str) -> str:
    """Return the path, relative to the index, of a file of the frozen query encoder.

    >>> encoder_name("tokenizer.json")
    'encoder/tokenizer.json'
    """
    return f"{ENCODER}/{name}"


def is_segment_id(text: str) -> bool:
    """Return whether a text is a valid segment id: 1 to 64 of ``a-z 0-9 _ -``, not starting with ``_`` or ``-``.

    >>> is_segment_id("000001"), is_segment_id("../x")
    (True, False)
    """
    return _SEGMENT_ID.fullmatch(text) is not None


def is_array_name(text: str) -> bool:
    """Return whether a text is a valid array name: 1 to 64 of ``a-z 0-9 _``, starting with a letter.

    >>> is_array_name("doc_offsets"), is_array_name("a/b")
    (True, False)
    """
    return _ARRAY.fullmatch(text) is not None


def temporary_name(name: str) -> str:
    """Return a unique temporary name for a file that is to be renamed to ``name``."""
    return f".tmp-{uuid.uuid4().hex}-{name}"


def is_temporary(name: str) -> bool:
    """Return whether a file name was made by :func:`temporary_name`.

    >>> is_temporary(temporary_name("LOCK")), is_temporary(".tmp-notes")
    (True, False)
    """
    return _TEMPORARY.fullmatch(name) is not None


def kind_of(path: str) -> str | None:
    """Return the kind of a file by its path relative to the index, or ``None`` if colstore writes no such file.

    The kinds are ``"manifest"``, ``"codec"``, ``"centroids"``, ``"lexical"``, ``"segment"``, ``"sums"``,
    ``"deletes"`` and ``"encoder"``. A path that has a kind cannot lead out of the directory, because none of its
    components starts with a dot.

    >>> kind_of("segments/000001.h5"), kind_of("encoder/../x"), kind_of("notes.txt")
    ('segment', None, None)
    """
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(path)), None)
