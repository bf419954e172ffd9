"""The kernel cache: what is written comes back, and nothing that could be somebody else's does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from colstore.errors import KernelCacheWarning
from colstore.kernels import cache
from tests.kernels.conftest import Forget


@pytest.fixture
def cached(folder: Path) -> Path:
    """Return the one file of a cache that keeps ``b"code"`` as ``"key"``."""
    cache.write("key", b"code")
    (file,) = folder.iterdir()
    assert cache.read("key") == b"code"
    return file


def test_nothing_is_kept_at_first(folder: Path) -> None:
    assert cache.read("key") is None


def test_only_the_user_can_read_and_write(cached: Path) -> None:
    assert cached.stat().st_mode & 0o077 == 0
    assert cached.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(cached: Path, mode: int) -> None:
    cached.chmod(mode)
    assert cache.read("key") is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users have no numbers here")
def test_a_file_of_somebody_else_is_refused(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: cached.stat().st_uid + 1)
    assert cache.read("key") is None


@pytest.mark.parametrize("position", [0, 31, 32, -1])
def test_one_changed_byte_is_noticed(cached: Path, position: int) -> None:
    data = bytearray(cached.read_bytes())
    data[position] ^= 1
    cached.write_bytes(data)
    assert cache.read("key") is None


@pytest.mark.parametrize("length", [0, 10, 32, 35])
def test_a_cut_file_is_noticed(cached: Path, length: int) -> None:
    cached.write_bytes(cached.read_bytes()[:length])
    assert cache.read("key") is None


def test_a_file_under_another_name_is_refused(cached: Path) -> None:
    cached.rename(cached.with_name(cached.name.replace("key", "other")))
    assert cache.read("other") is None


def test_a_folder_or_a_pipe_in_its_place_is_no_file(cached: Path) -> None:
    cached.unlink()
    cached.mkdir()
    assert cache.read("key") is None
    with pytest.warns(KernelCacheWarning):
        cache.write("key", b"code")  # cannot replace the folder
    (own_temporary(cached.parents[2]) / cached.name).unlink()
    cached.rmdir()
    os.mkfifo(cached)
    assert cache.read("key") is None
    assert [path.name for path in cached.parent.iterdir()] == [cached.name]


def test_writing_replaces_what_was_there(cached: Path) -> None:
    cached.write_bytes(b"broken")
    cache.write("key", b"new")
    assert cache.read("key") == b"new"
    assert list(cached.parent.iterdir()) == [cached]


def own_temporary(tmp_path: Path) -> Path:
    return tmp_path / "temporary" / f"colstore-kernels-{os.getuid()}"


@pytest.fixture
def unusable(tmp_path: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the temporary folder that takes the place of a cache that cannot be made."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("COLSTORE_CACHE", str(tmp_path / "file" / "cache"))
    return own_temporary(tmp_path)


def test_a_private_temporary_folder_takes_the_place_of_one_that_cannot_be_used(unusable: Path, forget: Forget) -> None:
    with pytest.warns(KernelCacheWarning, match=r"kept in .*colstore-kernels-\d+; set COLSTORE_CACHE"):
        cache.write("key", b"code")
    cache.write("other", b"more")  # said once
    assert unusable.stat().st_mode & 0o777 == 0o700
    forget()
    assert cache.read("key") == b"code"
    assert cache.read("other") == b"more"


@pytest.mark.parametrize("what", ["a link", "for others", "a file", "of somebody else"])
def test_a_temporary_folder_that_is_not_private_is_not_used(
    unusable: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "a link":
        (unusable.parent / "theirs").mkdir()
        unusable.symlink_to(unusable.parent / "theirs")
    elif what == "for others":
        unusable.mkdir()
        unusable.chmod(0o777)
    elif what == "a file":
        unusable.touch()
    else:
        stranger = os.getuid() + 1
        (unusable.parent / f"colstore-kernels-{stranger}").mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: stranger)
    with pytest.warns(KernelCacheWarning, match="compiled again in every process; set COLSTORE_CACHE"):
        cache.write("key", b"code")
    assert cache.read("key") is None
    assert not list(unusable.parent.rglob("*key*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_read(cached: Path) -> None:
    cached.parent.chmod(0o500)
    try:
        with pytest.warns(KernelCacheWarning):
            cache.write("other", b"code")
        assert cache.read("other") == b"code"
        assert cache.read("key") == b"code"
    finally:
        cached.parent.chmod(0o700)


def test_a_user_without_a_home(forget: Forget, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("COLSTORE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.warns(KernelCacheWarning, match=r"~/\.cache/colstore/kernels cannot be written"):
        cache.write("key", b"code")
    assert cache.read("key") == b"code"


def test_the_usual_place_is_below_the_user_s_cache(
    tmp_path: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLSTORE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.write("key", b"code")
    assert len(list((tmp_path / "colstore" / "kernels").iterdir())) == 1
