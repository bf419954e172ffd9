"""A cache of machine code in the user's own files, so that later processes need not compile it again.

The folder is ``$COLSTORE_CACHE/kernels``; if that variable is not set, ``$XDG_CACHE_HOME/colstore/kernels`` or
``~/.cache/colstore/kernels``. Where nothing can be written there (no home, a read-only file system, the folder of
another user), ``colstore-kernels-UID`` in the folder for temporary files takes its place, and a
:class:`colstore.errors.KernelCacheWarning` says so once in each process that had to compile something. Where that
cannot be used either, nothing is cached, and every process compiles its kernels again.

The files contain code that will be executed. A file is therefore used only if it belongs to this user, nobody else may
write to it, and its checksum, which covers its name, is correct. The temporary folder is shared with others: the folder
in it is only used if it is a real folder that belongs to this user and that nobody else may write to.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from colstore.errors import KernelCacheWarning
from colstore.kernels.processor import fingerprint

_SEAL = 32


def read(key: str) -> bytes | None:
    """Return the data that :func:`write` stored, or ``None`` if there is none or it cannot be trusted."""
    name = _name(key)
    for place in (_own_folder, _temporary_folder):
        folder = place()
        if folder is None:
            continue
        try:
            data = _read_private(folder / name)
        except OSError:
            continue
        if data is not None and _seal(name, data[_SEAL:]) == data[:_SEAL]:
            return data[_SEAL:]
    return None


def write(key: str, data: bytes) -> None:
    """Store ``data`` for later processes. A failed write is not an error: it only costs time."""
    name = _name(key)
    for place in (_own_folder, _new_temporary_folder):
        folder = place()
        if folder is None:
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_atomically(folder / name, _seal(name, data) + data)
        except OSError:
            continue
        if folder != _own_folder():
            _warn_once(folder)
        return
    _warn_once(None)


def _own_folder() -> Path | None:
    """Return the folder in the user's cache, which may not exist; ``None`` for a user without a home."""
    base = os.environ.get("COLSTORE_CACHE")
    try:
        if not base:
            base = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "colstore")
    except RuntimeError:
        return None
    return Path(base) / "kernels"


def _new_temporary_folder() -> Path | None:
    """Return this user's folder in the one for temporary files, making it if need be; ``None`` where it is not safe."""
    return _temporary_folder(create=True)


def _temporary_folder(*, create: bool = False) -> Path | None:
    """Return this user's folder in the one for temporary files; ``None`` where it does not exist or is not safe."""
    import tempfile  # imported here because it is slow to import and rarely needed

    if not hasattr(os, "getuid"):
        return None  # the owner of a folder could not be checked
    try:
        folder = Path(tempfile.gettempdir()) / f"colstore-kernels-{os.getuid()}"
        if create:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        state = folder.lstat()
    except OSError:
        return None
    is_private = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022
    return folder if is_private else None


@functools.cache
def _warn_once(instead: Path | None) -> None:
    """Say where compiled kernels are kept, or that they are not."""
    import warnings

    kept = "are compiled again in every process" if instead is None else f"are kept in {instead}"
    warnings.warn(
        f"the cache {_own_folder() or '~/.cache/colstore/kernels'} cannot be written, so that compiled kernels {kept}; "
        "set COLSTORE_CACHE to a folder that this user can write to",
        KernelCacheWarning,
        stacklevel=2,
    )


def _name(key: str) -> str:
    return f"{key}-{fingerprint()}"


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
