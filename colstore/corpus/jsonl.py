"""Reading JSON Lines, one object on each line, and JSON files that hold one array or one object of objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, NoReturn

from colstore.corpus.columns import ID_KEYS, FieldNames, columns_of
from colstore.corpus.lines import STDIN, Line, printable, read_lines
from colstore.corpus.record import RawItem, Record, excerpt
from colstore.errors import CorpusError

MAX_JSON_CHARACTERS = 1 << 28
"""Most characters of a JSON file that is no JSON Lines, which has to be in memory as a whole."""
_CONVERT = "convert it to JSON Lines, for example with: jq -c '.[]' in.json > out.jsonl"
_LINE_ENDS = ("\r", "\n", "\r\n")


def read_jsonl(
    path: Path | None, *, fields: FieldNames | None = None, encoding: str | None = None
) -> Iterator[RawItem]:
    """Yield a record for each line of a file, or of standard input for ``None``. Blank lines are ignored.

    A file whose name ends in ``.json`` may also be an array or an object, see :func:`read_json`.

    Parameters
    ----------
    path
        The file.
    fields
        Names of the fields that hold the id, the text and the title; ``None`` looks for the usual ones.
    encoding
        Its encoding; ``None`` means UTF-8, or what a byte order mark says.
    """
    if path is not None and path.name.lower().removesuffix(".gz").endswith(".json"):
        return read_json(path, fields=fields, encoding=encoding)
    name = printable(STDIN if path is None else path)
    return _records(read_lines(path, encoding), name, fields)


def _records(lines: Iterator[Line], name: str, fields: FieldNames | None) -> Iterator[RawItem]:
    parse, new_record = _parse_fast, tuple.__new__
    for number, text, error in lines:
        if error is not None:
            yield error
            continue
        try:
            value = parse(text)
        except ValueError as broken:
            if text.strip():
                yield CorpusError(_explained(broken, text, number), source=name, line=number)
            continue
        yield new_record(Record, (value, name, number, fields))  # this is Record(...), in half the time


def read_sound_jsonl(path: Path | None, encoding: str | None = None) -> Iterator[Record]:
    """Yield a record for each line like :func:`read_jsonl`, but raise the error of the first broken line."""
    for item in read_jsonl(path, encoding=encoding):
        if isinstance(item, CorpusError):
            raise item
        yield item


def read_json(path: Path, *, fields: FieldNames | None = None, encoding: str | None = None) -> Iterator[RawItem]:
    """Yield a record for each object in a ``.json`` file.

    The file holds an array of objects, an object of objects by id, an object of texts by id, or JSON Lines. All but
    JSON Lines are read as a whole, so they may not be larger than ``MAX_JSON_CHARACTERS``.

    Parameters
    ----------
    path
        The file.
    fields
        Names of the fields that hold the id, the text and the title; ``None`` looks for the usual ones.
    encoding
        Its encoding; ``None`` means UTF-8, or what a byte order mark says.

    Raises
    ------
    CorpusError
        The file is not JSON, holds something else, or is too large. ``line`` of an item is its number, from 1.
    """
    name = printable(path)
    lines = (line for line in read_lines(path, encoding) if not line.is_blank)
    start = list(islice(lines, 2))
    are_lines = bool(start) and all(map(_is_object, start))
    if are_lines and (len(start) > 1 or not _holds_records(parse_object(start[0].text))):
        yield from _records(chain(start, lines), name, fields)
        return
    yield from _items(_whole(chain(start, lines), name), name, fields)


def _is_object(line: Line) -> bool:
    """Return whether a line is an object, so that a file that begins with it is JSON Lines."""
    if line.error is not None or not line.text.lstrip().startswith("{"):
        return False
    try:
        parse_object(line.text)
    except ValueError:
        return False
    return True


def _holds_records(value: Mapping[str, Any]) -> bool:
    """Return whether an object holds records or texts by id, and is not itself a record."""
    if all(isinstance(item, dict) for item in value.values()):
        return bool(value)
    columns = columns_of(tuple(value))
    return columns.id is None and columns.text is None and all(isinstance(item, str) for item in value.values())


def _whole(lines: Iterator[Line], name: str) -> object:
    """Return the JSON value that several lines make."""
    parts: list[str] = []
    size = 0
    for line in lines:
        if line.error is not None:
            raise line.error
        size += len(line.text)
        if size > MAX_JSON_CHARACTERS:
            message = f"a JSON file of more than {MAX_JSON_CHARACTERS:,} characters is not read: {_CONVERT}"
            raise CorpusError(message, source=name)
        parts.append(line.text)
    try:
        return _DECODER.decode("\n".join(parts))
    except json.JSONDecodeError as error:
        raise CorpusError(f"broken JSON ({error.msg})", source=name, line=error.lineno) from None
    except RecursionError:
        raise CorpusError("JSON is nested too deeply", source=name) from None
    except ValueError as error:
        raise CorpusError(str(error), source=name) from None


def _items(value: object, name: str, fields: FieldNames | None) -> Iterator[RawItem]:
    if isinstance(value, list):
        rows: Iterator[object] = iter(value)
    elif isinstance(value, dict):
        rows = (_with_id(key, item) for key, item in value.items()) if _holds_records(value) else iter([value])
    else:
        message = f"a JSON file must hold an array of objects or an object of them, got {excerpt(value)}"
        raise CorpusError(message, source=name)
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict):
            yield Record(row, name, number, fields)
        else:
            yield CorpusError(f"a JSON object is needed, got {excerpt(row)}", source=name, line=number)


def _with_id(key: str, item: object) -> object:
    """Return an item of an object as a record whose id is its key, unless the item has an id of its own."""
    if isinstance(item, str):
        return {"_id": key, "text": item}
    if isinstance(item, dict) and item.keys().isdisjoint(ID_KEYS):
        return {"_id": key, **item}
    return item


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


def _parse_fast(text: str) -> dict[str, Any]:
    """Parse a line like :func:`parse_object`, in half the time where no key can occur twice.

    A colon follows each key, behind its quotation mark or white space. So an object that has as many keys as its text
    has such colons has no key twice; the others are parsed again by the rules.
    """
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ValueError, RecursionError):
        return parse_object(text)
    if type(value) is dict and (end == len(text) or text[end:] in _LINE_ENDS):
        keys = len(value)
        if text.count(":") == keys:
            return value
        colons = text.count('":') + text.count(" :")
        other_space = "\t:" in text or "\r:" in text or "\n:" in text
        if not other_space and (colons == keys or colons == _number_of_keys(value)):
            return value
    return parse_object(text)


def _number_of_keys(value: dict[str, Any]) -> int:
    """Return the number of keys of an object and of all objects in it."""
    total = 0
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if type(item) is dict:
            total += len(item)
            stack.extend(inner for inner in item.values() if type(inner) in (dict, list))
        else:
            stack.extend(inner for inner in item if type(inner) in (dict, list))
    return total


def _explained(error: ValueError, text: str, number: int) -> str:
    if number == 1 and text.lstrip().startswith("["):
        return f"{error}; a file that holds one JSON array is read where its name ends in .json; else {_CONVERT}"
    return str(error)


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
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(  # type: ignore[attr-defined] # typeshed lacks it
    parse_constant=_refuse_constant
).scan_once
