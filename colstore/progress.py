"""What a long job says while it runs, and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from colstore.types import Json


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come.

    Parameters
    ----------
    stage
        ``"encode"``, ``"train"``, ``"compress"`` or ``"commit"``.
    done, total
        In ``unit``; ``total`` is ``None`` where nobody knows.
    unit
        ``"documents"``, ``"tokens"`` or ``"rounds"``.
    tokens
        Token vectors handled in this stage so far.
    seconds
        Since the stage began.
    tokens_total
        How many token vectors the stage will have handled, estimated from what is left of the corpus; ``None`` where
        nobody knows.
    """

    stage: str
    done: int
    total: int | None
    unit: str
    tokens: int
    seconds: float
    tokens_total: int | None = None

    @property
    def seconds_left(self) -> float | None:
        """Time left: from tokens where their number is known, else from what is counted; ``None`` where neither is.

        Examples
        --------
        >>> Progress("encode", 1, 2, "documents", tokens=300, seconds=3.0, tokens_total=500).seconds_left
        2.0
        """
        pairs = [(self.tokens, self.tokens_total), (self.done, self.total)]
        for done, total in pairs:
            if total is not None and done > 0:
                return max(0, total - done) * self.seconds / done
        return None


def peak_memory() -> int:
    """Return the most bytes that this process has held so far; 0 where the system does not count."""
    try:
        import resource
        import sys
    except ImportError:  # Windows has no such count
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


Listener = Callable[[Progress], None]


@dataclass(slots=True)
class BuildReport:
    """What a build did.

    Parameters
    ----------
    documents, tokens
        In the index.
    truncated
        Documents longer than the model's (or the chosen) limit: their ends are not in the index's vectors.
    skipped
        Documents left out on the caller's wish, by reason.
    incomplete
        Whether a source ended in the middle, so that an unknown number of documents is missing.
    examples
        A few of the reasons, in full.
    notes
        What the owner should know of how the index was made, a sentence each.
    encoded_tokens
        Tokens that the model encoded in this run: without those of a build that was resumed, before pooling.
    seconds
        Seconds by stage, in order.
    peak_memory_bytes
        Of the process, as the operating system counted it; 0 where it does not.
    """

    documents: int = 0
    tokens: int = 0
    truncated: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    incomplete: bool = False
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    encoded_tokens: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a stage."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start

    @property
    def tokens_per_second(self) -> float:
        """Tokens that the model encoded, over the seconds of that stage; 0 where it encoded none."""
        seconds = self.seconds.get("encode", 0.0)
        return self.encoded_tokens / seconds if seconds > 0 else 0.0

    def note_peak_memory(self) -> None:
        """Ask the operating system for the peak so far."""
        self.peak_memory_bytes = peak_memory()

    def to_json(self) -> dict[str, Json]:
        """Return the report as plain data."""
        return {
            "documents": self.documents,
            "tokens": self.tokens,
            "truncated": self.truncated,
            "skipped": dict(self.skipped),
            "incomplete": self.incomplete,
            "examples": list(self.examples),
            "notes": list(self.notes),
            "encoded_tokens": self.encoded_tokens,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_memory_bytes": self.peak_memory_bytes,
        }
