"""A model of a disk that loses power: everything that was synced survives, and a random part of the rest.

A file system may keep or lose every change since the last fsync independently of the others. Of a file these are its
length and its blocks: a lost block reads as it was before, or as zeros, and a write may stop within a block of 4,096
bytes, at a sector of 512. Of a folder these are the creation, removal and renaming of any name. That is more freedom
than journaling file systems take.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.proofs.crash_calls import Call

SECTOR, PAGE = 512, 4_096


@dataclass(slots=True)
class File:
    """A file's content when it was last synced, and what was done to it since: writes, and lengths set."""

    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def content(self) -> bytes:
        """Return what a program reads."""
        data = bytearray(self.durable)
        for offset, written in self.pending:
            _apply(data, offset, written)
        return bytes(data)

    def sync(self) -> None:
        """Make it durable."""
        self.durable, self.pending = self.content(), []

    def survivor(self, luck: random.Random) -> bytes:
        """Return what is left of it."""
        way = luck.choice(("nothing", "all", "first", "some", "torn", "zeros"))
        if not self.pending or way == "nothing":
            return self.durable
        if way == "all":
            return self.content()
        if way == "zeros":  # the length arrived, the data did not
            return self.durable + bytes(max(0, len(self.content()) - len(self.durable)))
        if way == "first":
            survived = self.pending[: luck.randrange(len(self.pending) + 1)]
        else:
            survived = [change for change in self.pending if luck.random() < 0.6]
        data = bytearray(self.durable)
        for offset, written in survived:
            _apply(data, offset, written if written is None or way != "torn" else _torn(written, luck))
        if luck.random() < 0.5:  # its length is that of the whole file
            _apply(data, len(self.content()), None)
        return bytes(data)


@dataclass(slots=True)
class Folder:
    """A folder's names when it was last synced, and the changes since; ``None``: the name went."""

    durable: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[tuple[str, File | Folder | None]] = field(default_factory=list)

    def names(self) -> dict[str, File | Folder]:
        """Return what a program sees."""
        return self._with(self.pending)

    def sync(self) -> None:
        """Make it durable."""
        self.durable, self.pending = self.names(), []

    def survivors(self, luck: random.Random) -> dict[str, File | Folder]:
        """Return what is left of it."""
        way = luck.choice(("nothing", "all", "first", "any", "any"))
        if way == "nothing":
            return dict(self.durable)
        if way == "all":
            return self.names()
        if way == "first":
            return self._with(self.pending[: luck.randrange(len(self.pending) + 1)])
        return self._with([change for change in self.pending if luck.random() < 0.5])

    def _with(self, changes: Iterable[tuple[str, File | Folder | None]]) -> dict[str, File | Folder]:
        names = dict(self.durable)
        for name, entry in changes:
            if entry is None:
                names.pop(name, None)
            else:
                names[name] = entry
        return names


Tree = dict[str, "bytes | None"]
"""Path to content; ``None`` for a folder."""


class Disk:
    """A folder and all below it, as it is in memory and as it would be found after a power loss.

    Parameters
    ----------
    tree
        What is there, and durable.
    """

    def __init__(self, tree: Tree) -> None:
        self.top = Folder()
        self._handles: dict[int, File | Folder] = {}
        for path, content in sorted(tree.items()):
            parent, name = self._place(path)
            parent.durable[name] = Folder() if content is None else File(content)

    def begin(self) -> None:
        """Expect the calls of another recording, whose handles count anew."""
        self._handles = {}

    def do(self, call: Call) -> None:
        """Do a call."""
        if call.name in ("pwrite", "write", "ftruncate"):
            file = self._handles[call.handle]
            assert isinstance(file, File)  # narrows: only files are written
            file.pending.append((call.offset, None if call.name == "ftruncate" else call.data))
        elif call.name in ("fsync", "fdatasync"):
            (self._handles.get(call.handle) or self._entry(call.path)).sync()
        elif call.name == "open":
            self._open(call)
        elif call.name != "flock":
            self._change_names(call)

    def survivor(self, luck: random.Random) -> Tree:
        """Return what one might find after the power came back."""
        tree: Tree = {}
        _survive(self.top, "", tree, luck)
        return tree

    def _open(self, call: Call) -> None:
        folder, name = self._place(call.path)
        entry = folder.names().get(name)
        if entry is None:
            entry = File()
            folder.pending.append((name, entry))
        self._handles[call.handle] = entry

    def _change_names(self, call: Call) -> None:
        folder, name = self._place(call.path)
        if call.name in ("unlink", "remove", "rmdir"):
            folder.pending.append((name, None))
        elif call.name == "mkdir":
            folder.pending.append((name, Folder()))
        elif call.name in ("link", "rename", "replace"):
            other, new = self._place(call.target)
            other.pending.append((new, folder.names()[name]))
            if call.name != "link":
                folder.pending.append((name, None))
        else:
            raise ValueError(f"this disk does not know {call.name}")

    def _entry(self, path: str) -> File | Folder:
        if path == ".":
            return self.top
        folder, name = self._place(path)
        return folder.names()[name]

    def _place(self, path: str) -> tuple[Folder, str]:
        parent, _, name = path.rpartition("/")
        folder = self._entry(parent or ".")
        assert isinstance(folder, Folder)  # narrows: files have nothing below them
        return folder, name


def _survive(folder: Folder, prefix: str, tree: Tree, luck: random.Random) -> None:
    for name, entry in folder.survivors(luck).items():
        path = prefix + name
        if isinstance(entry, File):
            tree[path] = entry.survivor(luck)
        else:
            tree[path] = None
            _survive(entry, f"{path}/", tree, luck)


def _apply(data: bytearray, offset: int, written: bytes | None) -> None:
    """Write at an offset, or, without bytes, cut or extend to that length."""
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    if written is None:
        del data[offset:]
    else:
        data[offset : offset + len(written)] = written


def _torn(written: bytes, luck: random.Random) -> bytes:
    """Return a write of which some blocks did not arrive, or only its first ones."""
    block = luck.choice((SECTOR, PAGE))
    blocks = [written[i : i + block] for i in range(0, len(written), block)]
    if luck.random() < 0.5:
        return b"".join(blocks[: luck.randrange(len(blocks) + 1)])
    return b"".join(part if luck.random() < 0.5 else bytes(len(part)) for part in blocks)


def tree_of(root: Path) -> Tree:
    """Read a real folder."""
    tree: Tree = {}
    for path in root.rglob("*"):
        tree[str(path.relative_to(root))] = path.read_bytes() if path.is_file() else None
    return tree


def write_tree(root: Path, tree: Tree) -> None:
    """Make a real folder of a tree."""
    root.mkdir()
    for path, content in sorted(tree.items()):
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)
