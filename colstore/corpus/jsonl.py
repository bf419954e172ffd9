"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from colstore.corpus.lines import STDIN, Line, printable, read_lines
from colstore.corpus.record import RawItem, Record, excerpt
from colstore.errors import CorpusError


def read_jsonl(path: Path | None) -> Iterator[RawItem]:
    """Yield a record for each line (``None``: standard input); blank lines are ignored."""
    name = printable(STDIN if path is None else path)
    for line in read_lines(path):
        if line.error is not None:
            yield line.error
        elif not line.is_blank:
            yield _parse_line(line, name)


def read_sound_jsonl(path: Path | None) -> Iterator[Record]:
    """Yield a record for each line; raise the error of the first broken one."""
    for item in read_jsonl(path):
        if isinstance(item, CorpusError):
            raise item
        yield item


def _parse_line(line: Line, name: str) -> RawItem:
    try:
        return Record(parse_object(line.text), name, line.number)
    except ValueError as error:
        return CorpusError(str(error), source=name, line=line.number)


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object that the text holds.

    Raises
    ------
    ValueError
        No JSON, no object, a key that comes twice, NaN or Infinity (which JSON does not have), or too deeply
        nested.

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
    """Build the object; json itself would let the last of two equal keys win in silence."""
    built = dict(pairs)
    if len(built) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {excerpt(twice)} comes twice in one JSON object")
    return built


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
