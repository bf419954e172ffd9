"""What a change says when it is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from colstore.corpus import IntakeReport
from colstore.types import Json


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
    loss: float | None = None
    seconds: float = 0.0
    advice: list[str] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count documents that were left out."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def note_intake(self, intake: IntakeReport) -> None:
        """Take over what reading the corpus counted."""
        self.skip("error", intake.skipped_errors)
        self.skip("duplicate", intake.skipped_duplicates)
        self.skip("empty", intake.skipped_empty)
        self.incomplete = intake.incomplete
        self.examples += intake.examples

    def to_json(self) -> dict[str, Json]:
        """Return plain data."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}
