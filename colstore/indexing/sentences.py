"""Where a text may be cut: after paragraphs, sentences, lines and words, by rules that know no language.

A sentence ends after ``. ! ? …`` (and the same marks of other scripts), closing quotes and brackets included, where
white space follows and then anything but a small letter; not after a single capital letter ("J. Smith") or one of a
few abbreviations. The marks of Chinese and Japanese end a sentence without white space. An empty line ends a paragraph.
A cut that these rules misplace does no harm: it falls within a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
"""Where a part of a text begins and ends, in characters."""

_CLOSING = r"[\"'\u201d\u2019»\u203a)\]}\u300d\u300f\uff09\u3011]*"
_END = re.compile(rf"[.!?…։؟۔।॥።፧]+{_CLOSING}\s+|[。！？｡]+{_CLOSING}\s*")  # noqa: RUF001 - marks of other scripts
_PARAGRAPH = re.compile(r"[ \t\r\f\v]*\n[ \t\r\f\v]*\n\s*|\u2029\s*")
_LINE = re.compile(r"\n\s*|[\u2028\u0085]\s*")
_WORD = re.compile(r"\s+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[^\W\d_]|al|approx|cf|dr|e\.g|eq|etc|fig|figs|i\.e|mr|mrs|ms|no|prof|st|vs)$", re.I
)


def paragraphs(text: str) -> list[Range]:
    r"""Return the paragraphs of a text, each with the empty lines behind it.

    >>> [text[a:b] for text in ["One.\n\nTwo."] for a, b in paragraphs(text)]
    ['One.\n\n', 'Two.']
    """
    return list(_between((match.end() for match in _PARAGRAPH.finditer(text)), 0, len(text)))


def sentences(text: str, start: int, end: int) -> list[Range]:
    """Return the sentences between two places of a text, each with the white space behind it.

    >>> text = "See Fig. 2 by J. Smith. It dances! 蜜蜂。跳舞。"
    >>> [text[a:b] for a, b in sentences(text, 0, len(text))]
    ['See Fig. 2 by J. Smith. ', 'It dances! ', '蜜蜂。', '跳舞。']
    """
    ends = (match.end() for match in _END.finditer(text, start, end) if _is_end(text, match))
    return list(_between(ends, start, end))


def lines(text: str, start: int, end: int) -> list[Range]:
    """Return the lines between two places of a text, each with the white space behind it."""
    return list(_between((match.end() for match in _LINE.finditer(text, start, end)), start, end))


def words(text: str, start: int, end: int) -> list[Range]:
    """Return the words between two places of a text, each with the white space behind it."""
    return list(_between((match.end() for match in _WORD.finditer(text, start, end)), start, end))


def pieces(text: str, start: int, end: int, length: int) -> list[Range]:
    r"""Return pieces of about ``length`` characters; none begins with a mark that belongs to the letter before it.

    >>> pieces("e\u0301e\u0301", 0, 4, 1)
    [(0, 2), (2, 4)]
    """
    cuts = (place for place in range(start + length, end, length))
    return list(_between((_after_marks(text, cut, end) for cut in cuts), start, end))


def _after_marks(text: str, cut: int, end: int) -> int:
    while cut < end and unicodedata.combining(text[cut]):
        cut += 1
    return cut


def _is_end(text: str, match: re.Match[str]) -> bool:
    """Tell whether a sentence ends here, and not only an abbreviation."""
    if not match[0].startswith("."):
        return True
    after = text[match.end() : match.end() + 1]
    return not after.islower() and _ABBREVIATION.search(text, max(0, match.start() - 8), match.start()) is None


def _between(ends: Iterable[int], start: int, end: int) -> Iterator[Range]:
    """Yield the ranges between ascending places."""
    for place in ends:
        if start < place < end:
            yield start, place
            start = place
    if start < end:
        yield start, end
