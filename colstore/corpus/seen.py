"""A set of ids that have occurred already, in bounded memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from colstore.errors import CorpusError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEMORY_IDS = 50_000
_FILTER_BITS = 32
"""Bits of the filter for each id: of the new ids, 0.4 % are looked up on disk."""
_MAX_FILTER_BITS = 1 << 27
_FENCE = 512
"""Number of hashes between two that are held in memory."""
_RUNS_A_LEVEL = 4
_MERGED_AT_ONCE = 1 << 17
_WIDTH = 3
_MASK = (1 << 64) - 1


class SeenIds:
    """A set of ids that moves to a temporary file once it is large.

    Use it as a context manager, which removes the folder of the file at the end.

    Parameters
    ----------
    memory_ids
        Number of ids that are held in memory before they are written to the file.

    Notes
    -----
    The newest ids are a Python set. Older ones are in a file, and their hashes in sorted runs with their places in that
    file, which are merged as they grow many. A Bloom filter over the hashes (Bloom, 1970) says of nearly all new ids
    that they are new; the others are looked up and compared with the ids themselves, so the set is exact.

    Time for each id, measured on one core: about 0.2 microseconds in memory and 0.8 beyond; 5 to 20 for an id that is
    found on disk. Memory grows by about 10 MB, and by up to 8 bytes for each id, to 16 MB at most.

    Examples
    --------
    >>> with SeenIds() as seen:
    ...     seen.add("d1"), seen.add("d2"), seen.add("d1")
    (True, True, False)
    """

    def __init__(self, memory_ids: int = MEMORY_IDS) -> None:
        self._limit = memory_ids
        self._memory: set[str] = set()
        self._disk: _DiskIds | None = None

    def __enter__(self) -> SeenIds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, identifier: str) -> bool:
        """Add an id, and return whether it is new.

        Raises
        ------
        CorpusError
            The temporary folder is full or not writable.
        """
        memory = self._memory
        if identifier in memory:
            return False
        disk = self._disk
        if disk is not None:
            # the two probes of the filter stand here, because a call would take as long as they do
            code = hash(identifier)
            place = code & disk.mask
            if disk.bits[place >> 3] >> (place & 7) & 1:
                place = (code >> 32) & disk.mask
                if disk.bits[place >> 3] >> (place & 7) & 1 and self._is_on_disk(identifier):
                    return False
        memory.add(identifier)
        if len(memory) > self._limit:
            self._spill()
        return True

    def close(self) -> None:
        """Clear the set and remove its files."""
        if self._disk is not None:
            self._disk.close()
            self._disk = None
        self._memory.clear()

    def _is_on_disk(self, identifier: str) -> bool:
        assert self._disk is not None
        try:
            return identifier in self._disk
        except OSError as error:
            raise _no_room(error) from error

    def _spill(self) -> None:
        try:
            self._disk = self._disk or _DiskIds()
            self._disk.add(self._memory)
        except OSError as error:
            raise _no_room(error) from error
        self._memory.clear()


def _no_room(error: OSError) -> CorpusError:
    folder = tempfile.gettempdir()
    return CorpusError(f"the ids cannot be written in {folder} ({error}): free some space or set TMPDIR")


class _Run:
    """Hashes in ascending order, each with the place of its id.

    Parameters
    ----------
    path
        File of the run: entries of a hash, a place and a number of bytes, each an unsigned integer of 8 bytes.
    fences
        Every ``_FENCE``-th hash.
    size
        Number of entries.
    level
        How often the run was merged.
    """

    def __init__(self, path: Path, fences: NDArray[Any], size: int, level: int) -> None:
        self.fences = fences
        self.size = size
        self.level = level
        self.path = path
        self._file = path.open("rb")

    def position(self, code: int) -> int:
        """Return the number of hashes that are smaller."""
        import numpy as np

        value = np.uint64(code)
        start = max(int(np.searchsorted(self.fences, value)) - 1, 0) * _FENCE
        entries = self.read(start, min(start + _FENCE, self.size))
        return start + int(np.searchsorted(entries[:, 0], value))

    def places(self, code: int) -> list[tuple[int, int]]:
        """Return the place and the number of bytes of each id with this hash."""
        places: list[tuple[int, int]] = []
        for start in range(self.position(code), self.size, _FENCE):
            entries = self.read(start, min(start + _FENCE, self.size))
            places += map(tuple, entries[entries[:, 0] == code, 1:].tolist())
            if entries[-1, 0] != code:
                break
        return places

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return some of the entries, shape ``(stop - start, 3)``."""
        import numpy as np

        return np.frombuffer(_read_at(self._file, 8 * _WIDTH * start, 8 * _WIDTH * (stop - start)), np.uint64).reshape(
            -1, _WIDTH
        )

    def remove(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _DiskIds:
    """Ids in a file, with sorted runs of their hashes and a filter in memory."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="colstore-ids-")
        self._ids = (Path(self._folder.name) / "ids").open("w+b", buffering=0)
        self._size = 0
        self._runs: list[_Run] = []
        self._number = 0
        self._count = 0
        self.bits = bytearray(1)
        self.mask = 7

    def close(self) -> None:
        """Remove the files."""
        for run in self._runs:
            run.close()
        self._ids.close()
        self._folder.cleanup()

    def __contains__(self, identifier: str) -> bool:
        raw = identifier.encode()
        code = hash(identifier) & _MASK
        return any(
            size == len(raw) and _read_at(self._ids, place, size) == raw
            for run in self._runs
            for place, size in run.places(code)
        )

    def add(self, identifiers: set[str]) -> None:
        """Add ids that are new."""
        import numpy as np

        joined = "".join(identifiers)
        raws: Iterable[str | bytes] = identifiers if joined.isascii() else [one.encode() for one in identifiers]
        entries = np.empty((len(identifiers), _WIDTH), np.uint64)
        entries[:, 0] = np.fromiter(map(hash, identifiers), np.int64, len(identifiers)).view(np.uint64)
        entries[:, 2] = np.fromiter(map(len, raws), np.uint64, len(identifiers))
        entries[:, 1] = np.uint64(self._size) + np.cumsum(entries[:, 2], dtype=np.uint64) - entries[:, 2]
        data = joined.encode()
        _write_all(self._ids, data)
        self._size += len(data)
        self._count += len(entries)
        self._runs.append(self._write_run([entries[np.argsort(entries[:, 0])]], 0))
        self._merge()
        self._fit_filter(entries[:, 0])

    def _write_run(self, chunks: Any, level: int) -> _Run:  # noqa: ANN401 - an iterable of arrays
        """Write sorted chunks of entries as a run."""
        import numpy as np

        path = Path(self._folder.name) / f"run-{self._number}"
        self._number += 1
        codes = []
        size = 0
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(np.ascontiguousarray(chunk).tobytes())
                codes.append(chunk[-size % _FENCE :: _FENCE, 0].copy())
                size += len(chunk)
        return _Run(path, np.concatenate(codes), size, level)

    def _merge(self) -> None:
        """Merge the newest runs of one level as long as there are enough of them."""
        while len(self._runs) >= _RUNS_A_LEVEL and len({run.level for run in self._runs[-_RUNS_A_LEVEL:]}) == 1:
            newest = self._runs[-_RUNS_A_LEVEL:]
            merged = self._write_run(_merged(newest), newest[0].level + 1)
            for run in newest:
                run.remove()
            self._runs[-_RUNS_A_LEVEL:] = [merged]

    def _fit_filter(self, new: NDArray[Any]) -> None:
        """Add hashes to the filter, or make a larger one from all runs."""
        import numpy as np

        if len(self.bits) * 8 >= min(self._count * _FILTER_BITS, _MAX_FILTER_BITS):
            self._mark(new)
            return
        size = min(1 << (2 * self._count * _FILTER_BITS - 1).bit_length(), _MAX_FILTER_BITS)
        self.bits = bytearray(size // 8)
        self.mask = size - 1
        for run in self._runs:
            for start in range(0, run.size, _MERGED_AT_ONCE):
                self._mark(np.ascontiguousarray(run.read(start, min(start + _MERGED_AT_ONCE, run.size))[:, 0]))

    def _mark(self, codes: NDArray[Any]) -> None:
        import numpy as np

        filter_bytes = np.frombuffer(self.bits, np.uint8)
        for shift in (0, 32):
            # a shift of signed integers, as in SeenIds.add; the mask then drops the copies of the sign
            place = (codes.view(np.int64) >> shift) & self.mask
            np.bitwise_or.at(filter_bytes, place >> 3, (1 << (place & 7)).astype(np.uint8))


def _merged(runs: list[_Run]) -> Any:  # noqa: ANN401 - an iterator of arrays
    """Yield the entries of several runs in ascending order, a part of the range of hashes at a time."""
    import numpy as np

    parts = -(-sum(run.size for run in runs) // _MERGED_AT_ONCE)
    starts = [0] * len(runs)
    for part in range(1, parts + 1):
        border = _MASK // parts * part
        stops = [run.size if part == parts else run.position(border) for run in runs]
        entries = np.concatenate([run.read(*ends) for run, *ends in zip(runs, starts, stops, strict=True)])
        yield entries[np.argsort(entries[:, 0])]
        starts = stops


def _read_at(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    data = file.read(size)
    if len(data) < size:
        raise OSError(f"{os.fspath(file.name)} is shorter than it was")
    return data


def _write_all(file: BinaryIO, data: bytes) -> None:
    file.seek(0, os.SEEK_END)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
