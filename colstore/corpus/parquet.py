"""Reading Parquet files in batches of rows. This needs the ``parquet`` extra."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from colstore.corpus.lines import printable
from colstore.corpus.record import RawItem, Record
from colstore.corpus.tabular import check_columns, with_metadata_apart
from colstore.errors import CorpusError, IncompleteCorpusError
from colstore.extras import require

BATCH_ROWS = 1024


def read_parquet(path: Path) -> Iterator[RawItem]:
    """Yield a record for each row. Columns other than id, text, title and vectors are metadata.

    Dates and times become ISO 8601 strings. In errors, ``line`` is the number of the row, from 1.

    Raises
    ------
    MissingDependencyError
        pyarrow is not installed.
    CorpusError
        The file is not a Parquet file, or lacks an id or text column.
    """
    require("pyarrow", extra="parquet", purpose="Reading Parquet files")
    import pyarrow
    import pyarrow.parquet

    name = printable(path)
    broken = (pyarrow.ArrowException, OSError, ValueError)  # ValueError: also for names that are not UTF-8
    try:
        table = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
        columns = list(table.schema_arrow.names)
    except broken as error:
        raise CorpusError(f"cannot be read as Parquet ({error})", source=name) from error
    check_columns(columns, name)
    return _records(table, name, broken)


def _records(table: Any, name: str, broken: tuple[type[Exception], ...]) -> Iterator[RawItem]:  # noqa: ANN401 - pyarrow has no types
    row = 0
    with table:
        batches = table.iter_batches(batch_size=BATCH_ROWS, use_threads=False)
        while True:
            try:
                batch = next(batches, None)
                values = [] if batch is None else batch.to_pylist()
            except broken as error:
                message = f"reading stops after row {row} and the rest of the file is lost ({error})"
                yield IncompleteCorpusError(message, source=name, line=row + 1)
                return
            if batch is None:
                return
            for fields in values:
                row += 1
                yield Record(_fields(fields), name, row)


def _fields(row: dict[str, Any]) -> dict[str, object]:
    vectors = {"vectors": row.pop("vectors")} if "vectors" in row else {}
    return {**with_metadata_apart({key: _as_json(value) for key, value in row.items()}), **vectors}


def _as_json(value: object) -> object:
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    return value
