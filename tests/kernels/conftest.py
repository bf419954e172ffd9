"""A kernel cache of a test's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from colstore.kernels import cache, flavours, jit, processor

Forget = Callable[[], None]


@pytest.fixture
def forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forget]:
    """Return what makes this process forget kernels and choices, as a new process would know none."""
    loaded: dict[tuple[object, ...], jit.Kernel] = {}
    monkeypatch.setattr(jit, "_loaded", loaded)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def forget_all() -> None:
        loaded.clear()
        for choice in (cache._warn_once, flavours.flavour, processor.fingerprint):
            choice.cache_clear()

    forget_all()
    yield forget_all
    forget_all()


@pytest.fixture
def folder(tmp_path: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an empty cache that this test uses."""
    monkeypatch.setenv("COLSTORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"
