"""Writing beside and renaming; what happens when the disk refuses."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from colstore.errors import CorruptIndexError, MissingFileError, StorageError
from colstore.store import files
from colstore.store.reading import read_file


def failing(code: int) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_file(target, b"one")
    files.write_file(target, b"two")
    assert target.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with files.AtomicFile(tmp_path / "a") as file:
        file.append(b"one")
        assert [path.name for path in tmp_path.iterdir()] == [file.path.name]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        file.append(b"two")


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:3], offset))
    files.write_file(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "disk is full.*Earlier commits are not affected"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "I/O error"),
        (errno.EROFS, "read-only"),
        (errno.EXDEV, "ross-device"),
    ],
)
@pytest.mark.parametrize("call", ["pwrite", "fsync", "open"])
def test_a_refusal_is_named_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, message: str
) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(code))
        with pytest.raises(StorageError, match=message) as caught:
            files.write_file(target, b"new")
    assert caught.value.errno == code
    assert isinstance(caught.value.__cause__, OSError)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_fsync_is_never_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError):
        files.write_file(tmp_path / "a", b"new")
    assert len(calls) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_an_exclusive_name_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EOPNOTSUPP))
    for content in (b"first", b"second"):
        with files.AtomicFile(tmp_path / "a") as file:
            file.append(content)
            if content == b"first":
                file.publish_exclusive()
            else:
                with pytest.raises(FileExistsError):
                    file.publish_exclusive()
    assert (tmp_path / "a").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_that_fails_for_another_reason_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EIO))
    with files.AtomicFile(tmp_path / "a") as file, pytest.raises(StorageError, match="I/O error"):
        file.publish_exclusive()
    assert list(tmp_path.iterdir()) == []


def test_file_systems_without_folder_fsync_are_fine_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    files.fsync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(StorageError):
        files.fsync_folder(tmp_path)


def test_folders_are_made_as_deep_as_needed(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a/b/c")
    files.make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="in the way"):
        files.make_folder(tmp_path / "file/below")


def test_removing_twice_is_fine_and_full_folders_stay(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").write_text("x")
    assert not files.remove_empty_folder(tmp_path / "folder")
    files.remove(tmp_path / "folder/a")
    files.remove(tmp_path / "folder/a")
    assert files.remove_empty_folder(tmp_path / "folder")


def test_only_ordinary_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    assert read_file(tmp_path / "a", 4) == b"1234"
    with pytest.raises(CorruptIndexError, match="4 bytes, where at most 3"):
        read_file(tmp_path / "a", 3)
    with pytest.raises(CorruptIndexError, match="not a regular file"):
        read_file(tmp_path, 3)
    with pytest.raises(MissingFileError):
        read_file(tmp_path / "a/b", 3)
