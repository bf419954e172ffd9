"""Long texts to passages that fit the model, counted with the model's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from colstore.config import PassageConfig
from colstore.encode import ProjectedEncoder
from colstore.errors import ConfigError
from colstore.indexing.sentences import Range, lines, paragraphs, pieces, sentences, words
from colstore.types import Document, Encoder, TokenCounter


class Piece(NamedTuple):
    """A passage to be encoded: the text that the model reads, and where it begins and ends in the document's text."""

    text: str
    start: int
    end: int


class _Atom(NamedTuple):
    """A part of a text that is not cut any further; ``last`` says that a paragraph ends with it."""

    start: int
    end: int
    tokens: int
    last: bool


def token_counter(encoder: Encoder) -> TokenCounter | None:
    """Return what counts an encoder's tokens; ``None`` where it cannot."""
    counter = encoder.encoder if isinstance(encoder, ProjectedEncoder) else encoder
    return counter if isinstance(counter, TokenCounter) else None


def check_passages(passages: PassageConfig | None, encoder: Encoder | None, *, requested: bool) -> None:
    """Refuse settings of passages that an encoder cannot meet.

    Parameters
    ----------
    passages
        The settings; ``None`` where texts are not split.
    encoder
        The encoder; ``None`` where documents bring their vectors.
    requested
        Whether the caller set them. The defaults count for nothing where an encoder cannot count tokens.

    Raises
    ------
    ConfigError
        The encoder cannot count tokens, or has a lower limit than ``max_tokens``.
    """
    if passages is None or encoder is None:
        return
    counter = token_counter(encoder)
    if counter is None and not requested and passages == PassageConfig():
        return
    if counter is None:
        raise ConfigError(
            f"passages need an encoder that can count tokens, and {type(encoder).__name__} cannot: give it the methods "
            "of colstore.TokenCounter (document_length and count_tokens), or pass passages=False"
        )
    PassageSplitter(counter, passages)


