"""Cells of qrels and runs: ids, whole numbers and scores, without what Python's own parsers let through."""

from __future__ import annotations

import math
import re

from colstore.corpus.record import Record, clean_text, excerpt

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def cell_id(place: Record, text: str, name: str) -> str:
    """Return the id in a cell.

    Raises
    ------
    CorpusError
        It is blank, or holds a NUL.
    """
    if not text.strip():
        raise place.error(f"{name} is blank")
    return clean_text(place, text, name)


def cell_integer(place: Record, text: str, name: str) -> int:
    """Return the whole number in a cell; ``int`` itself would also take ``1_000`` and other digits.

    Raises
    ------
    CorpusError
        It is none.
    """
    if not _INTEGER.fullmatch(text):
        raise place.error(f"{name} must be a whole number, got {excerpt(text)}")
    return int(text)


def cell_score(place: Record, text: str) -> float:
    """Return the score in a cell.

    Raises
    ------
    CorpusError
        It is no number, or not a finite one.
    """
    if not _NUMBER.fullmatch(text):
        raise place.error(f"score must be a finite number, got {excerpt(text)}")
    return finite_score(place, float(text))


def finite_score(place: Record, score: float) -> float:
    """Return the score, or refuse NaN and infinities, which no order can come from."""
    if not math.isfinite(score):
        raise place.error(f"score must be a finite number, got {score}")
    return score
