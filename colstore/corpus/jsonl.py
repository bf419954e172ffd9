"""Reading JSON Lines: one object on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from colstore.corpus.lines import STDIN, Line, printable, read_lines
from colstore.corpus.record import FieldNames, RawItem, Record, excerpt
from colstore.errors import CorpusError


def read_jsonl(
    path: Path | None, *, fields: FieldNames | None = None, encoding: str | None = None
) -> Iterator[RawItem]:
    """Yield a record for each line of a file, or of standard input for ``None``. Blank lines are ignored."""
    name = printable(STDIN if path is None else path)
    for line in read_lines(path, encoding):
        if line.error is not None:
            yield line.error
        elif not line.is_blank:
            yield _parse_line(line, name, fields)


def read_sound_jsonl(path: Path | None) -> Iterator[Record]:
    """Yield a record for each line like :func:`read_jsonl`, but raise the error of the first broken line."""
    for item in read_jsonl(path):
        if isinstance(item, CorpusError):
            raise item
        yield item


def _parse_line(line: Line, name: str, fields: FieldNames | None) -> RawItem:
    try:
        return Record(parse_object(line.text), name, line.number, fields)
    except ValueError as error:
        return CorpusError(str(error), source=name, line=line.number)


def parse_object(text: str) -> dict[str, Any]:
    """Parse a text as a JSON object.

    Raises
    ------
    ValueError
        The text is not JSON or not an object, a key occurs twice, a number is NaN or an infinity (which JSON does not
        have), or the nesting is too deep.

    Examples
    --------
    >>> parse_object('{"_id": "d1", "text": "Bees."}')
    {'_id': 'd1', 'text': 'Bees.'}
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON ({error.msg} at column {error.pos + 1})") from None
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is needed on each line, got {excerpt(value)}")  # noqa: TRY004 - broken input
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON: use null")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object, or refuse it if a key occurs twice: ``json`` would silently use the last value."""
    built = dict(pairs)
    if len(built) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {excerpt(repeated)} occurs twice in one JSON object")
    return built


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
