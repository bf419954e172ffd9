"""What a long operation reports while it runs, and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter

from colstore.errors import ConfigError, CorpusError, DuplicateIdError, EmptyDocumentError, IncompleteCorpusError
from colstore.types import Json


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one stage of a long operation.

    Parameters
    ----------
    stage
        ``"encode"``, ``"train"`` and ``"compress"`` while building, ``"add"`` while adding documents, ``"tune"``,
        ``"calibrate"``, and the stages of evaluations.
    done, total
        What is done, and how much there is, in ``unit``; ``total`` is ``None`` where it is unknown.
    unit
        What is counted, such as ``"documents"``, ``"tokens"``, ``"rounds"`` or ``"queries"``.
    tokens
        Number of token vectors handled in this stage so far.
    seconds
        Seconds since the stage began.
    tokens_total
        Estimate of how many token vectors the whole stage will handle; ``None`` where it is unknown.
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
        """Estimate of the time left, from tokens where their number is known; ``None`` where there is no estimate.

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
    """Return the largest number of bytes that this process has held; 0 where the system does not count them."""
    try:
        import resource
        import sys
    except ImportError:  # Windows has no such count
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


Listener = Callable[[Progress], None]
"""A function that is called from time to time with the progress; it may raise to stop the operation."""


def check_listener(progress: object) -> None:
    """Refuse a listener that is not a function, before a long operation starts.

    Raises
    ------
    ConfigError
        The listener is neither a function nor ``None``.
    """
    if progress is not None and not callable(progress):
        raise ConfigError(f"progress must be a function that takes a colstore.Progress, got {progress!r}")


@dataclass(slots=True)
class BuildReport:
    """What a build did.

    Parameters
    ----------
    documents, tokens
        Number of documents and token vectors in the index.
    passages
        Number of passages that the documents consist of, see :class:`colstore.PassageConfig`.
    truncated
        Number of documents that are longer than the model's (or the chosen) limit, so that the vectors do not cover
        their ends.
    unreadable
        Number of documents of which most is unknown to the model's vocabulary (a script that it has never seen), so
        that a search by text does not find them.
    unreadable_examples
        Ids of a few of them.
    skipped
        Number of documents that were left out because the caller asked for it, by reason: ``"error"``,
        ``"duplicate"``, ``"empty"``.
    incomplete
        Whether a source ended in the middle, so that an unknown number of documents is missing.
    examples
        Messages about a few of the documents that were left out.
    notes
        Sentences about how the index was made that its owner should know.
    passed_over
        Number of files and folders below the corpus folder that were not read, by kind: an ending such as ``".png"``,
        ``"hidden folder"``, ``"node_modules folder"``.
    encoded_tokens
        Number of tokens that the model encoded in this run, before pooling; without those of a build that was resumed.
    seconds
        Seconds by stage, in order.
    peak_memory_bytes
        Peak memory of the process, as the operating system counted it; 0 where it does not count it.
    """

    documents: int = 0
    tokens: int = 0
    passages: int = 0
    truncated: int = 0
    unreadable: int = 0
    unreadable_examples: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    incomplete: bool = False
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    encoded_tokens: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent in the context to the stage ``name``."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start

    @property
    def tokens_per_second(self) -> float:
        """Tokens encoded per second of the stage ``"encode"``; 0 where nothing was encoded."""
        seconds = self.seconds.get("encode", 0.0)
        return self.encoded_tokens / seconds if seconds > 0 else 0.0

    def note_peak_memory(self) -> None:
        """Set the peak memory to what the operating system counted so far."""
        self.peak_memory_bytes = peak_memory()

    def to_json(self) -> dict[str, Json]:
        """Return the fields as a dict that :mod:`json` can write."""
        return {
            "documents": self.documents,
            "tokens": self.tokens,
            "passages": self.passages,
            "truncated": self.truncated,
            "unreadable": self.unreadable,
            "unreadable_examples": list(self.unreadable_examples),
            "skipped": dict(self.skipped),
            "incomplete": self.incomplete,
            "examples": list(self.examples),
            "notes": list(self.notes),
            "passed_over": dict(self.passed_over),
            "encoded_tokens": self.encoded_tokens,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_memory_bytes": self.peak_memory_bytes,
        }


EXAMPLES_PER_KIND = 5
_EXAMPLE_CHARACTERS = 300


@dataclass(slots=True)
class ReadReport:
    """Counts of what was read and what was left out, filled while reading.

    Parameters
    ----------
    documents
        Number of documents (judgements, lines of a run) that were read.
    skipped_errors, skipped_duplicates, skipped_empty
        Numbers of those that were left out, by reason.
    incomplete
        Whether a file could not be read to its end, so that an unknown number is missing.
    examples
        The first few messages for each reason.
    passed_over
        Number of files and folders below the corpus folder that were not read, by kind: an ending such as ``".png"``,
        ``"hidden folder"``, ``"node_modules folder"``. Counted before the first document is read.
    notes
        Which files of a folder were read, and what else the caller should know about it.

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
    passed_over: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """Number of all that were left out."""
        return self.skipped_errors + self.skipped_duplicates + self.skipped_empty

    def skip(self, error: CorpusError) -> None:
        """Count a document that was left out.

        Parameters
        ----------
        error
            Why it was left out; its class decides where it is counted.
        """
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
        """Return a line of counts, followed by one line for each example."""
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
        Number of the newest generation.
    committed
        Whether the change made a new generation; ``False`` where there was nothing to do.
    documents
        Number of documents in the index now.
    added, replaced, deleted
        Number of documents that were new, that took the place of one with the same id, and that were deleted.
    skipped
        Number of documents that were left out because the caller asked for it, by reason.
    unknown
        Number of ids to delete that the index does not hold (with ``missing="skip"``).
    truncated
        Number of documents that are longer than the model's limit, so that the vectors do not cover their ends.
    unreadable, unreadable_examples
        Number of documents of which most is unknown to the model's vocabulary, and ids of a few of them.
    incomplete
        Whether a source ended in the middle, so that an unknown number of documents is missing.
    examples
        Messages about a few of the documents that were left out.
    passed_over
        Number of files and folders below the corpus folder that were not read, by kind.
    notes
        Which files of a folder were read, what failed after the change was committed, without harm to it, and what else
        the owner should know.
    segments, merged
        Number of segments now, and of those that were merged into others or rewritten without deleted documents.
    removed_files
        Number of files of old generations that were removed.
    trained
        Whether centroids were trained, and all documents encoded with them.
    loss
        After retraining: mean of 1 - cosine between the vectors as they were decoded before and after.
    seconds
        Seconds since the writer lock was taken.
    advice
        What the owner should do about the index, one sentence each; usually empty.
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
    unreadable: int = 0
    unreadable_examples: list[str] = field(default_factory=list)
    incomplete: bool = False
    examples: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    merged: int = 0
    removed_files: int = 0
    trained: bool = False
    loss: float | None = None
    seconds: float = 0.0
    advice: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count documents that were left out, by reason."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def note_read(self, intake: ReadReport) -> None:
        """Take over the counts from reading the corpus."""
        self.skip("error", intake.skipped_errors)
        self.skip("duplicate", intake.skipped_duplicates)
        self.skip("empty", intake.skipped_empty)
        self.incomplete = intake.incomplete
        self.examples += intake.examples
        self.passed_over = dict(intake.passed_over)
        self.notes += intake.notes

    def to_json(self) -> dict[str, Json]:
        """Return the fields as a dict that :mod:`json` can write."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}
