"""A cache of machine code in the user's own files, so that later processes need not compile it again.

The folder is ``$COLSTORE_CACHE/kernels``; if that variable is not set, ``$XDG_CACHE_HOME/colstore/kernels`` or
``~/.cache/colstore/kernels``. The files contain code that will be executed. A file is therefore used only if it belongs
to this user, nobody else may write to it, and its checksum, which covers its name, is correct. If the folder cannot be
used, nothing is cached.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from pathlib import Path

from colstore.kernels.processor import fingerprint

_SEAL = 32


def read(key: str) -> bytes | None:
    """Return the data that :func:`write` stored, or ``None`` if there is none or it cannot be trusted."""
    path = _file(key)
    if path is None:
        return None
    try:
        data = _read_private(path)
    except OSError:
        return None
    if data is None or _seal(path.name, data[_SEAL:]) != data[:_SEAL]:
        return None
    return data[_SEAL:]


def write(key: str, data: bytes) -> None:
    """Store ``data`` for later processes. A failed write is not an error: it only costs time."""
    path = _file(key)
    if path is None:
        return
    try:
        _write_atomically(path, _seal(path.name, data) + data)
    except OSError:
        return


@functools.cache
def _folder() -> Path | None:
    try:
        base = os.environ.get("COLSTORE_CACHE")
        if not base:
            base = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "colstore")
        folder = Path(base) / "kernels"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    return folder


def _file(key: str) -> Path | None:
    folder = _folder()
    return None if folder is None else folder / f"{key}-{fingerprint()}"


def _read_private(path: Path) -> bytes | None:
    """Return the content of a regular file that only this user can have written, or ``None`` for any other file."""
    # The open file is checked, so that no other file can take its place in between. O_NONBLOCK: a pipe must not block.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        own = not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o022)
        return file.read() if own and stat.S_ISREG(state.st_mode) else None


def _seal(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + data).digest()


def _write_atomically(path: Path, data: bytes) -> None:
    import tempfile  # imported here because it is slow to import and rarely needed

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
