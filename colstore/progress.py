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
    """

    stage: str
    done: int
    total: int | None
    unit: str
    tokens: int
    seconds: float


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

    def note_peak_memory(self) -> None:
        """Ask the operating system for the peak so far."""
        try:
            import resource
            import sys
        except ImportError:  # Windows has no such count
            return
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.peak_memory_bytes = peak if sys.platform == "darwin" else peak * 1024

    def to_json(self) -> dict[str, Json]:
        """Return the report as plain data."""
        return {
            "documents": self.documents,
            "tokens": self.tokens,
            "truncated": self.truncated,
            "skipped": dict(self.skipped),
            "incomplete": self.incomplete,
            "examples": list(self.examples),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_memory_bytes": self.peak_memory_bytes,
        }

