"""Text to terms, for BM25: the same at indexing and at asking."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, get_args

from colstore.errors import ConfigError
from colstore.extras import require

Analyzer = Literal["english", "plain"]
ANALYZERS: tuple[Analyzer, ...] = get_args(Analyzer)
"""``"english"``: without Lucene's 33 stop words, stemmed by Snowball; ``"plain"``: words as they are, in lower case."""

STOP_WORDS = frozenset(
    {
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not"),
        *("of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was"),
        *("will", "with"),
    }
)
_WORD = re.compile(r"\b\w\w+\b")

Terms = Callable[[str], list[str]]


def terms_of(analyzer: Analyzer) -> Terms:
    """Return the function that cuts a text into terms.

    Raises
    ------
    ConfigError
        An unknown analyzer.
    MissingDependencyError
        ``"english"`` needs PyStemmer.

    Examples
    --------
    >>> terms_of("plain")("The Bees' dances, a 1st look")
    ['the', 'bees', 'dances', '1st', 'look']
    >>> terms_of("english")("The Bees' dances, a 1st look")
    ['bee', 'danc', '1st', 'look']
    """
    if analyzer not in ANALYZERS:
        raise ConfigError(f"analyzer must be one of {ANALYZERS}, got {analyzer!r}")
    if analyzer == "plain":
        return _words
    require("Stemmer", extra="bm25", purpose="BM25")
    from Stemmer import Stemmer

    stemmer = Stemmer("english")

    def english(text: str) -> list[str]:
        stemmed: list[str] = stemmer.stemWords([word for word in _words(text) if word not in STOP_WORDS])
        return stemmed

    return english


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
