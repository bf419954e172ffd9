"""Reading tables and mappings in memory: of pandas, polars, pyarrow and ``datasets``, and dicts by id.

None of these libraries is imported here: a table is recognised by its methods, and who passes one has its library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from colstore.corpus.arrow import batch_rows, read_batches
from colstore.corpus.columns import ID_KEYS, FieldNames, columns_of
from colstore.corpus.json_values import as_json, as_vectors
from colstore.corpus.record import RawItem, Record, excerpt
from colstore.corpus.table_rows import TableRows
from colstore.errors import CorpusError
from colstore.types import Document

COLLECTION = "<dict>"


def read_table(table: Any, chosen: FieldNames | None) -> Iterator[RawItem] | None:  # noqa: ANN401 - of other libraries
    """Return the records of a table, or ``None`` for what is not a table.

    Columns other than id, text, title and vectors are metadata, as in files. In errors, ``line`` is the number of the
    row, from 1.

    Raises
    ------
    CorpusError
        There is no id or text column, or this kind of table cannot be read.
    """
    name = f"<{type(table).__name__}>"
    if hasattr(table, "collect_schema") and hasattr(table, "collect"):  # a LazyFrame of polars
        table = table.collect()
    if hasattr(table, "with_format") and hasattr(table, "column_names"):  # a Dataset of datasets
        return _read_dataset(table, chosen, name)
    if hasattr(table, "schema") and (hasattr(table, "to_batches") or hasattr(table, "read_next_batch")):  # pyarrow
        return _read_batches(_batches_of(table), list(table.schema.names), chosen, name)
    if hasattr(table, "num_columns") and hasattr(table, "to_pylist") and hasattr(table, "schema"):  # a RecordBatch
        return _read_batches(iter([table]), list(table.schema.names), chosen, name)
    if hasattr(table, "iter_rows") and hasattr(table, "columns"):  # polars
        return _read_rows(table.iter_rows(), list(table.columns), chosen, name)
    if hasattr(table, "itertuples") and hasattr(table, "columns"):  # pandas
        frame = _with_index(table, chosen)
        return _read_rows(frame.itertuples(index=False, name=None), list(frame.columns), chosen, name)
    if hasattr(table, "columns") or hasattr(table, "column_names"):  # iterating may yield the names of its columns
        kind = type(table).__name__
        raise CorpusError(f"a {kind} is not a corpus: pass its rows as dicts, such as frame.to_dict('records')")
    return None


def _with_index(frame: Any, chosen: FieldNames | None) -> Any:  # noqa: ANN401 - of pandas
    """Return a frame of pandas whose index, if it has the name of the id column, is a column as the others are."""
    names = {chosen.id} if chosen is not None and chosen.id is not None else set(ID_KEYS)
    is_id = frame.index.name in names and frame.index.name not in frame.columns
    return frame.reset_index() if is_id else frame


def _read_rows(rows: Iterator[Any], names: list[Any], chosen: FieldNames | None, source: str) -> Iterator[RawItem]:
    rows_of = TableRows.of(names, chosen, source)
    return (Record(rows_of.foreign_fields(row), source, number) for number, row in enumerate(rows, start=1))


def _read_dataset(dataset: Any, chosen: FieldNames | None, source: str) -> Iterator[RawItem]:  # noqa: ANN401 - of datasets
    names = dataset.column_names
    if names is None:  # a stream that nobody has looked into
        names = list(next(iter(dataset), {}))
    tables = dataset.with_format("arrow").iter(batch_size=batch_rows(names))
    return _read_batches((batch for table in tables for batch in table.to_batches()), names, chosen, source)


def _batches_of(table: Any) -> Iterator[Any]:  # noqa: ANN401 - of pyarrow
    """Yield the batches of a Table, a RecordBatchReader or a Dataset of pyarrow, none of them with too many rows."""
    batches = table.to_batches() if hasattr(table, "to_batches") else table
    for batch in batches:
        rows = batch_rows(list(batch.schema.names))
        yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))


def _read_batches(
    batches: Iterator[Any], names: list[str], chosen: FieldNames | None, source: str
) -> Iterator[RawItem]:
    rows_of = TableRows.of(names, chosen, source)
    return read_batches(lambda: next(batches, None), rows_of, source, ())


def read_mapping(corpus: Mapping[Any, Any], chosen: FieldNames | None = None) -> Iterator[RawItem]:
    """Return a record for each entry of a mapping from ids to texts, or to mappings of ``title`` and ``text``.

    Raises
    ------
    CorpusError
        The mapping is a document, a table by columns, or a mapping of tables.
    """
    first = next(iter(corpus.values()), "")
    if any(name in corpus and not isinstance(corpus[name], Mapping | Document) for name in ("text", "_id", "id")):
        if isinstance(first, str | int | None):
            raise CorpusError("a dict of fields is one document, not a corpus: wrap it in a list, [document]")
        raise CorpusError(
            "a dict of columns is not a corpus: pass its rows, such as "
            "[dict(zip(columns, row)) for row in zip(*columns.values())]"
        )
    if hasattr(first, "column_names") or hasattr(first, "columns"):
        names = ", ".join(excerpt(name) for name in corpus)
        raise CorpusError(f"a {type(corpus).__name__} holds several splits: pass one of them ({names})")
    return _entries(corpus, chosen)


def _entries(corpus: Mapping[Any, Any], chosen: FieldNames | None) -> Iterator[RawItem]:
    for number, (identifier, value) in enumerate(corpus.items(), start=1):
        place = Record({}, COLLECTION, number)
        if isinstance(value, str):
            yield Record({"id": as_json(identifier), "text": value}, COLLECTION, number)
        elif isinstance(value, Document):
            if value.id != identifier:
                yield place.error(f"the Document under {excerpt(identifier)} has another id, {excerpt(value.id)}")
            else:
                yield Record(document_fields(value), COLLECTION, number)
        elif isinstance(value, Mapping):
            yield _entry(identifier, value, place, chosen)
        else:
            yield place.error(
                f"the value under {excerpt(identifier)} is a {type(value).__name__}: it must be a text, or a dict with "
                "title and text"
            )


def _entry(identifier: object, value: Mapping[Any, Any], place: Record, chosen: FieldNames | None) -> RawItem:
    fields = foreign_fields(value)
    columns = columns_of(tuple(fields), chosen)
    if columns.id is None:
        return Record({"_id": as_json(identifier), **fields}, COLLECTION, place.line, chosen)
    if fields[columns.id] != as_json(identifier):
        return place.error(f"the document under {excerpt(identifier)} has another id, {excerpt(fields[columns.id])}")
    return Record(fields, COLLECTION, place.line, chosen)


def foreign_fields(item: Mapping[Any, Any]) -> dict[Any, object]:
    """Return the fields of a dict that a caller passed, with values of JSON, and vectors as an array."""
    return {key: as_vectors(value) if key == "vectors" else as_json(value) for key, value in item.items()}


def document_fields(document: Document) -> dict[str, object]:
    """Return the fields of a document, to be checked as those of every other record."""
    return {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": as_json(document.metadata),
        "vectors": as_vectors(document.vectors),
    }
