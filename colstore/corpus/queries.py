"""Reading queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from colstore.corpus import lines as beir
from colstore.corpus.columns import QUERY_ID_KEYS, QUERY_TEXT_KEYS, Columns, FieldNames, advice, query_columns_of
from colstore.corpus.jsonl import read_sound_jsonl
from colstore.corpus.lines import PathSource, existing_path, printable
from colstore.corpus.quoting import Quoting, check_quoting
from colstore.corpus.record import Record, clean_id, clean_text, excerpt
from colstore.corpus.seen import SeenIds
from colstore.corpus.tabular import Row, read_rows
from colstore.errors import CorpusError, DuplicateIdError

READABLE = "a BEIR folder (queries.jsonl[.gz] in it), .jsonl, .json, .tsv, .csv (each also .gz), or - for JSON Lines"
_CONVERT = "convert them to lines of id, a tab, and the text, in a file whose name ends in .tsv"


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a file.

    Parameters
    ----------
    id
        Id of the query, unique in its file.
    text
        Text of the query; never blank.
    """

    id: str
    text: str


def read_queries(
    source: PathSource | Mapping[str, str],
    *,
    fields: FieldNames | None = None,
    encoding: str | None = None,
    quoting: Quoting = "auto",
) -> Iterator[Query]:
    """Return an iterator over queries, in the order of the file.

    Parameters
    ----------
    source
        A BEIR folder; JSON Lines, or a JSON file with an array or an object of queries by id; lines of
        ``id<TAB>text``; a CSV file with a header; ``"-"`` for JSON Lines on standard input; or a mapping of ids to
        texts. Fields other than the id and the text are ignored. A table may begin with a header, by the names of
        which the columns are found: ``qid`` and ``query``, ``query_id`` and ``text``, ``topic`` and ``title``, and
        others.
    fields
        Names of the fields that hold the id and the text, where they are not the usual ones.
    encoding
        Encoding of the file; ``None`` means UTF-8, or what a byte order mark says.
    quoting
        Whether fields between tabs are quoted: ``"csv"``, ``"none"``, or ``"auto"`` for what the first lines show.

    Raises
    ------
    CorpusError
        The source cannot be read, a line is broken, an id is missing, or a text is blank. The message names the file
        and the line.
    DuplicateIdError
        An id occurs twice.
    ConfigError
        ``encoding`` or ``quoting`` has an unknown value.
    """
    check_quoting(quoting)
    if isinstance(source, Mapping):
        return _checked(_of_mapping(source), None)
    if hasattr(source, "readline"):
        raise CorpusError("an open file is not a source of queries: pass its path")
    path = existing_path(source)
    if path is not None and path.is_dir():
        path = _in_folder(path)
    if path is None:
        return _checked(read_sound_jsonl(None, encoding), fields)
    match Path(path.name.lower().removesuffix(".gz")).suffix:
        case ".jsonl" | ".json":
            return _checked(read_sound_jsonl(path, encoding), fields)
        case ".tsv":
            return _checked(_read_tsv(path, encoding, fields, quoting), fields)
        case ".csv":
            return _checked(_read_csv(path, encoding, fields, quoting), fields)
    message = f"cannot tell the format from the name; supported are {READABLE}; of other queries, such as TREC topics"
    raise CorpusError(f"{message} (<top> ... </top>), {_CONVERT}", source=printable(path))


def _of_mapping(queries: Mapping[str, str]) -> Iterator[Record]:
    for number, (identifier, text) in enumerate(queries.items(), start=1):
        yield Record({"_id": identifier, "text": text}, "<dict>", number)


def _in_folder(folder: Path) -> Path:
    path = beir.find_member(folder, beir.QUERIES)
    if path is None:
        raise CorpusError(f"no queries in this folder; supported are {READABLE}", source=printable(folder))
    return path


def _read_tsv(path: Path, encoding: str | None, fields: FieldNames | None, quoting: Quoting) -> Iterator[Record]:
    name = printable(path)
    rows = _sound(read_rows(path, "\t", encoding=encoding, quoting=quoting))
    first = next(rows, None)
    if first is None:
        return
    if first.cells[0].lstrip().startswith(("<top", "<?xml", "<num")):
        raise CorpusError(f"topics in the format of TREC or in XML are not read: {_CONVERT}", source=name)
    columns = _header(first, name, fields)
    if columns is None:
        yield from _pairs(chain([first], rows), name)
    else:
        yield from _named_cells(rows, first.cells, columns, name)