class PassageSplitter:
    """Splits documents into passages.

    Parameters
    ----------
    counter
        Counts tokens as the model sees them.
    config
        How long passages may be, and by how much they overlap.

    Raises
    ------
    ConfigError
        ``max_tokens`` exceeds the model's limit, or leaves no room beside the tokens that the model adds.
    """

    def __init__(self, counter: TokenCounter, config: PassageConfig) -> None:
        self._counter, self._overlap = counter, config.overlap
        limit = counter.document_length
        if config.max_tokens is not None and limit is not None and config.max_tokens > limit:
            raise ConfigError(
                f"passages of {config.max_tokens} tokens exceed the model's limit of {limit}: choose at most that, or "
                "raise the limit with max_tokens"
            )
        self._limit = config.max_tokens or limit
        self._added = counter.count_tokens([""])[0]
        if self._limit is not None and self._limit < self._added + 1:
            raise ConfigError(
                f"passages of {self._limit} tokens leave no room beside the {self._added} that the model adds"
            )

    def split(self, documents: Sequence[Document]) -> list[list[Piece]]:
        """Return the passages of each document; one for a document that fits."""
        whole = [[Piece(document.passage, 0, len(document.text))] for document in documents]
        if self._limit is None:
            return whole
        counts = self._counter.count_tokens([document.passage for document in documents])
        return [
            each if count <= self._limit else self._passages(document) or each
            for document, each, count in zip(documents, whole, counts, strict=True)
        ]

    def _passages(self, document: Document) -> list[Piece]:
        """Return the passages of a document that is too long; none where it has only a title."""
        assert self._limit is not None
        room = self._limit - self._added
        title = document.title.strip()
        title_tokens = self._tokens([title])[0] if title else 0
        apart = title_tokens > room // 2  # a long title would leave little of each passage, so it becomes one
        if not apart:
            room -= title_tokens
        ranges = self._fitting("" if apart else title, document.text, room)
        found = [_piece("" if apart else title, document.text, each) for each in ranges]
        return [Piece(title, 0, 0), *found] if apart and found else found

    def _fitting(self, title: str, text: str, room: int) -> list[Range]:
        """Return the parts of a text that fit the model with a title."""
        assert self._limit is not None
        fitting: list[Range] = []
        # Counts of parts need not add up to that of the whole, so what came out too long is cut again, finer.
        waiting: list[tuple[Range, int]] = [((0, len(text)), room)]
        while waiting:
            (start, end), room = waiting.pop(0)
            ranges = _packed(self._atoms(text, start, end, room), room, min(self._overlap, room // 2))
            ranges = [each for each in (_stripped(text, *each) for each in ranges) if each[0] < each[1]]
            counts = self._counter.count_tokens([_piece(title, text, each).text for each in ranges])
            again = []
            for each, count in zip(ranges, counts, strict=True):
                smaller = max(1, min(room - 1, room - (count - self._limit)))
                if count > self._limit and room > 1 and each[1] - each[0] > 1:
                    again.append((each, smaller))
                else:
                    fitting.append(each)
            waiting = again + waiting
        return sorted(fitting)

    def _atoms(self, text: str, start: int, end: int, room: int) -> list[_Atom]:
        """Return the sentences of a part of a text, and what is longer in smaller parts."""
        ranges: list[tuple[Range, bool]] = []
        for begin, stop in paragraphs(text[start:end]):
            found = sentences(text, start + begin, start + stop)
            ranges += [(each, each is found[-1]) for each in found]
        for cut in (lines, words, None):
            counts = self._tokens([text[a:b] for (a, b), _ in ranges])
            if max(counts, default=0) <= room:
                break
            finer: list[tuple[Range, bool]] = []
            for ((a, b), last), count in zip(ranges, counts, strict=True):
                if count <= room:
                    finer.append(((a, b), last))
                    continue
                found = pieces(text, a, b, max(1, room // 4)) if cut is None else cut(text, a, b)
                finer += [(each, last and each is found[-1]) for each in found]
            ranges = finer
        else:
            counts = self._tokens([text[a:b] for (a, b), _ in ranges])
        return [_Atom(a, b, count, last) for ((a, b), last), count in zip(ranges, counts, strict=True)]

    def _tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of texts without those that the model adds."""
        return [max(0, count - self._added) for count in self._counter.count_tokens(texts)]


def _packed(atoms: Sequence[_Atom], room: int, overlap: int) -> list[Range]:
    """Return runs of atoms of at most ``room`` tokens, which end with a paragraph where that leaves half of it full.

    >>> atoms = [_Atom(i, i + 1, 3, last=i == 1) for i in range(5)]
    >>> _packed(atoms, 9, 0), _packed(atoms, 9, 3)
    ([(0, 2), (2, 5)], [(0, 2), (1, 4), (3, 5)])
    """
    runs: list[Range] = []
    first = 0
    while first < len(atoms):
        stop, tokens = first, 0
        while stop < len(atoms) and (stop == first or tokens + atoms[stop].tokens <= room):
            tokens += atoms[stop].tokens
            stop += 1
        if stop < len(atoms):
            stop = _paragraph_end(atoms, first, stop, tokens, room)
        runs.append((atoms[first].start, atoms[stop - 1].end))
        if stop == len(atoms):
            break
        first = _repeated_from(atoms, first, stop, room, overlap)
    return runs


def _paragraph_end(atoms: Sequence[_Atom], first: int, stop: int, tokens: int, room: int) -> int:
    """Return the last end of a paragraph in a run, where the run then still has half of ``room``; else its end."""
    end = stop
    while end > first and 2 * tokens >= room:
        if atoms[end - 1].last:
            return end
        end -= 1
        tokens -= atoms[end].tokens
    return stop


def _repeated_from(atoms: Sequence[_Atom], first: int, stop: int, room: int, overlap: int) -> int:
    """Return the first atom of the next run: one that repeats at most ``overlap`` tokens, and still has news."""
    start, repeated = stop, 0
    while start - 1 > first and repeated + atoms[start - 1].tokens <= overlap:
        start -= 1
        repeated += atoms[start].tokens
    while start < stop and repeated + atoms[stop].tokens > room:
        repeated -= atoms[start].tokens
        start += 1
    return start


def _stripped(text: str, start: int, end: int) -> Range:
    """Return a range without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _piece(title: str, text: str, span: Range) -> Piece:
    part = Document("", text[slice(*span)], title).passage
    return Piece(part, *span)
