"""Analyzers split a text into terms for BM25, in the same way for documents and for queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, get_args

from colstore.errors import ConfigError
from colstore.extras import require

Analyzer = Literal["english", "plain"]
ANALYZERS: tuple[Analyzer, ...] = get_args(Analyzer)
"""Both analyzers lower-case a text and split it into words of two or more characters. ``"english"`` also drops
Lucene's 33 stop words and stems the rest with Snowball; ``"plain"`` does nothing more."""

STOP_WORDS = frozenset(
    {
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not"),
        *("of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was"),
        *("will", "with"),
    }
)
_WORD = re.compile(r"\b\w\w+\b")

TermExtractor = Callable[[str], list[str]]
"""Splits a text into terms, in order and with repetitions."""


def term_extractor(analyzer: Analyzer) -> TermExtractor:
    """Return the function that splits a text into terms.

    Parameters
    ----------
    analyzer
        One of :data:`ANALYZERS`.

    Raises
    ------
    ConfigError
        The analyzer is unknown.
    MissingDependencyError
        ``"english"`` needs PyStemmer, which is not installed.

    Examples
    --------
    >>> term_extractor("plain")("The Bees' dances, a 1st look")
    ['the', 'bees', 'dances', '1st', 'look']
    >>> term_extractor("english")("The Bees' dances, a 1st look")
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
