"""What happened to a corpus on its way in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from colstore.errors import CorpusError, DuplicateIdError, EmptyDocumentError, IncompleteCorpusError
from colstore.types import Json

EXAMPLES_PER_KIND = 5
_EXAMPLE_CHARACTERS = 300


@dataclass(slots=True)
class IntakeReport:
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
    >>> report = IntakeReport(documents=1398)
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
