"""What a long job says while it runs, and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter

from colstore.errors import CorpusError, DuplicateIdError, EmptyDocumentError, IncompleteCorpusError
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


EXAMPLES_PER_KIND = 5
_EXAMPLE_CHARACTERS = 300


@dataclass(slots=True)
class ReadReport:
    """Counts of what was taken and what was left out, filled while reading.

    Parameters
    ----------
    documents
        Documents (judgements, run lines) taken.
    skipped_errors, skipped_duplicates, skipped_empty
        Left out, by reason.
    incomplete
        Whether a file could not be read to its end, so that an unknown number is missing too.
    examples
        The messages of the first few of each reason.

    Examples
    --------
    >>> report = ReadReport(documents=1398)
    >>> report.skip(EmptyDocumentError("document '471' is empty", source="c.jsonl", line=471))
    >>> print(report.summary())
    1,398 taken, 1 skipped: 0 broken, 0 duplicate, 1 empty
      c.jsonl:471: document '471' is empty
    """

    documents: int = 0
    skipped_errors: int = 0
    skipped_duplicates: int = 0
    skipped_empty: int = 0
    incomplete: bool = False
    examples: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """All that was left out."""
        return self.skipped_errors + self.skipped_duplicates + self.skipped_empty

    def skip(self, error: CorpusError) -> None:
        """Count something that was left out."""
        if isinstance(error, DuplicateIdError):
            self.skipped_duplicates += 1
            count = self.skipped_duplicates
        elif isinstance(error, EmptyDocumentError):
            self.skipped_empty += 1
            count = self.skipped_empty
        else:
            self.skipped_errors += 1
            count = self.skipped_errors
        cut_short = isinstance(error, IncompleteCorpusError)
        self.incomplete = self.incomplete or cut_short
        if count <= EXAMPLES_PER_KIND or cut_short:
            self.examples.append(_shortened(str(error)))

    def summary(self) -> str:
        """Return a line of counts, and a line for each example."""
        reasons = f"{self.skipped_errors:,} broken, {self.skipped_duplicates:,} duplicate"
        reasons += f", {self.skipped_empty:,} empty"
        head = f"{self.documents:,} taken, {self.skipped:,} skipped" + (f": {reasons}" if self.skipped else "")
        if self.incomplete:
            head += "; INCOMPLETE: a file could not be read to its end"
        return "\n".join([head, *(f"  {example}" for example in self.examples)])

    def to_json(self) -> dict[str, Json]:
        """Return the fields as a dict that :mod:`json` can write."""
        return asdict(self)


def _shortened(message: str) -> str:
    return message if len(message) <= _EXAMPLE_CHARACTERS else message[: _EXAMPLE_CHARACTERS - 3] + "..."


@dataclass(slots=True)
class ChangeReport:
    """What one change did to an index.

    Parameters
    ----------
    generation
        The index's newest one now.
    committed
        Whether the change made a new generation; not so where there was nothing to do.
    documents
        In the index now.
    added, replaced, deleted
        Documents that came; that came for one of the same id; that went without one.
    skipped
        Documents left out on the caller's wish, by reason.
    unknown
        Ids that were to be deleted and are not there (with ``missing="skip"``).
    truncated
        Documents longer than the model's limit: their ends are not in the index's vectors.
    incomplete
        Whether a source ended in the middle.
    examples
        A few of the reasons, in full.
    segments, merged
        Segments now; how many were merged into others (or rewritten without their deleted documents).
    removed_files
        Files of old generations that went.
    trained
        Whether centroids were trained, and all documents encoded with them.
    loss
        After retraining: mean of 1 - cosine between the vectors as they were decoded before and after.
    seconds
        From the moment the lock was held.
    advice
        What the owner should do about this index, if anything.
    """

    generation: int = 0
    committed: bool = False
    documents: int = 0
    added: int = 0
    replaced: int = 0
    deleted: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    truncated: int = 0
    incomplete: bool = False
    examples: list[str] = field(default_factory=list)
    segments: int = 0
    merged: int = 0
    removed_files: int = 0
    trained: bool = False
    loss: float | None = None
    seconds: float = 0.0
    advice: list[str] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count documents that were left out."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def note_read(self, intake: ReadReport) -> None:
        """Take over what reading the corpus counted."""
        self.skip("error", intake.skipped_errors)
        self.skip("duplicate", intake.skipped_duplicates)
        self.skip("empty", intake.skipped_empty)
        self.incomplete = intake.incomplete
        self.examples += intake.examples

    def to_json(self) -> dict[str, Json]:
        """Return plain data."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}
