"""Reading batches of Arrow: of Parquet and Arrow files, and of tables in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.corpus.json_values import as_json
from colstore.corpus.record import RawItem, Record
from colstore.corpus.table_rows import VECTORS, TableRows
from colstore.errors import CorpusError, IncompleteCorpusError

BATCH_ROWS = 1024
VECTOR_BATCH_ROWS = 64
"""Rows of a batch with vectors, each of which may take 100 kB."""


def batch_rows(columns: list[str]) -> int:
    """Return how many rows are read at a time, so that a batch takes a few megabytes."""
    return VECTOR_BATCH_ROWS if VECTORS in columns else BATCH_ROWS


def read_batches(
    next_batch: Callable[[], Any], rows_of: TableRows, name: str, broken: tuple[type[Exception], ...]
) -> Iterator[RawItem]:
    """Yield a record for each row of the batches.

    Parameters
    ----------
    next_batch
        Returns the next record batch of pyarrow, or ``None`` at the end.
    rows_of
        The columns of the table.
    name
        Name of the source, for messages. In errors, ``line`` is the number of the row, from 1.
    broken
        Errors of ``next_batch`` that mean that the rest of the source cannot be read.
    """
    row = 0
    while True:
        try:
            batch = next_batch()
            rows = None if batch is None else list(_rows(batch, rows_of))
        except broken as error:
            message = f"reading stops after row {row} and the rest of the file is lost ({error})"
            yield IncompleteCorpusError(message, source=name, line=row + 1)
            return
        if rows is None:
            return
        for fields in rows:
            row += 1
            yield Record(fields, name, row) if isinstance(fields, dict) else CorpusError(fields, source=name, line=row)


def _rows(batch: Any, rows_of: TableRows) -> Iterator[dict[str, object] | str]:  # noqa: ANN401 - pyarrow has no types
    values = [
        _vectors(column) if name == VECTORS else _values(column)
        for name, column in zip(rows_of.columns, batch.columns, strict=True)
    ]
    for cells in zip(*values, strict=True):
        yield rows_of.fields(cells)


def _values(column: Any) -> list[object]:  # noqa: ANN401 - pyarrow has no types
    import pyarrow

    values: list[object] = column.to_pylist()
    types = pyarrow.types
    is_plain = types.is_string(column.type) or types.is_large_string(column.type) or types.is_integer(column.type)
    return values if is_plain else [as_json(value) for value in values]


def _vectors(column: Any) -> list[object]:  # noqa: ANN401 - pyarrow has no types
    """Return the matrix of each row of a column of lists of lists, without an object for each number."""
    outer = _starts(column)
    inner = None if outer is None else _starts(column.values)
    numbers = None if inner is None else _numbers(column.values.values)
    if outer is None or inner is None or numbers is None or column.values.null_count:
        values: list[object] = column.to_pylist()  # not matrices: refused row by row
        return values
    is_valid = column.is_valid().to_numpy(zero_copy_only=False)
    return [
        _matrix(numbers, inner[first : last + 1]) if valid else None
        for first, last, valid in zip(outer[:-1], outer[1:], is_valid, strict=True)
    ]


def _starts(lists: Any) -> NDArray[np.int64] | None:  # noqa: ANN401 - pyarrow has no types
    """Return where each list begins in the values, and where the last one ends; ``None`` for what is no list."""
    import pyarrow

    types = pyarrow.types
    if types.is_fixed_size_list(lists.type):
        width = lists.type.list_size  # `values` is not sliced, so the offset counts
        first: NDArray[np.int64] = np.arange(lists.offset, lists.offset + len(lists) + 1, dtype=np.int64)
        return first * int(width)
    if types.is_list(lists.type) or types.is_large_list(lists.type):
        starts: NDArray[np.int64] = np.asarray(lists.offsets.to_numpy(zero_copy_only=False), dtype=np.int64)
        return starts
    return None


def _numbers(values: Any) -> NDArray[Any] | None:  # noqa: ANN401 - pyarrow has no types
    import pyarrow

    if not (pyarrow.types.is_floating(values.type) or pyarrow.types.is_integer(values.type)) or values.null_count:
        return None
    numbers = values.to_numpy(zero_copy_only=False)
    if numbers.dtype in (np.float32, np.float16):
        return np.asarray(numbers)
    with np.errstate(over="ignore"):  # what is too large becomes an infinity, which is refused later
        return np.asarray(numbers, dtype=np.float32)


def _matrix(numbers: NDArray[Any], starts: NDArray[np.int64]) -> object:
    rows, widths = len(starts) - 1, np.diff(starts)
    flat = numbers[starts[0] : starts[-1]]
    if rows == 0 or (widths != widths[0]).any():  # refused later, as lists are
        return [
            flat[first:last].tolist() for first, last in zip(starts - starts[0], starts[1:] - starts[0], strict=False)
        ]
    return flat.reshape(rows, int(widths[0]))
