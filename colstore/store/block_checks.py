"""Checksums of a mapped file's 64 KiB blocks, each compared once, on first use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ChecksumError
from colstore.store.checksums import block_sum
from colstore.store.format import BLOCK_BYTES

SMALL_BLOCKS = 64
"""A file of at most so many blocks (4 MiB) is compared whole on first use: a millisecond."""
_SHIFT = BLOCK_BYTES.bit_length() - 1
Offsets = NDArray[np.int64]


class BlockChecks:
    """Which blocks of a file are known to be right.

    Two threads may check the same block; the second check is wasted, nothing else.

    Parameters
    ----------
    data
        The whole file, shape ``(bytes,)``, uint8.
    load_sums
        Returns the stored sums, shape ``(blocks,)``, uint64; called on first use.
    path
        Of the file, for messages.
    """

    def __init__(self, data: NDArray[np.uint8], load_sums: Callable[[], NDArray[np.uint64]], path: str) -> None:
        self._data = data
        self._load_sums = load_sums
        self._sums: NDArray[np.uint64] | None = None
        self._path = path
        self._good = np.zeros(-(-len(data) // BLOCK_BYTES), dtype=bool)
        self.complete = not len(self._good)
        self._looked = False

    def ensure(self, start: int, stop: int) -> None:
        """Check the blocks that hold the bytes ``start..stop``.

        Raises
        ------
        ChecksumError
            A byte in them changed since it was written.
        """
        if self.complete or start >= stop:
            return
        first, last = start >> _SHIFT, (stop - 1) >> _SHIFT
        part = self._good[first : last + 1]
        if not part.all():
            self._check(first + np.flatnonzero(~part))

    def ensure_spans(self, starts: Offsets, stops: Offsets) -> None:
        """Check the blocks that hold any of the byte ranges ``starts[i]..stops[i]`` (empty: skipped)."""
        if self.complete or not len(starts):
            return
        first = starts >> _SHIFT
        lengths = np.where(stops > starts, ((stops - 1) >> _SHIFT) - first + 1, 0)
        # Blocks of all ranges, one after another: each range counts up from its first block.
        ends = np.cumsum(lengths)
        blocks = np.repeat(first - ends + lengths, lengths) + np.arange(ends[-1])
        if not self._good[blocks].all():
            self._check(np.unique(blocks[~self._good[blocks]]))

    def widened(self, starts: Offsets, stops: Offsets) -> Offsets:
        """Return what will be read of the ranges, ``(2, n)``: the whole of the blocks that are yet to be checked."""
        if self.complete or not len(starts):
            return np.stack([starts, stops])
        first, last = starts >> _SHIFT, np.maximum(stops - 1, starts) >> _SHIFT
        low = np.where(self._good[first], starts, first << _SHIFT)
        high = np.where(self._good[last], stops, np.minimum((last + 1) << _SHIFT, len(self._data)))
        return np.stack([low, high])

    def ensure_all(self) -> None:
        """Check every block."""
        if not self.complete:
            self._check(np.flatnonzero(~self._good))

    def bad_blocks(self) -> list[int]:
        """Return the numbers of the blocks that differ from their sum."""
        sums = self._stored()
        return [i for i in range(len(self._good)) if self._sum(i) != sums[i]]

    def _check(self, blocks: NDArray[np.int64]) -> None:
        sums = self._stored()
        if len(self._good) <= SMALL_BLOCKS and not self._looked:
            # All of a small file at once, so that later calls have nothing to look up; what is bad and not asked for
            # is no error yet.
            self._looked = True
            for block in range(len(self._good)):
                self._good[block] = self._sum(block) == sums[block]
            blocks = blocks[~self._good[blocks]]
        for block in blocks.tolist():
            if self._sum(block) != sums[block]:
                raise ChecksumError(
                    f"bytes changed since they were written (64 KiB block {block}): `colstore.verify(path)` shows "
                    "how much; restore the file from a copy of the index, or build the index again",
                    file=self._path,
                )
            self._good[block] = True
        self.complete = bool(self._good.all())

    def _sum(self, block: int) -> int:
        return block_sum(self._data[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES].data)

    def _stored(self) -> NDArray[np.uint64]:
        if self._sums is None:
            self._sums = self._load_sums()
        return self._sums
