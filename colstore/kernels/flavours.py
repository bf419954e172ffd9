"""Which flavour of the byte product to use: the fastest that the processor has and that computes it right.

No machine of ours has every processor, so a flavour is tried on a small random product before it is trusted.
The outcome is kept beside the kernels: the trial costs once, not in every process.
"""

from __future__ import annotations

import functools
import os
import warnings

import numpy as np

from colstore.errors import ConfigError
from colstore.kernels import cache
from colstore.kernels.jit import kernel
from colstore.kernels.layout import TRIAL_DIM, TRIAL_LANES, TRIAL_ROWS, byte_layout
from colstore.kernels.processor import available_flavours


@functools.cache
def flavour() -> str:
    """Return the byte product to use: ``"vnni512"``, ``"vnni256"``, ``"avx2"`` or ``"portable"``.

    ``$COLSTORE_KERNELS`` chooses one.

    Raises
    ------
    ConfigError
        ``$COLSTORE_KERNELS`` names one that this processor does not have.
    """
    available = available_flavours()
    wanted = os.environ.get("COLSTORE_KERNELS")
    if not wanted:
        return next(name for name in available if is_right(name))
    if wanted not in available:
        raise ConfigError(f"COLSTORE_KERNELS={wanted}: this processor has {', '.join(available)}")
    return wanted


def is_right(name: str) -> bool:
    """Return whether a flavour computes what it should; warn if it does not."""
    if name == "portable":
        return True
    key = f"trial-flavour={name}"
    outcome = cache.read(key)
    if outcome is None:
        outcome = b"right" if _try(name) else b"wrong"
        cache.write(key, outcome)
    if outcome != b"right":
        warnings.warn(f"the {name} kernels do not work here: slower ones are used", RuntimeWarning, stacklevel=3)
    return outcome == b"right"


def _try(name: str) -> bool:
    """Compare a product of small codes, and one of codes up to the largest, with numpy's."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 16, (TRIAL_ROWS, TRIAL_DIM), dtype=np.uint8)
    large = generator.integers(0, 127, (TRIAL_ROWS, TRIAL_DIM), dtype=np.uint8)
    lanes = generator.integers(-127, 128, (TRIAL_LANES, TRIAL_DIM), dtype=np.int8)
    sums = np.zeros((2, TRIAL_ROWS, TRIAL_LANES), np.int32)
    layout = byte_layout(lanes)
    flush = 8  # groups whose sums of pairs never exceed 16 bits: 8 * 2 * 15 * 127 = 30,480
    try:
        run = kernel("product", flavour=name)
    except ConfigError:
        return False
    run(
        small.ctypes.data,
        large.ctypes.data,
        layout.ctypes.data,
        flush,
        sums[0].ctypes.data,
        sums[1].ctypes.data,
    )
    expected = np.stack([small, large]).astype(np.int64) @ lanes.astype(np.int64).T
    return bool((sums == expected).all())
