"""Where the bytes of an array lie: what kernels are given instead of arrays."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def slow_address(array: NDArray[Any]) -> int:
    """Return the address that the array tells."""
    place: int = array.__array_interface__["data"][0]
    return place


def quick_address(array: NDArray[Any]) -> int:
    """Read the field ``data`` of numpy's C struct, which follows Python's object header and is part of its ABI.

    A sixth of the time of the public ways, each of which makes some objects; a search asks a hundred times.
    """
    return ctypes.c_size_t.from_address(id(array) + object.__basicsize__).value


def quick_is_right() -> bool:
    """Tell whether this interpreter lays objects out so."""
    arrays: list[NDArray[Any]] = [np.zeros(3, np.float32), np.zeros((4, 4), np.uint8)[1:]]
    return sys.implementation.name == "cpython" and all(quick_address(a) == slow_address(a) for a in arrays)


address = quick_address if quick_is_right() else slow_address
"""Where an array's bytes lie."""
