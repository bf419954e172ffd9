"""Queries that a model cannot read whole: counted while they are encoded, and said in one warning for each call."""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from colstore.errors import TruncatedQueryWarning, UnreadableQueryWarning
from colstore.types import EncodedText

_PACKAGE = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_EXCERPT = 40


@dataclass(slots=True)
class QueryNotices:
    """The queries of one call, and those among them that the model could not read whole.

    Parameters
    ----------
    texts
        Number of queries that were encoded.
    truncated
        Number of queries that are longer than the model's limit, so that what is beyond it was left out.
    unreadable
        Number of queries of which most is unknown to the model's vocabulary.
    """

    texts: int = 0
    truncated: int = 0
    unreadable: int = 0
    _examples: dict[str, str] = field(default_factory=dict)

    def note(self, query: str, encoded: EncodedText) -> None:
        """Count a query that was encoded."""
        self.texts += 1
        if encoded.truncated:
            self.truncated += 1
            self._examples.setdefault("truncated", f"{_excerpt(query)} ({len(encoded.vectors)} token vectors remain)")
        if encoded.unreadable:
            self.unreadable += 1
            self._examples.setdefault("unreadable", _excerpt(query))

    def messages(self) -> list[tuple[str, type[Warning]]]:
        """Return a sentence and a category for each kind of query that was counted."""
        kinds: list[tuple[int, str, str, type[Warning]]] = [
            (
                self.truncated,
                self._examples.get("truncated", ""),
                "longer than the model reads: everything beyond its limit was cut off and has no influence on the "
                "hits; shorten the query, or split it into several",
                TruncatedQueryWarning,
            ),
            (
                self.unreadable,
                self._examples.get("unreadable", ""),
                "mostly unknown to the model's vocabulary, which lacks its script: the hits mean little; use a model "
                "of that language",
                UnreadableQueryWarning,
            ),
        ]
        return [(f"{self._subject(count, example)} {said}", kind) for count, example, said, kind in kinds if count]

    def warn(self) -> None:
        """Warn of each kind once, at the line outside of colstore that the call came from."""
        for message, category in self.messages():
            warnings.warn(message, category, stacklevel=_callers_level())

    def _subject(self, count: int, example: str) -> str:
        if self.texts == 1:
            return f"the query {example} is"
        return f"{count:,} of {self.texts:,} queries (such as {example}) {'is' if count == 1 else 'are'}"


def _excerpt(query: str) -> str:
    text = " ".join(query.split())
    return repr(text if len(text) <= _EXCERPT else text[:_EXCERPT] + "...")


def _callers_level() -> int:
    """Return the ``stacklevel`` with which the calling function warns at the first line outside of colstore."""
    frame, level = sys._getframe(1), 1  # warnings.warn has skip_file_prefixes only since Python 3.12
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
