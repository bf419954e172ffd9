"""Older generations: which there are, what each would lose, and going back to one, as a new generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import numpy as np

from colstore.errors import ColstoreError, CorruptIndexError, UnknownGenerationError
from colstore.reports import ChangeReport
from colstore.snapshot.snapshot import Snapshot
from colstore.store import (
    Level,
    Manifest,
    Segment,
    WriterLock,
    check_folder,
    commit,
    generations,
    gone,
    highest,
    load,
    verify_manifest,
)
from colstore.store.manifest import timestamp, writer_name
from colstore.types import Json
from colstore.values import as_integer

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
    changed
        Documents of both that were replaced since: going back brings back what they were. Where the codec is another
        one by now (``compact --retrain``) this tells by texts, metadata and numbers of tokens alone.
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
    changed: int | None = None
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
    found = [Generation(known, problems=(str(gone(path, known)),))] if (known := _lost(path)) else []
    newest: _Opened | None = None
    with ExitStack() as until_the_end:
        for number in reversed(generations(path)):
            with ExitStack() as until_the_next:
                generation, opened = _look_at(path, number, level, until_the_next)
                if opened is not None:
                    if newest is None:
                        newest = opened
                        until_the_end.push(until_the_next.pop_all())
                    generation = _compared(generation, opened, newest)
                found.append(generation)
    return found


def recover(path: Path, generation: int, *, wait: float = 0.0) -> ChangeReport:
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
    ChangeReport
        Its :attr:`~colstore.ChangeReport.generation` is the number of the new generation.

    Raises
    ------
    UnknownGenerationError
        There is no such generation (any more).
    CorruptIndexError
        That generation is damaged, too; nothing was changed.
    """
    check_folder(path)
    generation = as_integer("generation", generation, 1)
    with WriterLock(path, wait=wait):
        start = perf_counter()
        present = generations(path)
        if generation not in present:
            raise UnknownGenerationError(f"{path}: there is no generation {generation}; there are {_shown(present)}")
        manifest = load(path, generation)
        problems = verify_manifest(path, manifest, "full")
        if any(not problem.derived for problem in problems):
            raise CorruptIndexError(
                f"generation {generation} is damaged: {problems[0].message}", file=path / problems[0].file
            )
        number = highest(path) + 1
        commit(path, _again(manifest, number))
        return ChangeReport(
            generation=number,
            committed=True,
            documents=manifest.live_documents,
            segments=len(manifest.segments),
            seconds=perf_counter() - start,
        )


def _lost(path: Path) -> int:
    """Return the generation whose manifest is gone though it was the newest; 0 where none is."""
    known = highest(path)
    return known if known > generations(path)[-1] else 0


def _again(manifest: Manifest, number: int) -> Manifest:
    return replace(manifest, generation=number, parent=manifest.checksum, created=timestamp(), writer=writer_name())


@dataclass(frozen=True, slots=True)
class _Opened:
    """A generation that can be read, and where its documents are."""

    snapshot: Snapshot
    places: dict[str, Place]


def _look_at(path: Path, number: int, level: Level, closing: ExitStack) -> tuple[Generation, _Opened | None]:
    """Return what is known of a generation, and the generation itself if it can be opened; ``closing`` closes it."""
    try:
        manifest = load(path, number)
    except ColstoreError as error:
        return Generation(number, problems=(str(error),)), None
    known = Generation(number, manifest.created, manifest.writer, manifest.live_documents)
    problems = [problem for problem in verify_manifest(path, manifest, level) if not problem.derived]
    known = replace(known, problems=tuple(problem.message for problem in problems))
    try:
        snapshot = Snapshot.of(path, manifest)
        closing.callback(snapshot.close)
        return known, _Opened(snapshot, places(snapshot))
    except ColstoreError as error:
        return replace(known, problems=known.problems or (str(error),)), None


def _compared(generation: Generation, older: _Opened, newest: _Opened) -> Generation:
    """Return a generation with what going back to it would lose, as far as that can be read."""
    lost = sorted(newest.places.keys() - older.places.keys())
    returned = len(older.places.keys() - newest.places.keys())
    generation = replace(generation, lost=len(lost), returned=returned, examples=tuple(lost[:EXAMPLES]))
    same_codec = older.snapshot.manifest.codec == newest.snapshot.manifest.codec
    try:
        arrays = tuple(newest.snapshot.codec.token_arrays) if same_codec else ()
        return replace(generation, changed=changed(older.places, newest.places, arrays))
    except ColstoreError as error:
        return replace(generation, problems=generation.problems or (str(error),))


def _shown(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[-10:]))


Place: TypeAlias = tuple[Segment, int]
"""A segment and a document's number in it."""


def places(snapshot: Snapshot) -> dict[str, Place]:
    """Return where each live document is.

    Raises
    ------
    CorruptIndexError
        Ids cannot be read.
    """
    found: dict[str, Place] = {}
    for segment, deleted in zip(snapshot.segments, snapshot.deleted, strict=True):
        numbers = np.arange(segment.documents)
        live = numbers if deleted is None else np.delete(numbers, deleted)
        found.update((name, (segment, int(i))) for name, i in zip(segment.ids.many(live), live, strict=True))
    return found


def changed(older: Mapping[str, Place], newest: Mapping[str, Place], arrays: tuple[str, ...]) -> int:
    """Return how many documents of both are not the same in both.

    Parameters
    ----------
    arrays
        Token arrays to compare; none where the two have different codecs.

    Raises
    ------
    CorruptIndexError
        A document cannot be read.
    """
    return sum(not _same(older[name], newest[name], arrays) for name in older.keys() & newest.keys())


def _same(one: Place, other: Place, arrays: tuple[str, ...]) -> bool:
    (first, i), (second, j) = one, other
    if i == j and first.same_file(second.entry):
        return True
    here, there = _rows(one), _rows(other)
    if here[1] - here[0] != there[1] - there[0]:
        return False
    if first.record(i) != second.record(j) or first.metadata(i) != second.metadata(j):
        return False
    return all(np.array_equal(first.rows(name, *here), second.rows(name, *there)) for name in arrays)


def _rows(place: Place) -> tuple[int, int]:
    segment, number = place
    offsets = segment.doc_offsets()
    return int(offsets[number]), int(offsets[number + 1])
