"""The writer lock, a POSIX ``flock`` on the file ``LOCK``: one writer at a time, across processes.

The kernel releases the lock when the process that holds it exits, so a crashed process does not block others and
there is never a need to break a lock. The content of the file (process and host) is used only in error messages. The
file itself is not removed, except by a failed build that leaves nothing else behind (:meth:`WriterLock.withdraw`).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from colstore.errors import CorruptIndexError, IndexLockedError, StorageError
from colstore.store.files import NO_FOLLOW, make_folder, overwrite, storage_errors
from colstore.store.format import LOCK
from colstore.store.strict_json import parse_object

_RETRY_SECONDS = 0.05
_NOTE_BYTES = 1000


class WriterLock:
    """Holds the writer lock of an index until :meth:`close`.

    Parameters
    ----------
    directory
        Directory of the index; it is created if it does not exist.
    wait
        Number of seconds to wait for another writer; 0 tries once.

    Raises
    ------
    IndexLockedError
        Another writer, in this process or another one, holds the lock. The message names the process.
    StorageError
        The file system does not support locks, or the lock file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, WriterLock(Path(folder)) as lock:
    ...     lock.held
    True
    """

    def __init__(self, directory: Path, *, wait: float = 0.0) -> None:
        self.path = directory / LOCK
        self._process = os.getpid()
        self._descriptor: int | None = self._acquire(time.monotonic() + wait)
        _open_locks.add(self)
        from socket import gethostname  # imported here because readers do not need it

        note = {"pid": self._process, "host": gethostname()}
        try:
            with suppress(StorageError):  # only for error messages: a full disk must not prevent a clean-up
                overwrite(self._descriptor, json.dumps(note).encode(), self.path)
        except BaseException:  # such as Ctrl-C: the caller does not have this object yet, so it could not close it
            self.close()
            raise

    @property
    def held(self) -> bool:
        """Whether this object, in this process, still holds the lock."""
        return self._descriptor is not None

    def close(self) -> None:
        """Release the lock. In a forked child this only closes the child's copy of the descriptor."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                if os.getpid() == self._process:
                    with suppress(OSError):  # closing the file releases the lock, too, unless a child holds a copy
                        fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:
                os.close(descriptor)

    def withdraw(self) -> None:
        """Release the lock, and remove its file and the folder if the folder holds nothing else.

        This is for a failed build that created the folder. A writer that is waiting for the lock notices that the
        file has been removed and creates it again.
        """
        if self._descriptor is not None:
            with suppress(OSError):
                if [entry.name for entry in self.path.parent.iterdir()] == [LOCK]:
                    self.path.unlink()
                    self.path.parent.rmdir()
            self.close()

    def __del__(self) -> None:
        """Release a lock whose owner was interrupted before it could close it."""
        if getattr(self, "_descriptor", None) is not None:
            with suppress(Exception):
                self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _acquire(self, deadline: float) -> int:
        while True:
            descriptor = self._try()
            if descriptor is not None:
                return descriptor
            if time.monotonic() >= deadline:
                raise IndexLockedError(self._message())
            time.sleep(_RETRY_SECONDS)

    def _try(self) -> int | None:
        """Return a locked descriptor, or ``None`` if another writer holds the lock or the file was just replaced."""
        new = not self.path.parent.exists()
        make_folder(self.path.parent)
        with storage_errors(self.path, "locking"), self._removing_on_failure(new):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                    return descriptor
            except (BlockingIOError, FileNotFoundError):
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            return None

    @contextmanager
    def _removing_on_failure(self, new: bool) -> Iterator[None]:
        """Remove a new folder if locking fails, for example on a file system without locks."""
        try:
            yield
        except OSError:
            with suppress(OSError):
                if new and not self.path.stat().st_size:  # a writer that holds the lock has written its name there
                    self.path.unlink()
            with suppress(OSError):
                if new:
                    self.path.parent.rmdir()
            raise

    def _message(self) -> str:
        try:
            note = parse_object(self.path.read_bytes()[:_NOTE_BYTES])
            holder = f"process {note.get('pid')} on {note.get('host')}"
        except (CorruptIndexError, OSError):  # the content is needed only for this message
            holder = "another process"
        return (
            f"{self.path.parent}: {holder} is writing to this index; wait until it has finished (the lock of a crashed "
            "process is released automatically)"
        )


_open_locks: weakref.WeakSet[WriterLock] = weakref.WeakSet()


def _close_in_child() -> None:
    # A forked child shares the open file. If it kept the descriptor open, the lock would outlive the parent.
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
