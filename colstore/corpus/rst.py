"""The title of a page of reStructuredText, by a small rule.

The parser of docutils is not used: it follows ``include`` directives, so that a page could read other files.
"""

from __future__ import annotations

from itertools import pairwise

from colstore.corpus.markdown import TITLE_CHARACTERS

_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def rst_title(text: str) -> str:
    r"""Return the first section title of a page, or an empty string.

    A section title is a line of text that is not indented (unless there is a line above it, too), with a line of one
    repeated punctuation mark below it that is at least as long, and a blank line, the start of the page or such a line
    above it.

    Examples
    --------
    >>> rst_title(".. comment\n\n=====\nBees\n=====\n\nThey dance.\n")
    'Bees'
    """
    lines = ["", *text[:TITLE_CHARACTERS].splitlines()]
    for above, (line, below) in zip(lines, pairwise(lines[1:]), strict=False):
        title = line.strip()
        if not title or _is_ruler(title) or not _is_ruler(below.rstrip()) or len(below.rstrip()) < len(line.rstrip()):
            continue
        if _is_ruler(above.rstrip()) or (not above.strip() and line == line.lstrip() and not line.startswith(".. ")):
            return title
    return ""


def _is_ruler(line: str) -> bool:
    return len(line) > 1 and line[0] in _MARKS and line == line[0] * len(line)
