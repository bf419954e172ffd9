"""One writer at a time, across processes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from colstore.errors import IndexLockedError, StorageError
from colstore.store import WriterLock

HOLDER = """
import sys
from pathlib import Path
from colstore.store import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


def start_holder(directory: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_another_process_is_named_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    with start_holder(tmp_path) as process:
        with pytest.raises(IndexLockedError, match=f"process {process.pid} on .* is writing"):
            WriterLock(tmp_path)
        process.kill()
        process.wait()
    with WriterLock(tmp_path) as lock:
        assert lock.held


def test_a_writer_may_wait(tmp_path: Path) -> None:
    first = WriterLock(tmp_path)
    threading.Timer(0.2, first.close).start()
    start = time.monotonic()
    with WriterLock(tmp_path, wait=20) as second:
        assert second.held
    assert time.monotonic() - start >= 0.1
    assert not first.held


def test_a_second_lock_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with WriterLock(tmp_path) as lock:
        with pytest.raises(IndexLockedError, match=f"process {os.getpid()}"):
            WriterLock(tmp_path, wait=0.12)
        assert lock.held
    lock.close()
    WriterLock(tmp_path).close()


def test_the_note_in_the_lock_file_is_only_for_the_message(tmp_path: Path) -> None:
    (tmp_path / "LOCK").write_bytes(b"\xff garbage")
    with WriterLock(tmp_path):
        (tmp_path / "LOCK").write_bytes(b"\xff garbage")
        with pytest.raises(IndexLockedError, match="another process is writing"):
            WriterLock(tmp_path)


def test_a_replaced_lock_file_is_not_mistaken_for_the_lock(tmp_path: Path) -> None:
    with WriterLock(tmp_path):
        (tmp_path / "LOCK").unlink()
        with WriterLock(tmp_path) as second:
            assert second.held


FORKER = """
import os, sys, time
from pathlib import Path
from colstore.store import WriterLock
from colstore.errors import IndexLockedError, StorageError
directory = Path(sys.argv[1])
lock = WriterLock(directory)
ready, done = os.pipe(), os.pipe()
if os.fork() == 0:
    assert not lock.held
    lock.close()
    os.write(ready[1], b"x")
    os.read(done[0], 1)
    os._exit(0)
os.read(ready[0], 1)
try:
    WriterLock(directory)
    print("the child released the lock")
except IndexLockedError:
    print("still held")
lock.close()
WriterLock(directory).close()
print("free while the child lives")
os.write(done[1], b"x")
os.wait()
"""


def test_a_forked_child_neither_holds_nor_releases_the_lock(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FORKER, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.splitlines() == ["still held", "free while the child lives"]


@pytest.mark.parametrize("there", [False, True])
def test_where_locks_are_not_to_be_had_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """As on some network file systems."""

    def refusing(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    folder = tmp_path / "x.colstore"
    if there:
        folder.mkdir()
    monkeypatch.setattr("fcntl.flock", refusing)
    with pytest.raises(StorageError, match=r"locking.*No locks available"):
        WriterLock(folder)
    assert folder.exists() == there
