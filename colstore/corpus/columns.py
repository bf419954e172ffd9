"""Which field of a record, or which column of a table, is the id, the text and the title. All readers share this."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from colstore.errors import ConfigError, CorpusError

ID_KEYS = (
    *("_id", "id", "docid", "doc_id", "doc-id", "docno", "pid", "passage_id", "document_id", "document-id"),
    *("corpus-id", "corpus_id"),
)
"""Names of the id of a document; the first one that is there counts."""
TEXT_KEYS = ("text", "contents", "content", "passage", "body", "abstract")
"""Names of the text of a document; the first one that is there counts."""
TITLE_KEYS = ("title",)
QUERY_ID_KEYS = (
    *("_id", "id", "qid", "query_id", "query-id", "queryid", "topic", "topic_id", "topic-id", "number", "num"),
    *("question_id", "question-id"),
)
"""Names of the id of a query; the first one that is there counts."""
QUERY_TEXT_KEYS = ("text", "query", "query_text", "query-text", "question", "title", "question_text", "utterance")
"""Names of the text of a query; the first one that is there counts."""
OWN_KEYS = ("metadata", "vectors")
"""Names with a meaning of their own beside id, text and title."""
_SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Names of the fields (columns) that hold the id, the text and the title, where they are not the usual ones.

    Parameters
    ----------
    id, text, title
        Name of the field, spelled exactly as in the corpus; ``None`` looks for the usual names: ``_id``, ``id``,
        ``docid``, ``doc_id``, ``docno``, ``pid``, ``passage_id``, ``document_id`` or ``corpus-id`` for the id,
        ``text``, ``contents``, ``content``, ``passage``, ``body`` or ``abstract`` for the text, and ``title``. The
        first of these that a record has counts; upper and lower case are the same where no name fits exactly.

    Raises
    ------
    ConfigError
        A name is empty or not a string, or is used twice.

    Examples
    --------
    >>> FieldNames(text="summary").text
    'summary'
    """

    id: str | None = None
    text: str | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        names = [name for name in (self.id, self.text, self.title) if name is not None]
        if not all(isinstance(name, str) and name for name in names):
            raise ConfigError("the names of fields must be strings that are not empty")
        if len(set(names)) < len(names):
            raise ConfigError(f"id, text and title must be different fields, got {', '.join(map(repr, names))}")


USUAL = FieldNames()


class Columns(NamedTuple):
    """Where the parts of a record are.

    Parameters
    ----------
    id, text, title
        Name of the field that holds the part; ``None`` where no field does.
    others
        Names of the fields without a meaning of their own, which are metadata.
    """

    id: str | None
    text: str | None
    title: str | None
    others: tuple[str, ...]


@lru_cache(maxsize=1024)
def columns_of(keys: tuple[str, ...], names: FieldNames | None = None) -> Columns:
    """Return which of the keys of a document are its id, text and title.

    Parameters
    ----------
    keys
        Names of the fields or columns, in their order.
    names
        Names that the caller chose.

    Examples
    --------
    >>> columns_of(("docid", "contents", "year"))
    Columns(id='docid', text='contents', title=None, others=('year',))
    >>> columns_of(("id", "text", "summary"), FieldNames(text="summary"))
    Columns(id='id', text='summary', title=None, others=('text',))
    """
    return _chosen(keys, USUAL if names is None else names, ID_KEYS, TEXT_KEYS, TITLE_KEYS)


@lru_cache(maxsize=1024)
def query_columns_of(keys: tuple[str, ...], names: FieldNames | None = None) -> Columns:
    """Return which of the keys of a query are its id and its text.

    Parameters
    ----------
    keys
        Names of the fields or columns, in their order.
    names
        Names that the caller chose.

    Examples
    --------
    >>> query_columns_of(("qid", "query"))
    Columns(id='qid', text='query', title=None, others=())
    """
    return _chosen(keys, USUAL if names is None else names, QUERY_ID_KEYS, QUERY_TEXT_KEYS, ())


def _chosen(
    keys: tuple[str, ...], names: FieldNames, ids: Sequence[str], texts: Sequence[str], titles: Sequence[str]
) -> Columns:
    named = {name for name in (names.id, names.text, names.title) if name is not None}
    free = [key for key in keys if isinstance(key, str) and key not in named]
    identifier = _present(names.id, keys) if names.id else _first(ids, free)
    text = _present(names.text, keys) if names.text else _first(texts, [key for key in free if key != identifier])
    taken = (identifier, text)
    title = _present(names.title, keys) if names.title else _first(titles, [key for key in free if key not in taken])
    parts = (identifier, text, title)
    return Columns(*parts, tuple(key for key in keys if key not in parts and key not in OWN_KEYS))


