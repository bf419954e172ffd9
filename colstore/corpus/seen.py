"""A set of ids that have occurred already, in bounded memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from colstore.errors import CorpusError

if TYPE_CHECKING:
    import sqlite3

MEMORY_IDS = 50_000
_CACHE_KIB = 16 * 1024


class SeenIds:
    """A set of ids that moves to a temporary SQLite table once it is large.

    Use it as a context manager, which removes the folder of the table at the end.

    Parameters
    ----------
    memory_ids
        Number of ids that are held in memory before the table is created.

    Notes
    -----
    Time for each id, measured on one core: 0.8 microseconds in memory; in the table, 3 microseconds for ids in roughly
    sorted order, and 9 to 11 microseconds for 1 to 3 million random ids of 32 characters. Memory grows by about 15 MB
    at most. The ids start in memory because the table would take a small corpus four times as long.

    Examples
    --------
    >>> with SeenIds() as seen:
    ...     seen.add("d1"), seen.add("d2"), seen.add("d1")
    (True, True, False)
    """

    def __init__(self, memory_ids: int = MEMORY_IDS) -> None:
        self._limit = memory_ids
        self._memory: set[str] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._table: sqlite3.Connection | None = None

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
        if self._table is None and len(self._memory) < self._limit:
            before = len(self._memory)
            self._memory.add(identifier)
            return len(self._memory) > before
        return self._add_to_table(identifier)

    def close(self) -> None:
        """Clear the set and remove the table."""
        if self._table is not None:
            self._table.close()
            self._table = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._memory.clear()

    def _add_to_table(self, identifier: str) -> bool:
        import sqlite3

        try:
            table = self._table or self._spill()
            return table.execute("INSERT OR IGNORE INTO seen VALUES (?)", (identifier,)).rowcount == 1
        except (sqlite3.Error, OSError) as error:
            folder = tempfile.gettempdir()
            message = f"the table of ids cannot be written in {folder} ({error}): free some space or set TMPDIR"
            raise CorpusError(message) from error

    def _spill(self) -> sqlite3.Connection:
        """Move the ids to a table. It need not survive a crash, so it has no journal and is never synced."""
        import sqlite3

        self._folder = tempfile.TemporaryDirectory(prefix="colstore-ids-")
        # There is one caller at a time, but not always the same thread: a pipeline may read ahead in its own thread.
        table = sqlite3.connect(Path(self._folder.name) / "ids.sqlite", isolation_level=None, check_same_thread=False)
        self._table = table
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            table.execute(f"PRAGMA {setting}")
        table.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        table.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
        table.execute("BEGIN")
        table.executemany("INSERT INTO seen VALUES (?)", ((known,) for known in sorted(self._memory)))
        self._memory.clear()
        return table
