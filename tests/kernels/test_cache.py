"""The kernel cache: what is written comes back, and nothing that could be somebody else's does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from colstore.kernels import cache
from tests.kernels.conftest import Forget


@pytest.fixture
def kept(folder: Path) -> Path:
    """Return the one file of a cache that keeps ``b"code"`` as ``"key"``."""
    cache.write("key", b"code")
    (file,) = folder.iterdir()
    assert cache.read("key") == b"code"
    return file


def test_nothing_is_kept_at_first(folder: Path) -> None:
    assert cache.read("key") is None


def test_only_the_user_can_read_and_write(kept: Path) -> None:
    assert kept.stat().st_mode & 0o077 == 0
    assert kept.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(kept: Path, mode: int) -> None:
    kept.chmod(mode)
    assert cache.read("key") is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users have no numbers here")
def test_a_file_of_somebody_else_is_refused(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: kept.stat().st_uid + 1)
    assert cache.read("key") is None


@pytest.mark.parametrize("position", [0, 31, 32, -1])
def test_one_changed_byte_is_noticed(kept: Path, position: int) -> None:
    data = bytearray(kept.read_bytes())
    data[position] ^= 1
    kept.write_bytes(data)
    assert cache.read("key") is None


@pytest.mark.parametrize("length", [0, 10, 32, 35])
def test_a_cut_file_is_noticed(kept: Path, length: int) -> None:
    kept.write_bytes(kept.read_bytes()[:length])
    assert cache.read("key") is None


def test_a_file_under_another_name_is_refused(kept: Path) -> None:
    kept.rename(kept.with_name(kept.name.replace("key", "other")))
    assert cache.read("other") is None


def test_a_folder_or_a_pipe_in_its_place_is_no_file(kept: Path) -> None:
    kept.unlink()
    kept.mkdir()
    assert cache.read("key") is None
    cache.write("key", b"code")  # cannot replace the folder, and says nothing
    kept.rmdir()
    os.mkfifo(kept)
    assert cache.read("key") is None
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_writing_replaces_what_was_there(kept: Path) -> None:
    kept.write_bytes(b"broken")
    cache.write("key", b"new")
    assert cache.read("key") == b"new"
    assert list(kept.parent.iterdir()) == [kept]


def test_a_place_that_cannot_be_used_keeps_nothing(
    tmp_path: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("COLSTORE_CACHE", str(tmp_path / "file" / "cache"))
    cache.write("key", b"code")
    assert cache.read("key") is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_keeps_nothing_new(kept: Path) -> None:
    kept.parent.chmod(0o500)
    try:
        cache.write("other", b"code")
        assert cache.read("other") is None
        assert cache.read("key") == b"code"
    finally:
        kept.parent.chmod(0o700)


def test_a_user_without_a_home_has_no_cache(forget: Forget, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("COLSTORE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    cache.write("key", b"code")
    assert cache.read("key") is None


def test_the_usual_place_is_below_the_user_s_cache(
    tmp_path: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLSTORE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.write("key", b"code")
    assert len(list((tmp_path / "colstore" / "kernels").iterdir())) == 1
