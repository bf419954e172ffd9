"""The writer lock: one writer at a time, across processes. POSIX ``flock`` on the file ``LOCK``.

The kernel drops the lock when its holder dies, so a dead process's lock is no obstacle, and nobody ever
needs to break one. What the file says (process, host) is only for messages. The file itself is not
removed, but by a build that failed and leaves nothing else (:meth:`WriterLock.withdraw`).
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
from colstore.store.files import NOT_THROUGH_LINKS, make_folder, overwrite, storage_errors
from colstore.store.format import LOCK
from colstore.store.strict_json import parse_object

_RETRY_SECONDS = 0.05
_NOTE_BYTES = 1000


class WriterLock:
    """Holds the writer lock of an index until :meth:`close`.

    Parameters
    ----------
    directory
        Of the index; made when missing.
    wait
        Seconds to wait for another writer; 0 asks once.

    Raises
    ------
    IndexLockedError
        Another writer, in this process or another, holds it; says which.

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
        from socket import gethostname  # readers have no use for it

        note = {"pid": self._process, "host": gethostname()}
        try:
            with suppress(StorageError):  # the note is only for messages: a full disk must not stop a clean-up
                overwrite(self._descriptor, json.dumps(note).encode(), self.path)
        except BaseException:  # Ctrl-C: nobody has this object yet, so nobody else could let go
            self.close()
            raise

    @property
    def held(self) -> bool:
        """Whether this object, in this process, still holds the lock."""
        return self._descriptor is not None

    def close(self) -> None:
        """Release the lock. In a forked child this only lets go of the child's copy."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                if os.getpid() == self._process:
                    with suppress(OSError):  # closing releases it, too, unless a forked child holds a copy
                        fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:
                os.close(descriptor)

    def withdraw(self) -> None:
        """Release the lock, and remove its file and the folder if nothing else is in it: nothing came of the work.

        Only for whoever made the folder. A writer that waits meanwhile finds the file gone, and asks anew.
        """
        if self._descriptor is not None:
            with suppress(OSError):
                if [entry.name for entry in self.path.parent.iterdir()] == [LOCK]:
                    self.path.unlink()
                    self.path.parent.rmdir()
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
        """Return a locked descriptor; ``None`` if another holds the lock or the file was just replaced."""
        new = not self.path.parent.exists()
        make_folder(self.path.parent)
        with storage_errors(self.path, "locking"), self._leaving_nothing(new):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | NOT_THROUGH_LINKS, 0o666)
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
    def _leaving_nothing(self, new: bool) -> Iterator[None]:
        """Where locking fails (a file system without locks, say), remove the folder that was made for it."""
        try:
            yield
        except OSError:
            with suppress(OSError):
                if new and not self.path.stat().st_size:  # whoever holds a lock has written a note
                    self.path.unlink()
            with suppress(OSError):
                if new:
                    self.path.parent.rmdir()
            raise

    def _message(self) -> str:
        try:
            note = parse_object(self.path.read_bytes()[:_NOTE_BYTES])
            holder = f"process {note.get('pid')} on {note.get('host')}"
        except (CorruptIndexError, OSError):  # the note is only for this message
            holder = "another process"
        return (
            f"{self.path.parent}: {holder} is writing to this index; wait until it is done (a dead "
            "process's lock is released by itself)"
        )


_open_locks: weakref.WeakSet[WriterLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    # A forked child shares the open file; if it kept the descriptor, the lock would outlive the parent.
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_forget_in_child)
