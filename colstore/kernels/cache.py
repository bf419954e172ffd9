"""Files of the user's own that keep machine code from one process to the next.

The folder is ``$COLSTORE_CACHE/kernels``, with ``$XDG_CACHE_HOME/colstore`` or ``~/.cache/colstore`` where
that is not set. A file there is code that will run: it is used only if it belongs to this user, nobody else
may write to it, and its checksum, which covers its name, is right. Where the folder cannot be used, nothing
is kept.
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
    """Return what :func:`write` kept, or ``None`` if there is nothing, or nothing to be trusted."""
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
    """Keep ``data`` for later processes; a cache that cannot be written costs time, nothing else."""
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
    """Return the bytes of a regular file that only this user can have written."""
    # checked through the open file, so that no other can take its place in between; never waiting for a pipe
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        own = not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o022)
        return file.read() if own and stat.S_ISREG(state.st_mode) else None


def _seal(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + data).digest()


def _write_atomically(path: Path, data: bytes) -> None:
    import tempfile  # and what it imports: seldom needed

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
