"""Walking a folder: its files in order, and what is left out of it, counted by kind."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from colstore.corpus.lines import printable
from colstore.errors import CorpusError

TOOL_FOLDERS = frozenset({"__pycache__", "__MACOSX", "node_modules", "venv", "site-packages"})
"""Folders of programs, not of documents; hidden ones, such as ``.git`` and ``.obsidian``, are left out anyway."""
_TOOL_FILES = frozenset({"thumbs.db", "desktop.ini"})
_MANIFEST = re.compile(r"manifest-\d{12}\.json", re.ASCII)


@dataclass(slots=True)
class Walk:
    """One walk through a folder.

    Parameters
    ----------
    root
        The folder. It may itself be hidden.
    strict
        Whether a folder that cannot be listed, or a link back to a folder above, is an error; else it is counted.
    passed_over
        Receives the number of hidden and other folders that are left out, by kind.
    twins
        Receives names that differ only in their Unicode normal form.
    """

    root: Path
    strict: bool = True
    passed_over: Counter[str] = field(default_factory=Counter)
    twins: list[str] = field(default_factory=list)

    def files(self) -> Iterator[str]:
        """Yield the files in the order of their paths, which are relative and have ``/`` as separator.

        One folder's names are in memory at a time. Links to folders are followed.

        Raises
        ------
        CorpusError
            A folder cannot be listed, or is a link to one of its parents.
        """
        yield from self._below(self.root, "", frozenset())

    def _below(self, folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
        try:
            status = folder.stat()
            inner = above | {(status.st_dev, status.st_ino)}
            with os.scandir(folder) as listing:
                entries = sorted((entry.name + "/" * entry.is_dir(), entry.is_dir()) for entry in listing)
        except OSError as error:
            self._fail(folder, f"cannot be listed: {error.strerror or error}", "folder that cannot be listed", error)
            return
        if len(inner) == len(above):
            self._fail(folder, "is a link to a folder above it: remove the link", "link to a folder above")
            return
        if prefix and any(_MANIFEST.fullmatch(name) for name, _ in entries):
            self.passed_over["colstore index"] += 1
            return
        self._note_twins(prefix, [name for name, _ in entries])
        for name, is_folder in entries:
            kind = _left_out(name.rstrip("/"), is_folder=is_folder)
            if kind is not None:
                self.passed_over[kind] += 1
            elif is_folder:
                yield from self._below(folder / name, prefix + name, inner)
            else:
                yield prefix + name

    def _fail(self, folder: Path, message: str, kind: str, cause: OSError | None = None) -> None:
        if self.strict:
            raise CorpusError(message, source=printable(folder)) from cause
        self.passed_over[kind] += 1

    def _note_twins(self, prefix: str, names: list[str]) -> None:
        seen: dict[str, str] = {}
        for name in names:
            if not name.isascii():
                normal = unicodedata.normalize("NFC", name)
                if normal in seen:
                    self.twins.append(prefix + normal)
                seen[normal] = name


def _left_out(name: str, *, is_folder: bool) -> str | None:
    """Return the kind under which a file or folder that holds no documents is counted; ``None`` for the others."""
    if name.startswith("."):
        return "hidden folder" if is_folder else "hidden file"
    if is_folder:
        return f"{name} folder" if name in TOOL_FOLDERS else None
    is_temporary = name.endswith("~") or name.startswith("~$") or name.casefold() in _TOOL_FILES
    return "temporary file" if is_temporary else None


def ending(name: str) -> str:
    """Return the ending of a file name in small letters, with that of a compressed file; empty without one.

    Examples
    --------
    >>> ending("data/train.JSONL.gz"), ending("notes.md"), ending("LICENSE")
    ('.jsonl.gz', '.md', '')
    """
    base = name.rsplit("/", 1)[-1].lower()
    packed = next((end for end in (".gz", ".zst", ".bz2", ".xz") if base.endswith(end)), "")
    return os.path.splitext(base.removesuffix(packed))[1] + packed  # noqa: PTH122 - names, not paths


def kind_of(name: str) -> str:
    """Return the kind under which a file is counted: its ending."""
    return ending(name) or "file without ending"


def spelled(counts: dict[str, int]) -> str:
    """Return counts by kind as a list for people, the largest first.

    Examples
    --------
    >>> spelled({"hidden folder": 2, ".png": 12, "hidden file": 1})
    '12 .png, 2 hidden folders, 1 hidden file'
    """
    order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count:,} {_plural(kind) if count != 1 else kind}" for kind, count in order if count)


def _plural(kind: str) -> str:
    if kind.startswith("."):
        return kind
    for noun, many in (("folder", "folders"), ("file", "files"), ("link", "links"), ("index", "indexes")):
        if re.search(rf"\b{noun}\b", kind):
            return re.sub(rf"\b{noun}\b", many, kind, count=1)
    return kind
