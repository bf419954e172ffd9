"""Older generations: which there are, what each would lose, and going back to one, as a new generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from colstore.errors import ColstoreError, CorruptIndexError, QueryError
from colstore.living.change import now, writer
from colstore.living.snapshot import Snapshot
from colstore.store import Level, Manifest, WriterLock, check_folder, commit, generations, load, verify_manifest
from colstore.types import Json

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation that is there still.

    Parameters
    ----------
    number
        Of the generation; the highest is the index.
    created, writer, documents
        As its manifest says; ``None`` where that cannot be read.
    problems
        Why it could not be opened; empty if it can.
    lost
        Documents of the newest readable generation that this one lacks; ``None`` where that cannot be told.
    returned
        Documents of this one that were deleted since.
    examples
        Ids of a few that would be lost.
    """

    number: int
    created: str | None = None
    writer: str | None = None
    documents: int | None = None
    problems: tuple[str, ...] = ()
    lost: int | None = None
    returned: int | None = None
    examples: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether one could go back to it."""
        return not self.problems

    def to_json(self) -> dict[str, Json]:
        """Return plain data."""
        found = asdict(self)
        return {**found, "ok": self.ok, "problems": list(self.problems), "examples": list(self.examples)}


def history(path: Path, level: Level = "full") -> list[Generation]:
    """Return the generations that are there, newest first, each checked, with what going back to it would lose.

    A document that was replaced counts as kept: an older generation has an older text of it.

    Parameters
    ----------
    path
        Of the index, whose newest generation may be damaged.
    level
        How thoroughly to check each, see :func:`colstore.verify`.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        There is no index.
    """
    check_folder(path)
    found: list[Generation] = []
    newest_ids: set[str] | None = None
    for number in reversed(generations(path)):
        generation, ids = _look_at(path, number, level)
        if ids is not None and newest_ids is None:
            newest_ids = ids
        if ids is not None and newest_ids is not None:
            lost = sorted(newest_ids - ids)
            generation = replace(
                generation, lost=len(lost), returned=len(ids - newest_ids), examples=tuple(lost[:EXAMPLES])
            )
        found.append(generation)
    return found


def recover(path: Path, generation: int, *, wait: float = 0.0) -> int:
    """Make an older generation the index again, as a new generation; nothing is deleted.

    Parameters
    ----------
    path
        Of the index, whose newest generation may be damaged.
    generation
        To go back to; all of its files are checked first.
    wait
        Seconds to wait for another writer.

    Returns
    -------
    int
        The number of the new generation.

    Raises
    ------
    QueryError
        There is no such generation.
    CorruptIndexError
        That generation is damaged, too; nothing was changed.
    """
    check_folder(path)
    with WriterLock(path, wait=wait):
        present = generations(path)
        if generation not in present:
            raise QueryError(f"{path}: there is no generation {generation}; there are {_shown(present)}")
        manifest = load(path, generation)
        problems = verify_manifest(path, manifest, "full")
        if any(not problem.derived for problem in problems):
            raise CorruptIndexError(
                f"generation {generation} is damaged: {problems[0].message}", file=path / problems[0].file
            )
        commit(path, _again(manifest, present[-1] + 1))
        return present[-1] + 1


def _again(manifest: Manifest, number: int) -> Manifest:
    return replace(manifest, generation=number, parent=manifest.checksum, created=now(), writer=writer())


def _look_at(path: Path, number: int, level: Level) -> tuple[Generation, set[str] | None]:
    """Return what is known of a generation, and the ids of its documents if it can be opened."""
    try:
        manifest = load(path, number)
    except ColstoreError as error:
        return Generation(number, problems=(str(error),)), None
    known = Generation(number, manifest.created, manifest.writer, manifest.live_documents)
    problems = [problem for problem in verify_manifest(path, manifest, level) if not problem.derived]
    known = replace(known, problems=tuple(problem.message for problem in problems))
    try:
        snapshot = Snapshot.of(path, manifest)
        return known, _ids(snapshot)
    except ColstoreError as error:
        return replace(known, problems=known.problems or (str(error),)), None


def _ids(snapshot: Snapshot) -> set[str]:
    found: set[str] = set()
    for segment, deleted in zip(snapshot.segments, snapshot.deleted, strict=True):
        numbers = np.arange(segment.documents)
        found.update(segment.ids.many(numbers if deleted is None else np.delete(numbers, deleted)))
    snapshot.close()
    return found


def _shown(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[-10:]))
