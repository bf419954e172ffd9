"""Ways to damage an index on disk, each drawn from a number, so that any of them can be had again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Tree = Mapping[str, bytes]
"""Every file of an index by its relative name."""
Random = np.random.Generator
BLOCKS = (16, 512, 4096, 65_536)


@dataclass(frozen=True, slots=True)
class Damage:
    """What was done to which files (relative names)."""

    number: int
    kind: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"damage {self.number}: {self.kind}: {', '.join(self.files)}"


# --- to the bytes of a file ---------------------------------------------------------------------------------------


def _place(random: Random, data: bytes, count: int = 1) -> int:
    return int(random.integers(0, max(1, len(data) - count + 1)))


def _with(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def flip_bit(random: Random, data: bytes) -> bytes:
    at = _place(random, data)
    return _with(data, at, bytes([data[at] ^ (1 << int(random.integers(0, 8)))]))


def change_byte(random: Random, data: bytes) -> bytes:
    at = _place(random, data)
    return _with(data, at, bytes([data[at] ^ int(random.integers(1, 256))]))


def change_many(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for at in random.integers(0, len(data), int(random.integers(2, 65))):
        changed[at] = int(random.integers(0, 256))
    return bytes(changed)


def change_digit(random: Random, data: bytes) -> bytes:
    """Change a digit to another: numbers of a manifest stay numbers."""
    places = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
    if not places:
        return flip_bit(random, data)
    at = int(random.choice(places))
    return _with(data, at, bytes([48 + (data[at] - 48 + int(random.integers(1, 10))) % 10]))


def zero_block(random: Random, data: bytes) -> bytes:
    size = min(int(random.choice(BLOCKS)), len(data))
    at = _place(random, data) // size * size
    return _with(data, at, bytes(min(size, len(data) - at)))


def overwrite_block(random: Random, data: bytes) -> bytes:
    size = min(int(random.choice(BLOCKS)), len(data))
    return _with(data, _place(random, data, size), random.bytes(size))


def swap_blocks(random: Random, data: bytes) -> bytes:
    size = min(int(random.choice(BLOCKS[:3])), len(data) // 2)
    one, two = (_place(random, data, size) for _ in range(2))
    return _with(_with(data, one, data[two : two + size]), two, data[one : one + size])[: len(data)]


def repeat_block(random: Random, data: bytes) -> bytes:
    """Put a block over another one, as a write to a wrong place would."""
    size = min(int(random.choice(BLOCKS[:3])), len(data))
    at = _place(random, data, size)
    return _with(data, _place(random, data, size), data[at : at + size])


def shift(random: Random, data: bytes) -> bytes:
    """Insert or remove a few bytes in the middle."""
    at, count = _place(random, data), int(random.integers(1, 9))
    return data[:at] + (random.bytes(count) + data[at:] if random.random() < 0.5 else data[at + count :])


def shift_keeping_size(random: Random, data: bytes) -> bytes:
    at, count = _place(random, data), int(random.integers(1, 9))
    return (data[:at] + random.bytes(count) + data[at:])[: len(data)]


def cut(random: Random, data: bytes) -> bytes:
    return data[: _place(random, data)]


def cut_a_little(random: Random, data: bytes) -> bytes:
    return data[: -int(random.integers(1, min(len(data), 16) + 1))]


def empty(random: Random, data: bytes) -> bytes:
    return b""


def lengthen(random: Random, data: bytes) -> bytes:
    count = int(random.integers(1, 5000))
    return data + (bytes(count) if random.random() < 0.5 else random.bytes(count))


def whole_of_zeros(random: Random, data: bytes) -> bytes:
    return bytes(len(data))


def noise(random: Random, data: bytes) -> bytes:
    return random.bytes(len(data))


TO_BYTES: dict[str, Callable[[Random, bytes], bytes]] = {
    function.__name__: function
    for function in (
        flip_bit,
        change_byte,
        change_many,
        change_digit,
        zero_block,
        overwrite_block,
        swap_blocks,
        repeat_block,
        shift,
        shift_keeping_size,
        cut,
        cut_a_little,
        empty,
        lengthen,
        whole_of_zeros,
        noise,
    )
}


# --- to the folder ------------------------------------------------------------------------------------------------


def delete(path: Path) -> None:
    path.unlink()


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def link_to_zeros(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


TO_NAMES: dict[str, Callable[[Path], None]] = {
    function.__name__: function
    for function in (delete, folder_instead, dangling_link, link_to_itself, link_to_zeros, pipe_instead)
}
TO_PAIRS = ("swapped", "put_in_place_of", "linked_in_place_of")
KINDS = (*TO_BYTES, *TO_NAMES, *TO_PAIRS)


def inflict(folder: Path, tree: Tree, seed: int, number: int) -> Damage:
    """Do damage ``number`` to an index that is as ``tree`` says, and return what it was.

    Files and kinds take turns, so that ``len(tree) * len(KINDS)`` damages in a row have every kind done to every
    file; where in the file is random.
    """
    random = np.random.default_rng([seed, number])
    names = sorted(tree)
    name, kind = names[number % len(names)], KINDS[number // len(names) % len(KINDS)]
    if kind in TO_BYTES:
        return _change(folder, tree, Damage(number, kind, (name,)), random)
    if kind in TO_NAMES:
        TO_NAMES[kind](folder / name)
        return Damage(number, kind, (name,))
    other = _partner(name, names, random)
    if kind == "linked_in_place_of":
        (folder / name).unlink()
        (folder / name).symlink_to(folder / other)
        return Damage(number, kind, (name, other))
    (folder / name).write_bytes(tree[other])
    if kind == "swapped":
        (folder / other).write_bytes(tree[name])
    return Damage(number, kind, (name, other))


def _change(folder: Path, tree: Tree, damage: Damage, random: Random) -> Damage:
    name = damage.files[0]
    changed = TO_BYTES[damage.kind](random, tree[name])
    if changed == tree[name]:  # zeros over zeros, a block over itself
        changed = flip_bit(random, tree[name])
        damage = Damage(damage.number, f"{damage.kind} (flip_bit)", damage.files)
    (folder / name).write_bytes(changed)
    return damage


def _partner(name: str, names: list[str], random: Random) -> str:
    """Return another file, mostly one of the same kind (a manifest of another generation, another segment)."""
    kind = (Path(name).parent, Path(name).suffix)
    alike = [other for other in names if other != name and (Path(other).parent, Path(other).suffix) == kind]
    others = alike if alike and random.random() < 0.8 else [other for other in names if other != name]
    return str(random.choice(others))


def repair(folder: Path, tree: Tree, damage: Damage) -> None:
    """Undo a damage."""
    for name in damage.files:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(tree[name])
