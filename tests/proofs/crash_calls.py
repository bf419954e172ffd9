"""A layer over every call with which this process changes files below a folder: it counts, records and fails them.

colstore writes through the functions of :mod:`os` alone (libhdf5 only draws layouts in memory), so that replacing
these few functions sees everything; ``test_the_layer_sees_what_the_kernel_sees`` holds that against strace.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Fault = Literal["kill", "ENOSPC", "EIO", "short", "short-kill"]

BY_DESCRIPTOR = ("pwrite", "write", "ftruncate", "fsync", "fdatasync")
BY_PATH = ("unlink", "remove", "rmdir", "mkdir", "truncate")
BY_TWO_PATHS = ("link", "rename", "replace", "symlink")
WRITING_FLAGS = os.O_CREAT | os.O_TRUNC
FREEING = ("unlink", "remove", "rmdir")
"""A full disk lets these pass."""


@dataclass(frozen=True, slots=True)
class Call:
    """One mutating call: its name, what it is about relative to the folder, and, of writes, offset and bytes."""

    name: str
    path: str
    target: str = ""
    offset: int = 0
    data: bytes = b""
    handle: int = 0
    """Of calls on an open file or folder: which ``open`` it came from."""


Before = Callable[[Call], "int | None"]
"""Called before each mutating call. Raises to fail it; a number stands for the result of a write that was not made."""


class Calls:
    """Watches the mutating calls below ``root`` while it is entered.

    Parameters
    ----------
    root
        Calls elsewhere pass unseen.
    before
        Called with each.
    real_sync
        Whether fsync really reaches the disk; it need not where only processes die.
    """

    def __init__(self, root: Path, before: Before | None = None, *, real_sync: bool = False) -> None:
        self.root = os.fspath(root.resolve())
        self.seen: list[Call] = []
        self._before = before
        self._real_sync = real_sync
        self._open: dict[int, tuple[str, int]] = {}
        self._handles = 0
        self._process = os.getpid()

    @contextmanager
    def watching(self) -> Iterator[Calls]:
        """Replace the functions, and put them back."""
        real: dict[str, Any] = {name: getattr(os, name) for name in ("open", "close", *BY_DESCRIPTOR)}
        real |= {name: getattr(os, name) for name in (*BY_PATH, *BY_TWO_PATHS)}
        real_flock = fcntl.flock
        try:
            os.open = self._opening(real["open"])
            os.close = self._closing(real["close"])
            for name in BY_DESCRIPTOR:
                setattr(os, name, self._on_descriptor(name, real[name]))
            for name in BY_PATH:
                setattr(os, name, self._on_path(name, real[name]))
            for name in BY_TWO_PATHS:
                setattr(os, name, self._on_two_paths(name, real[name]))
            fcntl.flock = self._on_descriptor("flock", real_flock)
            yield self
        finally:
            for name, function in real.items():
                setattr(os, name, function)
            fcntl.flock = real_flock

    def _relative(self, path: Any) -> str | None:
        if isinstance(path, int):
            return None
        text = os.path.abspath(os.fspath(path))  # noqa: PTH100 - links must not be followed
        if text == self.root:
            return "."
        return text[len(self.root) + 1 :] if text.startswith(self.root + os.sep) else None

    def _note(self, call: Call) -> int | None:
        self.seen.append(call)
        return None if self._before is None else self._before(call)

    def _opening(self, real: Any) -> Any:
        def opening(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            place = self._relative(path)
            if place is None:
                return int(real(path, flags, *rest, **named))
            self._handles += 1
            handle = self._handles
            if flags & WRITING_FLAGS:
                self._note(Call("open", place, handle=handle))
            descriptor = int(real(path, flags, *rest, **named))
            self._open[descriptor] = (place, handle)
            return descriptor

        return opening

    def _closing(self, real: Any) -> Any:
        def closing(descriptor: int) -> None:
            self._open.pop(descriptor, None)
            real(descriptor)

        return closing

    def _on_descriptor(self, name: str, real: Any) -> Any:
        def calling(descriptor: Any, *arguments: Any) -> Any:
            place = self._open.get(descriptor)
            if place is None:
                return real(descriptor, *arguments)
            data, offset = b"", 0
            if name in ("pwrite", "write"):
                data = bytes(arguments[0])
                offset = arguments[1] if name == "pwrite" else os.lseek(descriptor, 0, os.SEEK_CUR)
            elif name == "ftruncate":
                offset = arguments[0]
            instead = self._note(Call(name, place[0], offset=offset, data=data, handle=place[1]))
            if instead is not None:
                return real(descriptor, data[:instead], offset)
            if name in ("fsync", "fdatasync") and not self._real_sync:
                return None
            return real(descriptor, *arguments)

        return calling

    def _on_path(self, name: str, real: Any) -> Any:
        def calling(path: Any, *arguments: Any, **named: Any) -> Any:
            place = self._relative(path)
            if place is not None:
                self._note(Call(name, place))
            return real(path, *arguments, **named)

        return calling

    def _on_two_paths(self, name: str, real: Any) -> Any:
        def calling(source: Any, target: Any, *arguments: Any, **named: Any) -> Any:
            places = self._relative(source), self._relative(target)
            if places[0] is not None or places[1] is not None:
                self._note(Call(name, places[0] or "", places[1] or ""))
            return real(source, target, *arguments, **named)

        return calling


def failing(fault: Fault, at: int) -> Before:
    """Return what makes call number ``at`` (from 1) fail.

    ``kill`` ends the process before the call, ``EIO`` fails it once, ``ENOSPC`` fails it and all later ones but those
    that free space, ``short`` writes half of the bytes and then the disk is full, ``short-kill`` writes half and ends
    the process before the next call.
    """
    count = 0

    def before(call: Call) -> int | None:
        nonlocal count
        count += 1
        if count < at:
            return None
        first = count == at
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "EIO" and first:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if fault == "ENOSPC" and (first or call.name not in (*FREEING, "flock")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if fault in ("short", "short-kill"):
            if first and len(call.data) > 1:
                return len(call.data) // 2
            if fault == "short-kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if call.name not in (*FREEING, "flock"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return None

    return before
