"""Choice of the flavour of the byte product: the fastest one that the processor supports and that computes correctly.

The flavours cannot be tested on every processor in advance, so a flavour is tried on a small random product before it
is used. The outcome is cached beside the kernels, so that the trial is not repeated in every process.
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
    """Return the flavour of the byte product to use: ``"vnni512"``, ``"vnni256"``, ``"avx2"`` or ``"portable"``.

    The environment variable ``COLSTORE_KERNELS`` overrides the choice.

    Raises
    ------
    ConfigError
        ``COLSTORE_KERNELS`` names a flavour that this processor does not support.
    """
    available = available_flavours()
    requested = os.environ.get("COLSTORE_KERNELS")
    if not requested:
        return next(name for name in available if is_correct(name))
    if requested not in available:
        raise ConfigError(f"COLSTORE_KERNELS={requested}: this processor supports only {', '.join(available)}")
    return requested


def is_correct(name: str) -> bool:
    """Return whether a flavour computes correctly on this processor; warn if it does not."""
    if name == "portable":
        return True
    key = f"trial-flavour={name}"
    outcome = cache.read(key)
    if outcome is None:
        outcome = b"right" if _try(name) else b"wrong"
        cache.write(key, outcome)
    if outcome != b"right":
        message = f"the {name} kernels compute wrong results on this processor: slower kernels are used instead"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    return outcome == b"right"


def _try(name: str) -> bool:
    """Compare two products with those of numpy: one of small codes, and one of codes up to the largest."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 16, (TRIAL_ROWS, TRIAL_DIM), dtype=np.uint8)
    large = generator.integers(0, 127, (TRIAL_ROWS, TRIAL_DIM), dtype=np.uint8)
    lanes = generator.integers(-127, 128, (TRIAL_LANES, TRIAL_DIM), dtype=np.int8)
    sums = np.zeros((2, TRIAL_ROWS, TRIAL_LANES), np.int32)
    layout = byte_layout(lanes)
    flush = 8  # groups whose sums of pairs always fit into 16 bits: 8 * 2 * 15 * 127 = 30,480
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