def _present(name: str, keys: Iterable[str]) -> str | None:
    return name if name in keys else None


def _first(usual: Sequence[str], keys: Sequence[str]) -> str | None:
    """Return the key that stands first among the usual names: spelled exactly so, or else in other case."""
    for name in usual:
        if name in keys:
            return name
    folded = {key.strip().casefold(): key for key in reversed(keys)}
    return next((folded[name] for name in usual if name in folded), None)


def advice(part: str, keys: Iterable[str], names: FieldNames | None = None) -> str:
    """Return what to do where the id or the text of a document or a query has no field.

    Parameters
    ----------
    part
        ``"id"`` or ``"text"``.
    keys
        Names of the fields that are there.
    names
        Names that the caller chose.

    Examples
    --------
    >>> advice("text", ["id", "summary"])
    "name the one that holds the text with fields=FieldNames(text='summary')"
    """
    chosen = None if names is None else getattr(names, part)
    if chosen is not None:
        return f"fields=FieldNames({part}='{chosen}') names none of them"
    known = {*ID_KEYS, *QUERY_ID_KEYS, *TITLE_KEYS, *OWN_KEYS} if part == "text" else {*TEXT_KEYS, *TITLE_KEYS}
    candidates = [
        key for key in keys if isinstance(key, str) and key.strip().casefold() not in known and "'" not in key
    ]
    example = ascii(candidates[0])[1:-1] if candidates else "NAME"
    return f"name the one that holds the {part} with fields=FieldNames({part}='{example}')"


def check_columns(
    columns: Sequence[str], source: str, line: int | None = None, names: FieldNames | None = None
) -> Columns:
    """Return which column of a table is which, or refuse a table from which documents cannot be made without loss.

    Parameters
    ----------
    columns
        Names of the columns.
    source, line
        Name of the table and line of its header, for error messages.
    names
        Names that the caller chose.

    Raises
    ------
    CorpusError
        There is no id or text column, a name occurs twice, or a column has no name.
    """
    found = columns_of(tuple(columns), names)
    shown = ", ".join(_shown(column) for column in columns[:_SHOWN_COLUMNS])
    missing = [part for part in ("id", "text") if getattr(found, part) is None]
    if missing:
        message = f"no column {' and no column '.join(missing)}; found {shown}"
        raise CorpusError(f"{message}: {_table_advice(missing, columns, names)}", source=source, line=line)
    if names is not None and names.title is not None and found.title is None:
        raise CorpusError(f"no column {_shown(names.title)}; found {shown}", source=source, line=line)
    repeated = [column for column in columns if columns.count(column) > 1]
    if repeated:
        raise CorpusError(f"column {_shown(repeated[0])} occurs twice: rename one", source=source, line=line)
    if not all(column.strip() for column in columns):
        raise CorpusError(f"a column has no name: name it or drop it; found {shown}", source=source, line=line)
    return found


def _table_advice(missing: Sequence[str], columns: Sequence[str], names: FieldNames | None) -> str:
    if len(columns) == 1:
        for mark, kind in ((";", "semicolons"), ("\t", "tabs"), (",", "commas"), ("|", "bars")):
            if mark in columns[0]:
                return f"the columns seem to be separated by {kind}; use commas in .csv and tabs in .tsv files"
    return "; ".join(advice(part, columns, names) for part in missing)


def with_metadata_apart(row: dict[str, object] | dict[str, str], names: FieldNames | None = None) -> dict[str, object]:
    """Return the id, title and text of a row, and all other columns under ``metadata`` (even one of that name).

    Parameters
    ----------
    row
        Values by column, of a table that :func:`check_columns` accepts.
    names
        Names that the caller chose.

    Examples
    --------
    >>> with_metadata_apart({"docid": "d1", "contents": "Bees.", "year": "2020"})
    {'_id': 'd1', 'text': 'Bees.', 'metadata': {'year': '2020'}}
    """
    columns = columns_of(tuple(row), names)
    parts = (("_id", columns.id), ("title", columns.title), ("text", columns.text))
    own = {part: row[key] for part, key in parts if key is not None}
    taken = {columns.id, columns.title, columns.text}
    return {**own, "metadata": {key: value for key, value in row.items() if key not in taken}}


def _shown(name: object) -> str:
    text = ascii(name)
    return text if len(text) <= 60 else text[:57] + "..."