def _read_csv(path: Path, encoding: str | None, fields: FieldNames | None, quoting: Quoting) -> Iterator[Record]:
    name = printable(path)
    rows = _sound(read_rows(path, ",", encoding=encoding, quoting=quoting))
    first = next(rows, None)
    if first is None:
        return
    columns = query_columns_of(tuple(first.cells), fields)
    if columns.id is None or columns.text is None:
        raise _unknown_header(first, name, fields)
    yield from _named_cells(rows, first.cells, columns, name)


def _sound(rows: Iterator[Row | CorpusError]) -> Iterator[Row]:
    for row in rows:
        if isinstance(row, CorpusError):
            raise row
        yield row


def _header(row: Row, name: str, fields: FieldNames | None) -> Columns | None:
    """Return the columns that a first row names; ``None`` if it is a query.

    Raises
    ------
    CorpusError
        It is a header that does not say which column holds the text.
    """
    columns = query_columns_of(tuple(row.cells), fields)
    if columns.id is not None and columns.text is not None:
        return columns
    cells = [cell.strip().casefold() for cell in row.cells]
    is_first_named = cells[0] in QUERY_ID_KEYS and all(len(cell.split()) == 1 for cell in cells)
    if fields is not None or is_first_named or all(cell in (*QUERY_ID_KEYS, *QUERY_TEXT_KEYS) for cell in cells):
        raise _unknown_header(row, name, fields)
    return None


def _unknown_header(row: Row, name: str, fields: FieldNames | None) -> CorpusError:
    columns = query_columns_of(tuple(row.cells), fields)
    part = "text" if columns.id is not None else "id"
    usual = QUERY_TEXT_KEYS if part == "text" else QUERY_ID_KEYS
    found = ", ".join(map(excerpt, row.cells[:20]))
    message = f"the header names no column with the {part} of the queries, such as {usual[0]} or {usual[1]}"
    return CorpusError(f"{message}; found {found}: {advice(part, row.cells, fields)}", source=name, line=row.line)


def _pairs(rows: Iterator[Row], name: str) -> Iterator[Record]:
    for row in rows:
        if len(row.cells) != 2:
            message = f"wrong number of columns: {len(row.cells)}, where two are needed: id, a tab, and the text"
            raise CorpusError(message, source=name, line=row.line)
        yield Record({"_id": row.cells[0], "text": row.cells[1]}, name, row.line)


def _named_cells(rows: Iterator[Row], header: list[str], columns: Columns, name: str) -> Iterator[Record]:
    assert columns.id is not None
    assert columns.text is not None
    identifier, text = header.index(columns.id), header.index(columns.text)
    for row in rows:
        if len(row.cells) != len(header):
            counts = f"{len(row.cells)} in this row, {len(header)} in the header"
            raise CorpusError(f"wrong number of columns: {counts}", source=name, line=row.line)
        yield Record({"_id": row.cells[identifier], "text": row.cells[text]}, name, row.line)


def _checked(records: Iterator[Record], fields: FieldNames | None) -> Iterator[Query]:
    with SeenIds() as seen:
        for record in records:
            query = _to_query(record, fields)
            if not seen.add(query.id):
                message = f"query id {excerpt(query.id)} occurs a second time"
                raise record.error_of(DuplicateIdError, message)
            yield query


def _to_query(record: Record, fields: FieldNames | None) -> Query:
    values = record.fields
    columns = query_columns_of(tuple(values), None if values.keys() == {"_id", "text"} else fields)
    if columns.id is None:
        raise record.error(f"the query has no id: {advice('id', values, fields)}")
    identifier = clean_id(record, values[columns.id])
    value = None if columns.text is None else values[columns.text]
    if value is None:
        start = f"query {excerpt(identifier)} has no text: a string is needed under text or query"
        raise record.error(f"{start}; {advice('text', values, fields)}" if columns.text is None else start)
    text = clean_text(record, value, "text")
    if not text.strip():
        raise record.error(f"query {excerpt(identifier)} is blank")
    return Query(identifier, text)
