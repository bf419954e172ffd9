"""All changes to the disk: write to a temporary file, fsync it, rename it, fsync the folder.

Every mutating call goes through this module, so that a test can fail or interrupt any of them. A failed fsync is
never retried: the kernel may have marked the lost pages as clean, so a second fsync would report a false success.
The file is abandoned instead.
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
NO_FOLLOW = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
"""Flags for files that are changed in place: an index from an untrusted source may hold links to the user's files."""

_REASONS = {
    errno.ENOSPC: "the disk is full: free some space and run this again",
    errno.EDQUOT: "your disk quota is used up: free some space and run this again",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ELOOP: "it is a symbolic link, but colstore only writes regular files: remove the link",
    errno.EIO: "the disk reported an I/O error: check its health before trying again",
}
_LINKS_UNSUPPORTED = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


@contextmanager
def storage_errors(path: Path, action: str) -> Iterator[None]:
    """Map an :class:`OSError` to a :class:`StorageError`; a ``FileExistsError`` is not mapped.

    Parameters
    ----------
    path
        File or folder that is worked on.
    action
        Start of the error message, such as ``"writing"``.
    """
    try:
        yield
    except (FileExistsError, StorageError):
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        mapped = StorageError(f"{action} {path}: {reason}. Earlier commits are not affected.")
        mapped.errno = error.errno
        raise mapped from error


class AtomicFile:
    """A file that is written under a temporary name in its final folder and renamed once it is complete.

    Leaving the ``with`` block without a call of :meth:`publish` or :meth:`publish_exclusive` removes the file.

    Parameters
    ----------
    target
        Final path of the file. Its folder must exist.
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
        """Write at the end of the file."""
        self.write_at(self.size, data)

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write at a byte offset; a gap before the offset reads as zeros."""
        view = memoryview(data).cast("B")
        with storage_errors(self.target, "writing"):
            written = 0
            while written < len(view):
                count = os.pwrite(self.descriptor, view[written:], offset + written)
                if not count:  # no known file system does this, but an endless loop would be worse
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written += count
        self.size = max(self.size, offset + len(view))

    def resize(self, size: int) -> None:
        """Set the size in bytes: truncate the file, or extend it with zeros."""
        with storage_errors(self.target, "resizing"):
            os.ftruncate(self.descriptor, size)
        self.size = size

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` of the bytes written so far, starting at a byte offset."""
        with storage_errors(self.path, "reading"):
            return os.pread(self.descriptor, count, offset)

    def sync(self) -> None:
        """Flush the content to the disk."""
        with storage_errors(self.target, "syncing"):
            fsync(self.descriptor)

    def publish(self) -> None:
        """Sync the file, rename it to the target (replacing an existing file), and sync the folder."""
        self.sync()
        with storage_errors(self.target, "renaming to"):
            self.path.replace(self.target)
        self._temporary = False
        fsync_folder(self.target.parent)

    def publish_exclusive(self) -> None:
        """Sync the file and give it its final name, unless a file of that name exists.

        Raises
        ------
        FileExistsError
            A file of that name exists. It is not changed.
        """
        self.sync()
        link_exclusive(self.path, self.target)
        fsync_folder(self.target.parent)

    def close(self) -> None:
        """Close the file, and remove it if it was not published."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
        if self._temporary:
            self._temporary = False
            # Cleanup recognises the temporary name, and removes later what cannot be removed now.
            with suppress(OSError):
                self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_file(target: Path, data: Buffer) -> None:
    """Write a whole file durably, replacing an existing file atomically."""
    with AtomicFile(target) as file:
        file.append(data)
        file.publish()


def link_exclusive(source: Path, target: Path) -> None:
    """Give a file a second name, unless a file of that name exists.

    On a file system without hard links this checks for the name and then renames the file, which is exclusive
    only under the writer lock.

    Raises
    ------
    FileExistsError
        A file of that name exists.
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
    """Create a folder and its missing parents durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with storage_errors(folder, "creating the folder"):
        with suppress(FileExistsError):
            folder.mkdir()
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file is in the way", str(folder))
    fsync_folder(folder.parent)


def sync_own_name(folder: Path) -> None:
    """Flush a folder's own name to the disk: the process that created it may have crashed before doing so.

    Nothing happens if permission to read the parent folder is denied: then another user created this folder.
    """
    try:
        fsync_folder(folder.resolve().parent)
    except StorageError as error:
        if error.errno not in (errno.EACCES, errno.EPERM):
            raise


def remove(path: Path) -> None:
    """Remove a file. A file that does not exist is not an error."""
    with storage_errors(path, "removing"), suppress(FileNotFoundError):
        path.unlink()


def remove_empty_folder(folder: Path) -> bool:
    """Remove a folder if it is empty, and return whether it was removed."""
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def overwrite(descriptor: int, data: bytes, path: Path) -> None:
    """Replace the content of an open file without durability, for notes such as the owner of the lock."""
    with storage_errors(path, "writing"):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, data, 0)


def write_in_place(path: Path, data: bytes) -> None:
    """Write at the beginning of a file in place, without durability. Symbolic links are not followed."""
    with storage_errors(path, "writing"):
        flags = os.O_WRONLY | os.O_CREAT | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)  # so that a pipe does not block
        descriptor = os.open(path, flags, 0o666)
        try:
            os.pwrite(descriptor, data, 0)
        finally:
            os.close(descriptor)


def fsync(descriptor: int) -> None:
    """Flush a file's content to the disk (on macOS past the drive's own cache, too)."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def fsync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    with storage_errors(folder, "syncing the folder"):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: the file system does not support fsync of a folder
                raise
        finally:
            os.close(descriptor)
