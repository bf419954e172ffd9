"""Hits on standard output: laid out for a terminal, one line each for a pipe, or JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from colstore.cli.output import emit, emit_json, exact, one_line, shown_exact
from colstore.types import Hit

SNIPPET_LETTERS = 200


def print_json(
    query: str, hits: Sequence[Hit], seconds: float, *, truncated: bool = False, unreadable: bool = False
) -> None:
    """Print one line of JSON: ``{"query": ..., "milliseconds": ..., "query_truncated": ..., ..., "hits": [...]}``.

    Parameters
    ----------
    query
        The query.
    hits
        Its hits.
    seconds
        How long the search took.
    truncated, unreadable
        Whether the query is longer than the model reads, and whether most of it is unknown to the vocabulary.
    """
    emit_json(
        {
            "query": query,
            "milliseconds": round(seconds * 1000, 3),
            "query_truncated": truncated,
            "query_unreadable": unreadable,
            "hits": [hit.to_json() for hit in hits],
        }
    )


def print_plain(query: str, hits: Sequence[Hit]) -> None:
    """Print one line for each hit: rank, score, id, title and snippet, separated by tabs.

    The id is printed as it is stored, so that other commands find the document by it.
    """
    for hit in hits:
        title, text = one_line(hit.title or ""), snippet(_body(hit), query)
        emit(f"{hit.rank}\t{hit.score:.4f}\t{exact(hit.id)}\t{title}\t{text}")


def print_rich(query: str, hits: Sequence[Hit], seconds: float) -> None:
    """Print hits for people: two or three lines each, the words of the query marked in the snippet."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for hit in hits:
        head = Text.assemble(
            (f"{hit.rank:>3}  ", "bold"),
            (f"{hit.score:.4f}  ", "green"),
            (shown_exact(hit.id), "cyan"),
            "  ",
            (one_line(hit.title or ""), "bold"),
        )
        console.print(head)
        text = Text(snippet(_body(hit), query))
        text.highlight_words(_words(query), "yellow", case_sensitive=False)
        if text:
            console.print(Padding(text, (0, 0, 0, 5)))
    console.print(Text(f"{len(hits)} {'hit' if len(hits) == 1 else 'hits'} in {seconds * 1000:.1f} ms", "dim"))


def print_hits(query: str, hits: Sequence[Hit], seconds: float) -> None:
    """Print hits laid out for people on a terminal, and as lines of fields elsewhere."""
    if sys.stdout.isatty():
        print_rich(query, hits, seconds)
    else:
        print_plain(query, hits)


def snippet(text: str, query: str, letters: int = SNIPPET_LETTERS) -> str:
    """Return the part of a text that has most words of the query, on one line.

    Parameters
    ----------
    text
        Body of a document.
    query
        The query; its words of up to three letters are ignored.
    letters
        Largest length, without the ellipsis at either end.

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
    found = [match.start() for word in _words(query) for match in re.finditer(re.escape(word), line, re.IGNORECASE)]
    start = _best_start(sorted(found), letters)
    start = min(start, len(line) - letters)
    return _cut_at_words(line, start, start + letters)


def _body(hit: Hit) -> str:
    """Return the passage that matched, or the whole text where there are no passages."""
    body = hit.text if hit.passage is None else hit.passage.text
    return body or ""


def _words(query: str) -> list[str]:
    return [word for word in re.findall(r"\w+", query) if len(word) > 3]


def _best_start(found: Sequence[int], letters: int) -> int:
    """Return where a window of this many letters covers most of the sorted positions; 0 without any."""
    best, most = 0, 0
    last = 0
    for first, place in enumerate(found):
        while last < len(found) and found[last] < place + letters:
            last += 1
        if last - first > most:
            best, most = max(0, place - letters // 4), last - first
    return best


def _cut_at_words(line: str, start: int, end: int) -> str:
    """Return ``line[start:end]`` without the words cut in two, with an ellipsis where something was left out."""
    if start > 0:
        start = max(line.find(" ", start - 1, end) + 1, start)
    if end < len(line):
        end = max(line.rfind(" ", start, end + 1), start + 1)
    return ("…" if start > 0 else "") + line[start:end] + ("…" if end < len(line) else "")
