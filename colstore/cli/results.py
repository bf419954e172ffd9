"""Hits on standard output: coloured for a terminal, one line each for a pipe, or JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from colstore.cli.output import emit, emit_json, one_line
from colstore.types import Hit

SNIPPET_LETTERS = 200


def print_json(question: str, hits: Sequence[Hit], seconds: float) -> None:
    """Print one line of JSON: ``{"query": ..., "milliseconds": ..., "hits": [...]}``."""
    emit_json({"query": question, "milliseconds": round(seconds * 1000, 3), "hits": [dict(hit) for hit in hits]})


def print_plain(question: str, hits: Sequence[Hit]) -> None:
    """Print one line a hit: rank, score, id, title and snippet, separated by tabs."""
    for hit in hits:
        fields = (
            str(hit.rank),
            f"{hit.score:.4f}",
            hit.id,
            hit.title or "",
            snippet(hit.text or "", question),
        )
        emit("\t".join(one_line(field) for field in fields))


def print_rich(question: str, hits: Sequence[Hit], seconds: float) -> None:
    """Print hits for people: two or three lines each, the words of the question marked in the snippet."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for hit in hits:
        head = Text.assemble(
            (f"{hit.rank:>3}  ", "bold"),
            (f"{hit.score:.4f}  ", "green"),
            (one_line(hit.id), "cyan"),
            "  ",
            (one_line(hit.title or ""), "bold"),
        )
        console.print(head)
        text = Text(snippet(hit.text or "", question))
        text.highlight_words(_words(question), "yellow", case_sensitive=False)
        if text:
            console.print(Padding(text, (0, 0, 0, 5)))
    console.print(Text(f"{len(hits)} {'hit' if len(hits) == 1 else 'hits'} in {seconds * 1000:.1f} ms", "dim"))


def print_hits(question: str, hits: Sequence[Hit], seconds: float) -> None:
    """Print hits as suits standard output: for people on a terminal, plain lines elsewhere."""
    if sys.stdout.isatty():
        print_rich(question, hits, seconds)
    else:
        print_plain(question, hits)


def snippet(text: str, question: str, letters: int = SNIPPET_LETTERS) -> str:
    """Return the stretch of a text that holds most words of the question, on one line.

    Parameters
    ----------
    text
        Body of a document.
    question
        Its words are what is looked for; words of up to three letters are left out.
    letters
        Length to keep to, an ellipsis at either end not counted.

    Examples
    --------
    >>> snippet("Bees see well. A scout returns and dances on the comb.", "why do bees dance?", letters=20)
    'Bees see well. A…'
    >>> snippet("one two three four five six seven", "seven", letters=14)
    '…five six seven'
    """
    line = one_line(text)
    if len(line) <= letters:
        return line
    found = [match.start() for word in _words(question) for match in re.finditer(re.escape(word), line, re.IGNORECASE)]
    start = _best_start(sorted(found), letters)
    start = min(start, len(line) - letters)
    return _cut_at_words(line, start, start + letters)


def _words(question: str) -> list[str]:
    return [word for word in re.findall(r"\w+", question) if len(word) > 3]


def _best_start(found: Sequence[int], letters: int) -> int:
    """Return where a window of so many letters covers most of the sorted places found; 0 without any."""
    best, most = 0, 0
    last = 0
    for first, place in enumerate(found):
        while last < len(found) and found[last] < place + letters:
            last += 1
        if last - first > most:
            best, most = max(0, place - letters // 4), last - first
    return best


def _cut_at_words(line: str, start: int, end: int) -> str:
    """Return ``line[start:end]`` less the words cut in two, with an ellipsis where something was left out."""
    if start > 0:
        start = max(line.find(" ", start - 1, end) + 1, start)
    if end < len(line):
        end = max(line.rfind(" ", start, end + 1), start + 1)
    return ("…" if start > 0 else "") + line[start:end] + ("…" if end < len(line) else "")
