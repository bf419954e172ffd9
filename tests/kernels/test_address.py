"""Where arrays lie, read from numpy's own struct, is what numpy says."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.kernels import address


def arrays(folder: Path) -> dict[str, NDArray[np.generic]]:
    whole = np.arange(60, dtype=np.uint8).reshape(6, 10)
    (folder / "mapped").write_bytes(bytes(8192))
    with (folder / "mapped").open("rb") as file:
        mapped = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    return {
        "own": whole,
        "rows of another": whole[2:],
        "empty": whole[:0],
        "other type": whole.view(np.int8),
        "read-only": np.frombuffer(b"12345678", np.int64),
        "mapped": mapped[4096:],
        "scalar": np.array(1.0),
        "record": np.zeros(3, [("a", "f4"), ("b", "i8")]),
    }


@pytest.mark.parametrize("quick", [address.quick_address, address.address], ids=["quick", "chosen"])
def test_the_address_is_what_numpy_says(tmp_path: Path, quick: object) -> None:
    assert callable(quick)
    for name, array in arrays(tmp_path).items():
        assert quick(array) == array.ctypes.data == address.slow_address(array), name


def test_another_layout_of_objects_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address.quick_address_is_valid()
    monkeypatch.setattr(address, "slow_address", lambda array: array.ctypes.data + 8)
    assert not address.quick_address_is_valid()
