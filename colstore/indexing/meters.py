"""How far a build or an addition has come, for its listener."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from colstore.corpus import CorpusSource, Reading, read_documents
from colstore.errors import ColstoreError
from colstore.reports import Listener, Progress


class StageMeter:
    """Counts one stage and tells a listener."""

    def __init__(self, listener: Listener | None, stage: str, unit: str, total: int | None) -> None:
        self._listener, self._stage, self._unit, self._total = listener, stage, unit, total
        self._start = perf_counter()

    def __call__(self, done: int, tokens: int) -> None:
        """Report how many are done."""
        self._report(done, self._total, tokens, None)

    def of(self, done: int, total: int) -> None:
        """Report how many of how many are done."""
        self._report(done, total, 0, None)

    def _report(self, done: int, total: int | None, tokens: int, tokens_total: int | None) -> None:
        if self._listener is not None:
            seconds = perf_counter() - self._start
            self._listener(Progress(self._stage, done, total, self._unit, tokens, seconds, tokens_total))


class EncodeMeter(StageMeter):
    """Counts documents and tokens on their way in, and estimates how many tokens there will be.

    Documents differ in length, so the time left is estimated from the number of tokens left: the characters left, times
    the number of tokens a character so far.

    Parameters
    ----------
    listener
        Called by one thread at a time, but not always by the same.
    size
        Size of the corpus; ``None`` where it is not known.
    stage
        Name of the stage.
    """

    def __init__(self, listener: Listener | None, size: CorpusSize | None, stage: str = "encode") -> None:
        super().__init__(listener, stage, "documents", None if size is None else size.documents)
        self._size = size
        self._lock = threading.Lock()
        self._documents = self._tokens = self._ready = 0
        self._skipped = self._measured_characters = self._measured_tokens = 0

    @property
    def tokens(self) -> int:
        """Tokens that the model has encoded so far."""
        return self._tokens

    def skip(self, documents: int, characters: int) -> None:
        """Leave out what an earlier run has encoded."""
        self._skipped = characters
        if self._total is not None:
            self._total -= documents

    def measure(self, characters: int, tokens: int) -> None:
        """Note how many tokens a number of characters came to."""
        with self._lock:
            self._measured_characters += characters
            self._measured_tokens += tokens

    def add(self, *, documents: int = 0, tokens: int = 0, ready: int = 0) -> None:
        """Count what is done: documents, tokens that the model encoded, and vectors that came with their documents."""
        with self._lock:
            self._documents += documents
            self._tokens += tokens
            self._ready += ready
            self._report(self._documents, self._total, self._tokens + self._ready, self._tokens_total())

    def _tokens_total(self) -> int | None:
        if self._size is None or not self._measured_characters:
            return None
        left = max(0, self._size.characters - self._skipped - self._measured_characters)
        rate = self._measured_tokens / self._measured_characters
        return max(self._tokens + self._ready, self._measured_tokens + round(left * rate))


@dataclass(frozen=True, slots=True)
class CorpusSize:
    """The size of a corpus, from reading it once.

    Parameters
    ----------
    documents
        Number of documents that can be read.
    characters
        Number of characters of their passages.
    """

    documents: int
    characters: int


def corpus_size(corpus: CorpusSource, reading: Reading | None = None) -> CorpusSize | None:
    """Return the size of a corpus that can be read twice; ``None`` for a stream, or where reading fails.

    Takes about one thousandth of the time of encoding on a CPU. Errors in the corpus are reported when it is read for
    the build itself.

    Examples
    --------
    >>> corpus_size(["Bees dance.", "Wasps do not."])
    CorpusSize(documents=2, characters=24)
    >>> corpus_size(iter(["Bees dance."])) is None
    True
    """
    is_path = isinstance(corpus, str | os.PathLike) and os.fspath(corpus) != "-"
    is_repeatable = isinstance(corpus, Sequence | Mapping) or (hasattr(corpus, "__len__") and hasattr(corpus, "shape"))
    if not is_path and (isinstance(corpus, str | bytes) or not is_repeatable):
        return None
    documents = characters = 0
    try:
        for document in read_documents(corpus, on_error="skip", on_duplicate="skip", **(reading or {})):
            documents += 1
            characters += len(document.passage)
    except (ColstoreError, OSError):
        return None
    return CorpusSize(documents, characters)
