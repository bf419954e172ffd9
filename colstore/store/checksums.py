"""Checksums: xxh3_128 for whole files and xxh3_64 for each block of 64 KiB.

They detect accidents (flipped bits, torn writes, swapped files). They do not protect against an attacker.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import xxhash
from numpy.typing import NDArray

from colstore.store.files import storage_errors
from colstore.store.format import BLOCK_BYTES
from colstore.store.reading import open_regular

Readable: TypeAlias = bytes | bytearray | memoryview
_READ_BYTES = 64 * BLOCK_BYTES


def checksum(data: Readable) -> str:
    """Return the xxh3_128 of the data as 32 hexadecimal digits.

    >>> checksum(b"colstore")
    'afa1a4abaff05552e0589809302ad8ba'
    """
    return xxhash.xxh3_128_hexdigest(data)


def block_sum(data: Readable) -> int:
    """Return the xxh3_64 of one block (at most 64 KiB) as an integer."""
    return xxhash.xxh3_64_intdigest(data)


def file_checksum(path: Path) -> str:
    """Return the xxh3_128 of a file as 32 hexadecimal digits."""
    return _stream(path, None)


def file_sums(path: Path) -> tuple[str, NDArray[np.uint64]]:
    """Return the xxh3_128 of a file and the xxh3_64 of each of its 64 KiB blocks, reading the file once.

    Returns
    -------
    checksum
        xxh3_128 of the file, as 32 hexadecimal digits.
    sums
        xxh3_64 of each block, shape ``(ceil(bytes / 65536),)``, little-endian uint64.
    """
    sums: list[int] = []
    whole = _stream(path, sums)
    return whole, np.array(sums, dtype="<u8")


def sums_bytes(size: int) -> int:
    """Return the size in bytes of the ``.sums`` file for a file of ``size`` bytes.

    >>> sums_bytes(0), sums_bytes(65536), sums_bytes(65537)
    (0, 8, 16)
    """
    return 8 * -(-size // BLOCK_BYTES)


def _stream(path: Path, sums: list[int] | None) -> str:
    whole = xxhash.xxh3_128()
    buffer = bytearray(_READ_BYTES)
    view = memoryview(buffer)
    with (
        open_regular(path) as descriptor,
        storage_errors(path, "reading"),
        os.fdopen(descriptor, "rb", closefd=False) as file,  # buffered, so that only the last read can be short
    ):
        while count := file.readinto(buffer):
            whole.update(view[:count])
            if sums is not None:
                sums += [block_sum(view[i : min(i + BLOCK_BYTES, count)]) for i in range(0, count, BLOCK_BYTES)]
    return whole.hexdigest()
