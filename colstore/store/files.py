"""Every change to the disk that colstore makes: write beside, fsync, rename, fsync the folder.

All mutating calls go through this module, so that a test can fail or stop any of them. A failed fsync is
never retried: the kernel may have marked the lost pages clean, so a second fsync would lie. The file is
abandoned.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from colstore.errors import StorageError
from colstore.store.format import temporary_name

Buffer = bytes | bytearray | memoryview
NOT_THROUGH_LINKS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
"""Flags for files that are changed in place: an index from a stranger may hold links to files of its reader."""

_REASONS = {
    errno.ENOSPC: "the disk is full: free some space and run this again",
    errno.EDQUOT: "your disk quota is used up: free some space and run this again",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ELOOP: "it is a link, where colstore writes ordinary files only: remove it",
    errno.EIO: "the disk reported an I/O error: check its health before trying again",
}
_LINKS_UNSUPPORTED = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


@contextmanager
def storage_errors(path: Path, doing: str) -> Iterator[None]:
    """Map an :class:`OSError` to :class:`StorageError`, saying what remains; ``FileExistsError`` passes."""
    try:
        yield
    except (FileExistsError, StorageError):
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        mapped = StorageError(f"{doing} {path}: {reason}. What was committed before is untouched.")
        mapped.errno = error.errno
        raise mapped from error


class Beside:
    """A file written under a temporary name in the folder where it belongs.

    Leaving the ``with`` block without :meth:`publish` (or :meth:`publish_exclusive`) removes it.

    Parameters
    ----------
    target
        Where the file will be found once it is published. Its folder must exist.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(temporary_name(target.name))
        self.size = 0
        self._temporary = True
        with storage_errors(self.path, "creating"):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
            self._descriptor: int | None = os.open(self.path, flags, 0o666)

    @property
    def descriptor(self) -> int:
        """File descriptor, open for reading and writing."""
        if self._descriptor is None:
            raise ValueError(f"{self.path} is closed")
        return self._descriptor

    def append(self, data: Buffer) -> None:
        """Write at the end."""
        self.write_at(self.size, data)

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write at a byte offset; a gap before it reads as zeros."""
        view = memoryview(data).cast("B")
        with storage_errors(self.target, "writing"):
            done = 0
            while done < len(view):
                written = os.pwrite(self.descriptor, view[done:], offset + done)
                if not written:  # no file system of ours does that; trying for ever would be worse
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                done += written
        self.size = max(self.size, offset + len(view))

    def resize(self, size: int) -> None:
        """Set the length, cutting or adding zeros."""
        with storage_errors(self.target, "resizing"):
            os.ftruncate(self.descriptor, size)
        self.size = size

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` of the bytes written so far, from a byte offset."""
        with storage_errors(self.path, "reading"):
            return os.pread(self.descriptor, count, offset)

    def sync(self) -> None:
        """Force the content to the disk, once."""
        with storage_errors(self.target, "syncing"):
            fsync(self.descriptor)

    def publish(self) -> None:
        """Sync, rename to the target (replacing what is there), sync the folder."""
        self.sync()
        with storage_errors(self.target, "renaming to"):
            self.path.replace(self.target)
        self._temporary = False
        fsync_folder(self.target.parent)

    def publish_exclusive(self) -> None:
        """Sync, then give the file its final name unless that is taken.

        Raises
        ------
        FileExistsError
            Somebody else was first; the file that is there is untouched.
        """
        self.sync()
        link_exclusive(self.path, self.target)
        fsync_folder(self.target.parent)

    def close(self) -> None:
        """Close, and remove the temporary name if it is still there."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
        if self._temporary:
            self._temporary = False
            # What cannot be removed now is removed by cleanup: its name says that it is temporary.
            with suppress(OSError):
                self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_file(target: Path, data: Buffer) -> None:
    """Write a whole file durably, replacing what is there in one step."""
    with Beside(target) as file:
        file.append(data)
        file.publish()


def link_exclusive(source: Path, target: Path) -> None:
    """Give a file a second name, unless that name is taken.

    Where the file system has no hard links this checks and renames, which is only exclusive under the
    writer lock.

    Raises
    ------
    FileExistsError
        The name is taken.
    """
    with storage_errors(target, "linking"):
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in _LINKS_UNSUPPORTED:
                raise
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
            source.rename(target)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where missing, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with storage_errors(folder, "making the folder"):
        with suppress(FileExistsError):
            folder.mkdir()
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file is in the way", str(folder))
    fsync_folder(folder.parent)


def sync_own_name(folder: Path) -> None:
    """Force a folder's own name to the disk: whoever made it may have died before that.

    Nothing happens where the folder above must not be read; then somebody else made this one.
    """
    try:
        fsync_folder(folder.resolve().parent)
    except StorageError as error:
        if error.errno not in (errno.EACCES, errno.EPERM):
            raise


def remove(path: Path) -> None:
    """Remove a file; one that is already gone is fine."""
    with storage_errors(path, "removing"), suppress(FileNotFoundError):
        path.unlink()


def remove_empty_folder(folder: Path) -> bool:
    """Remove a folder if nothing is in it, and tell whether it was."""
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def overwrite(descriptor: int, data: bytes, path: Path) -> None:
    """Replace the content of an open file, without durability (for notes such as the lock's owner)."""
    with storage_errors(path, "writing"):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, data, 0)


def write_over(path: Path, data: bytes) -> None:
    """Write the beginning of a file in place, without durability; a link is not followed."""
    with storage_errors(path, "writing"):
        flags = os.O_WRONLY | os.O_CREAT | NOT_THROUGH_LINKS | getattr(os, "O_NONBLOCK", 0)  # a pipe does not block
        descriptor = os.open(path, flags, 0o666)
        try:
            os.pwrite(descriptor, data, 0)
        finally:
            os.close(descriptor)


def fsync(descriptor: int) -> None:
    """Force a file's content to the disk (past the drive's own cache on macOS)."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def fsync_folder(folder: Path) -> None:
    """Force a folder's names to the disk."""
    with storage_errors(folder, "syncing the folder"):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # file systems without folder fsync say EINVAL; others mean it
                raise
        finally:
            os.close(descriptor)
