"""Short byte strings as instructions for damaging something: what a fuzzer makes up becomes a forged file.

A script is read four or eight bytes at a time, so that any bytes are one, and near scripts make near forgeries.
"""

from __future__ import annotations

import copy
import json
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.store.strict_json import canonical

NASTY: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    255,
    65_535,
    65_536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**53,
    2**62,
    2**63,
    2**64,
    -(2**63),
    10**25,
    0.0,
    -0.0,
    0.5,
    1.5,
    -1.5,
    1e-320,
    1e38,
    1e308,
    "",
    "x",
    "0",
    "\x00",
    "é",
    "🐝",
    "\ud800",
    "a" * 70,
    "/etc/passwd",
    "../x",
    "../../segments/000001-0001.h5",
    "segments/../LOCK",
    "segments/000001-0001.h5",
    "segments/000001-0001.sums",
    "segments/",
    "encoder/../../x",
    "encoder/a/b/c/d/e",
    "encoder/x.h5",
    "codec-000001.h5",
    "codec-999999.h5",
    "manifest-000000000001.json",
    "deletes/000001-0001-000000000004.h5",
    "/dev/zero",
    "LOCK",
    "|u1",
    "<u2",
    "<u4",
    "<u8",
    "<i8",
    "<f2",
    "<f4",
    "<f8",
    "|O",
    "|V9",
    ">f4",
    "object",
    "fake",
    "transformer",
    "float32",
    "left",
    [],
    {},
    [[]],
    [0],
    [-1],
    [2**62, 2**62],
    [1, 2, 3, 4, 5],
    {"": None},
    {"x": {"x": {"x": []}}},
    [None] * 300,
    "0" * 32,
    "f" * 32,
)
"""Values that a file may hold and a reader may not expect."""
_DEEP = re.compile(r'"nested (\d+) deep"')


def steps(script: bytes, size: int) -> Iterator[bytes]:
    """Cut a script into instructions; a rest that is too short is dropped."""
    for at in range(0, len(script) - size + 1, size):
        yield script[at : at + size]


def rendered(value: Any) -> bytes:
    """Return data as canonical JSON (where it can be), what :func:`forged_json` marked nested as deep as it says."""
    try:
        text = canonical(value).decode()
    except UnicodeEncodeError:
        text = json.dumps(value)
    return _DEEP.sub(lambda found: "[" * int(found[1]) + "0" + "]" * int(found[1]), text).encode()


def forged_json(good: Any, script: bytes) -> Any:
    """Return a copy of JSON data with values exchanged, dropped, copied from elsewhere or renamed.

    Each instruction: which value (2 bytes), what to do (1), with what (1). To be written with :func:`rendered`.
    """
    root: list[Any] = [copy.deepcopy(good)]
    for step in steps(script, 4):
        which, how, what = struct.unpack("<HBB", step)
        places = list(_places(root))
        holder, key = places[which % len(places)]
        match how % 6:
            case 0 | 1:
                holder[key] = copy.deepcopy(NASTY[what % len(NASTY)])
            case 2 if isinstance(holder[key], int | float):
                holder[key] += (what % 9) - 4
            case 3 if isinstance(holder, dict):
                value = holder.pop(key)
                if what % 2:
                    holder[f"{key}x"] = value
            case 4:
                other, name = places[what * 7 % len(places)]
                holder[key] = copy.deepcopy(other[name])
            case 5:
                holder[key] = f"nested {what * 8} deep"
            case _:
                if isinstance(holder[key], list):
                    holder[key] = holder[key] * 2
    return root[0]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in some JSON data as (container, key)."""
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def forged_bytes(good: bytes, script: bytes) -> bytes:
    """Return a copy of some bytes with some of them changed, without changing their number.

    Each instruction: where (3 bytes), what to do (1), with what (4).
    """
    data = bytearray(good)
    for step in steps(script, 8):
        where, value = int.from_bytes(step[:3], "little") % max(1, len(data)), step[4:]
        match step[3] % 6:
            case 0:
                data[where : where + 1] = value[:1]
            case 1:
                data[where : where + 4] = value
            case 2:
                data[where] ^= 1 << (value[0] % 8)
            case 3:
                data[where : where + 8] = value[:1] * 8
            case 4:
                data[where : where + 8] = struct.pack("<q", int.from_bytes(value, "little", signed=True))
            case _:
                count = int.from_bytes(value[:2], "little") % 256
                start = int.from_bytes(value[2:], "little") % max(1, len(data))
                data[where : where + count] = data[start : start + count]
        del data[len(good) :]
    return bytes(data) + bytes(len(good) - len(data))


TOKENS = (
    b"",
    b"\n",
    b"\r",
    b"\t",
    b",",
    b'"',
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"\\",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"null",
    b"NaN",
    b"1e999",
    b"-0",
    b"true",
    b"9" * 40,
    b'"_id"',
    b'"text"',
    b'"vectors"',
    b"\\ud800",
    b" ",
    b"id",
    "é".encode(),
    "\u2028".encode(),
    b"\x1f\x8b\x08\x00",
)
"""What a text format may trip over."""


def edited(good: bytes, script: bytes) -> bytes:
    """Return a copy of some bytes with pieces put in, taken out, repeated or changed.

    Each instruction: where (3 bytes), what to do (1), with what (2).
    """
    data = bytearray(good)
    for step in steps(script, 6):
        where, value = int.from_bytes(step[:3], "little") % (len(data) + 1), int.from_bytes(step[4:], "little")
        match step[3] % 7:
            case 0:
                data[where : where + 1] = bytes([value % 256])
            case 1:
                data[where:where] = TOKENS[value % len(TOKENS)]
            case 2:
                data[where : where + value % 64] = b""
            case 3:
                data[where:where] = data[value % (len(data) + 1) :][:64]
            case 4:
                data[where : where + 4] = TOKENS[value % len(TOKENS)]
            case 5 if where < len(data):
                data[where] ^= 1 << (value % 8)
            case _:
                data[where:] = b"" if value % 16 == 0 else data[where:]
    return bytes(data)


def forged_arrays(data: bytes, places: Sequence[tuple[int, str, int]], script: bytes) -> bytes:
    """Return a copy of a file with elements of its arrays changed.

    Parameters
    ----------
    data
        Of the file.
    places
        Byte offset, dtype and number of elements of each array.
    script
        Each instruction: which array (1 byte), which element (2), what to do (1), with what (4).
    """
    changed = bytearray(data)
    places = [place for place in places if place[2]]
    for step in steps(script, 8):
        offset, dtype, count = places[step[0] % len(places)]
        array = np.frombuffer(changed, dtype, count, offset)
        number, how = struct.unpack("<HB", step[1:4])
        # Both ends of an array more often than its middle: that is where offsets say how much there is.
        at = (number >> 2) % count if number % 4 > 1 else -(number % 4)
        _change(array, at, how, step[4:])
    return bytes(changed)


def _change(array: NDArray[Any], at: int, how: int, value: bytes) -> None:
    number = int.from_bytes(value, "little", signed=True)
    row = array.view(f"<u{array.itemsize}")
    limit = (1 << (8 * array.itemsize)) - 1
    match how % 6:
        case 0:
            row[at] = number & limit
        case 1:
            row[at] = (int(row[at]) + number % 9 - 4) & limit
        case 2:
            row[at] = limit >> (number % 3)
        case 3:
            row[at] = row[number % len(row)]
        case 4:
            row[:] = row[::-1].copy()
        case _:
            row[at:] = number & limit
