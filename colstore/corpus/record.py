"""Records, the rows of a corpus as they are read, and the checks that turn them into documents."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from colstore.corpus.columns import ID_KEYS, Columns, advice, columns_of
from colstore.corpus.columns import FieldNames as FieldNames
from colstore.errors import CorpusError, EmptyDocumentError
from colstore.types import Document, Json

MAX_JSON_DEPTH = 100
MAX_INTEGER_BITS = 1024
MAX_SHOWN_FIELDS = 12
_new = object.__new__
_set_id, _set_text, _set_title, _set_metadata, _set_vectors = (
    getattr(Document, name).__set__ for name in ("id", "text", "title", "metadata", "vectors")
)
_ErrorT = TypeVar("_ErrorT", bound=CorpusError)


class Record(NamedTuple):
    """A row of a corpus, with unchecked values, and its location.

    Parameters
    ----------
    fields
        Values by name: id, text and title under any of their usual names, ``metadata`` and ``vectors``; all others are
        metadata. Empty if the record only stands for a location in error messages.
    source
        Name of the file, for error messages.
    line
        Number of the line, row or item, from 1; ``None`` if the whole file is the record.
    names
        Names of the fields that hold the id, the text and the title; ``None`` looks for the usual ones.
    """

    fields: Mapping[str, object]
    source: str
    line: int | None = None
    names: FieldNames | None = None

    def error(self, message: str) -> CorpusError:
        """Return an error that names the location of this record."""
        return self.error_of(CorpusError, message)

    def error_of(self, kind: type[_ErrorT], message: str) -> _ErrorT:
        """Return an error of class ``kind`` that names the location of this record."""
        return kind(message, source=self.source, line=self.line)


RawItem: TypeAlias = "Record | CorpusError"
"""What a reader yields: a record, or the error in its place, so that reading can continue."""


def excerpt(value: object, limit: int = 60) -> str:
    """Return a short, printable form of a value for messages.

    Examples
    --------
    >>> excerpt("d1"), excerpt("x" * 100, limit=10)
    ("'d1'", "'xxxxxx...")
    """
    shown = ascii(value[:limit]) if isinstance(value, str) else _safe_repr(value)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def _safe_repr(value: object) -> str:
    try:
        return ascii(value)
    except Exception:  # a foreign __repr__ may raise any exception, but the error message is needed anyway
        return f"<{type(value).__name__}>"


def clean_text(record: Record, value: object, name: str) -> str:
    """Return the value as a built-in string.

    Raises
    ------
    CorpusError
        The value is not a string, or contains a NUL character or a lone surrogate.
    """
    if type(value) is str and value.isascii() and "\0" not in value:
        return value  # the most frequent case
    if not isinstance(value, str):
        raise record.error(f"{name} must be a string, not {_kind(value)} ({excerpt(value)})")
    if "\0" in value:
        raise record.error(f"{name} holds a NUL character at position {value.index(chr(0)) + 1}: remove it")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            message = f"{name} holds a lone surrogate ({excerpt(value[error.start])}): it is not valid Unicode text"
            raise record.error(message) from None
    return str(value)


def clean_id(record: Record, value: object) -> str:
    """Return an id as a string; integers are accepted, too.

    Raises
    ------
    CorpusError
        The id is missing, blank, or neither a string nor an integer.
    """
    if type(value) is str and value.isascii() and "\0" not in value and value.strip():
        return value  # by far the most frequent case
    if isinstance(value, bool):
        raise record.error(f"id must be a string or an integer, not {excerpt(value)}")
    if isinstance(value, Integral):
        number = int(value)
        if number.bit_length() > MAX_INTEGER_BITS:
            raise record.error(f"id is an integer of {number.bit_length():,} bits: give it as a string")
        return str(number)
    if value is None:
        raise record.error("no id: every record needs a string or an integer as its id")
    if not isinstance(value, str):
        raise record.error(f"id must be a string or an integer, not {_kind(value)} ({excerpt(value)})")
    if not value.strip():
        raise record.error("id is blank: every record needs an id of its own")
    return clean_text(record, value, "id")


def to_document(record: Record) -> Document:
    """Return the record as a checked document.

    A missing or null title is empty. The text may be missing only if the record has vectors.

    Raises
    ------
    CorpusError
        A value is invalid. The message names it.
    EmptyDocumentError
        Title and text are blank, and there are no vectors.
    """
    fields, _, _, names = record
    columns = columns_of(tuple(fields), names)
    id_key, text_key, title_key, others = columns
    if id_key is None:
        raise _without_id(record)
    identifier = clean_id(record, fields[id_key])
    vectors = _clean_vectors(record, fields["vectors"]) if "vectors" in fields else None
    value = None if text_key is None else fields[text_key]
    if value is None and vectors is None:
        raise _without_text(record, identifier, columns)
    text = "" if value is None else clean_text(record, value, "text")
    value = None if title_key is None else fields[title_key]
    title = "" if value is None else clean_text(record, value, "title")
    metadata = _clean_metadata(record, columns) if others or "metadata" in fields else {}
    if vectors is None and not text.strip() and not title.strip():
        message = f"document {excerpt(identifier)} has neither title nor text, so there is nothing to encode"
        raise record.error_of(EmptyDocumentError, message)
    return _document(identifier, text, title, metadata, vectors)


def _document(
    identifier: str, text: str, title: str, metadata: dict[str, Json], vectors: NDArray[Any] | None
) -> Document:
    """Return ``Document(identifier, text, title, metadata, vectors)``, in half the time.

    The constructor of a frozen dataclass calls ``object.__setattr__`` for each field; this sets the slots themselves.
    """
    document = _new(Document)
    _set_id(document, identifier)
    _set_text(document, text)
    _set_title(document, title)
    _set_metadata(document, metadata)
    _set_vectors(document, vectors)
    return document


def _without_id(record: Record) -> CorpusError:
    message = f"no id: every record needs a string or an integer under {', '.join(ID_KEYS[:-1])} or {ID_KEYS[-1]}"
    if record.fields:
        message += f"; {_present(record)}, so {advice('id', record.fields, record.names)}"
    return record.error(message)


def _without_text(record: Record, identifier: str, columns: Columns) -> CorpusError:
    start = f"document {excerpt(identifier)} has no text: a string is needed under {columns.text or 'text'}"
    if columns.text is not None:
        return record.error(start)
    return record.error(f"{start}; {_present(record)}, so {advice('text', record.fields, record.names)}")


def _present(record: Record) -> str:
    return f"the record has {', '.join(excerpt(key) for key in list(record.fields)[:MAX_SHOWN_FIELDS])}"


def _clean_vectors(record: Record, value: object) -> NDArray[Any] | None:
    """Return the token vectors, shape ``(tokens, dim)``. Arrays keep their type, and lists become float32."""
    if value is None:
        return None
    try:
        vectors = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # such as uneven rows, or a tensor that tracks gradients
        raise record.error(f"vectors are not a matrix of numbers ({error})") from None
    if vectors.ndim != 2 or 0 in vectors.shape or vectors.dtype.kind not in "fiu":
        message = f"vectors must be numbers of shape (tokens, dim), got {vectors.dtype} of shape {vectors.shape}"
        raise record.error(message)
    if isinstance(value, list | tuple):
        with np.errstate(over="ignore"):  # numbers too large for float32 become infinities, which are refused below
            vectors = vectors.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise record.error("vectors hold NaN or an infinity")
    return vectors


def _clean_metadata(record: Record, columns: Columns) -> dict[str, Json]:
    """Merge the nested ``metadata`` object with the other keys, and check that all values are JSON."""
    fields = {key: record.fields[key] for key in columns.others}
    nested = record.fields.get("metadata")
    if nested is not None and not isinstance(nested, Mapping):
        raise record.error(f"metadata must be an object, not {_kind(nested)} ({excerpt(nested)})")
    inner = dict(nested or {})
    both = fields.keys() & inner.keys()
    if both:
        message = f"key {excerpt(min(both, key=str))} occurs both beside metadata and in it: keep one of them"
        raise record.error(message)
    metadata: dict[Any, Any] = {**fields, **inner}
    if metadata:
        _check_json(record, metadata)
    return metadata


def _check_json(record: Record, metadata: dict[Any, Any]) -> None:
    """Refuse values that JSON cannot represent, without recursion, so that deep nesting cannot exhaust the stack."""
    stack: list[tuple[object, int]] = [(metadata, 1)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_JSON_DEPTH:
            raise record.error(f"metadata is nested deeper than {MAX_JSON_DEPTH} levels")
        if isinstance(value, dict):
            for key in value:
                clean_text(record, key, "a metadata key")
            stack.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            stack.extend((inner, depth + 1) for inner in value)
        else:
            _check_json_scalar(record, value)


def _check_json_scalar(record: Record, value: object) -> None:
    if isinstance(value, str):
        clean_text(record, value, "metadata")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise record.error(f"metadata holds {value}, which JSON does not have: use null")
    elif isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise record.error(f"metadata holds an integer of {value.bit_length():,} bits: give it as a string")
    elif value is not None:
        message = f"metadata holds {_kind(value)} ({excerpt(value)}); JSON has strings, numbers, booleans, null,"
        raise record.error(f"{message} lists and objects")


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(?:\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def cell_id(location: Record, text: str, name: str) -> str:
    """Return the id in a cell.

    Raises
    ------
    CorpusError
        The id is blank, or contains a NUL character.
    """
    if not text.strip():
        raise location.error(f"{name} is blank")
    return clean_text(location, text, name)


def cell_integer(location: Record, text: str, name: str) -> int:
    """Return the integer in a cell. Unlike ``int``, it does not accept ``1_000`` or non-ASCII digits.

    Raises
    ------
    CorpusError
        The cell is not an integer of at most 18 digits.
    """
    if not _INTEGER.fullmatch(text):
        raise location.error(f"{name} must be a whole number, got {excerpt(text)}")
    return int(text)


def cell_grade(location: Record, text: str) -> int:
    """Return the grade in a cell: an integer, or a float without a fraction (``2.0``).

    Raises
    ------
    CorpusError
        The cell is neither.
    """
    found = _WHOLE.fullmatch(text)
    if found is None:
        raise location.error(f"grade must be a whole number, got {excerpt(text)}")
    return int(found[1])


def cell_score(location: Record, text: str) -> float:
    """Return the score in a cell.

    Raises
    ------
    CorpusError
        The cell is not a number, or is not finite.
    """
    if not _NUMBER.fullmatch(text):
        raise location.error(f"score must be a finite number, got {excerpt(text)}")
    return finite_score(location, float(text))


def finite_score(location: Record, score: float) -> float:
    """Return the score, or refuse NaN and infinities, by which documents cannot be ranked."""
    if not math.isfinite(score):
        raise location.error(f"score must be a finite number, got {score}")
    return score
