"""Reading queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from colstore.corpus import lines as beir
from colstore.corpus.jsonl import read_sound_jsonl
from colstore.corpus.lines import PathSource, existing_path, printable, read_sound_lines
from colstore.corpus.record import Record, clean_id, clean_text, excerpt, pop_id
from colstore.corpus.seen import SeenIds
from colstore.errors import CorpusError, DuplicateIdError

READABLE = "a BEIR folder (queries.jsonl[.gz] in it), .jsonl, .tsv (each also .gz), or - for JSON Lines"
_HEADERS = {("id", "text"), ("_id", "text"), ("qid", "text"), ("query-id", "text"), ("query_id", "text")}


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


def read_queries(source: PathSource) -> Iterator[Query]:
    """Return an iterator over queries, in the order of the file.

    Parameters
    ----------
    source
        A BEIR folder, JSON Lines with ``_id`` or ``id`` and ``text`` (other keys are ignored), lines of
        ``id<TAB>text`` without quoting (a first line that names these columns is skipped), or ``"-"`` for JSON Lines
        on standard input.

    Raises
    ------
    CorpusError
        The source cannot be read, a line is broken, an id is missing, or a text is blank. The message names the file
        and the line.
    DuplicateIdError
        An id occurs twice.
    """
    path = existing_path(source)
    if path is not None and path.is_dir():
        path = _in_folder(path)
    if path is None:
        return _checked(read_sound_jsonl(None))
    match Path(path.name.lower().removesuffix(".gz")).suffix:
        case ".jsonl":
            return _checked(read_sound_jsonl(path))
        case ".tsv":
            return _checked(_read_tsv(path))
    raise CorpusError(f"cannot tell the format from the name; supported are {READABLE}", source=printable(path))


def _in_folder(folder: Path) -> Path:
    path = beir.find_member(folder, beir.QUERIES)
    if path is None:
        raise CorpusError(f"no queries in this folder; supported are {READABLE}", source=printable(folder))
    return path


def _read_tsv(path: Path) -> Iterator[Record]:
    name = printable(path)
    for position, line in enumerate(read_sound_lines(path)):
        cells = line.text.rstrip("\r\n").split("\t")
        if len(cells) != 2:
            message = f"wrong number of columns: {len(cells)}, where two are needed: id, a tab, and the text"
            raise CorpusError(message, source=name, line=line.number)
        if position or tuple(cells) not in _HEADERS:
            yield Record({"id": cells[0], "text": cells[1]}, name, line.number)


def _checked(records: Iterator[Record]) -> Iterator[Query]:
    with SeenIds() as seen:
        for record in records:
            query = _to_query(record)
            if not seen.add(query.id):
                message = f"query id {excerpt(query.id)} occurs a second time"
                raise record.error_of(DuplicateIdError, message)
            yield query


def _to_query(record: Record) -> Query:
    fields = dict(record.fields)
    identifier = clean_id(record, pop_id(fields))
    if fields.get("text") is None:
        raise record.error(f"query {excerpt(identifier)} has no text: a string is needed under text")
    text = clean_text(record, fields["text"], "text")
    if not text.strip():
        raise record.error(f"query {excerpt(identifier)} is blank")
    return Query(identifier, text)
