"""Reading Parquet and Arrow files in batches of rows. This needs the ``parquet`` extra."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from colstore.corpus.arrow import batch_rows, read_batches
from colstore.corpus.lines import printable
from colstore.corpus.record import FieldNames, RawItem
from colstore.corpus.table_rows import TableRows
from colstore.errors import CorpusError
from colstore.extras import require


def read_parquet(path: Path, fields: FieldNames | None = None) -> Iterator[RawItem]:
    """Yield a record for each row. Columns other than id, text, title and vectors are metadata.

    Values become JSON by the rule of :mod:`colstore.corpus.json_values`; vectors are read as arrays. In errors,
    ``line`` is the number of the row, from 1.

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
        names = list(table.schema_arrow.names)
    except broken as error:
        raise CorpusError(f"cannot be read as Parquet ({error})", source=name) from error
    rows_of = TableRows.of(names, fields, name)
    batches = table.iter_batches(batch_size=batch_rows(names), use_threads=False)
    return _closing(table, read_batches(lambda: next(batches, None), rows_of, name, broken))


def read_arrow(path: Path, fields: FieldNames | None = None) -> Iterator[RawItem]:
    """Yield a record for each row of an Arrow or Feather file, or of a stream as ``datasets`` saves it.

    Raises
    ------
    MissingDependencyError
        pyarrow is not installed.
    CorpusError
        The file is not an Arrow file, or lacks an id or text column.
    """
    require("pyarrow", extra="parquet", purpose="Reading Arrow files")
    import pyarrow

    name = printable(path)
    broken = (pyarrow.ArrowException, OSError, ValueError)
    try:
        source = pyarrow.memory_map(str(path))
        try:
            batches = _file_batches(pyarrow.ipc.open_file(source))
            names = next(batches)
        except pyarrow.ArrowInvalid:  # a stream has no footer
            source.seek(0)
            stream = pyarrow.ipc.open_stream(source)
            names, batches = list(stream.schema.names), iter(stream)
    except broken as error:
        raise CorpusError(f"cannot be read as Arrow ({error})", source=name) from error
    rows_of = TableRows.of(names, fields, name)
    return _closing(source, read_batches(lambda: next(batches, None), rows_of, name, broken))


def _file_batches(reader: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
    """Yield the names of the columns, and then the batches of an Arrow file."""
    yield list(reader.schema.names)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _closing(source: Any, records: Iterator[RawItem]) -> Iterator[RawItem]:  # noqa: ANN401 - pyarrow has no types
    with source:
        yield from records
