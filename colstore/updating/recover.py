"""Older generations of an index: a list of them with what each would lose, and returning to one of them."""

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
    highest,
    load,
    missing_manifest_error,
    verify_manifest,
)
from colstore.store.manifest import timestamp, writer_name
from colstore.types import Json
from colstore.values import as_integer

EXAMPLES = 5
"""Most ids that are listed as examples of lost documents."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation of an index that still exists, and the effect of returning to it.

    Parameters
    ----------
    number
        Number of the generation. The highest number is the current state of the index.
    created, writer
        When and by which version it was written; ``None`` where the manifest cannot be read.
    documents
        Number of live documents; ``None`` where the manifest cannot be read.
    problems
        Why the generation cannot be opened; empty if it can be.
    lost
        Number of documents that the newest readable generation has and this one lacks; ``None`` where this one cannot
        be opened.
    returned
        Number of documents that this generation has and that were deleted since; ``None`` as for ``lost``.
    changed
        Number of documents in both generations that were replaced since, and that returning would revert; ``None`` as
        for ``lost``, and where documents cannot be read. If the centroids have been retrained since, only texts,
        metadata and token counts are compared.
    examples
        A few ids of the documents that would be lost.
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
        """Whether the index can return to this generation."""
        return not self.problems

    def to_json(self) -> dict[str, Json]:
        """Return the fields as data that ``json`` can write."""
        return {**asdict(self), "ok": self.ok, "problems": list(self.problems), "examples": list(self.examples)}


def history(path: Path, level: Level = "full") -> list[Generation]:
    """Check every generation that still exists, and return what returning to it would lose.

    Parameters
    ----------
    path
        The directory of the index. Its newest generation may be damaged.
    level
        How thoroughly each generation is checked, see :func:`colstore.verify`.

    Returns
    -------
    list of Generation
        The generations, newest first.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        There is no index at this path.
    """
    check_folder(path)
    missing = _missing_newest(path)
    listed = [Generation(missing, problems=(str(missing_manifest_error(path, missing)),))] if missing else []
    newest: _Opened | None = None
    with ExitStack() as until_the_end:
        for number in reversed(generations(path)):
            with ExitStack() as until_the_next:
                generation, opened = _examined(path, number, level, until_the_next)
                if opened is not None:
                    if newest is None:
                        newest = opened
                        until_the_end.push(until_the_next.pop_all())
                    generation = _compared(generation, opened, newest)
                listed.append(generation)
    return listed


def recover(path: Path, generation: int, *, wait: float = 0.0) -> ChangeReport:
    """Return an index to an older generation by committing it again as the newest one. Nothing is deleted.

    Parameters
    ----------
    path
        The directory of the index. Its newest generation may be damaged.
    generation
        Number of the generation to return to. All of its files are checked first.
    wait
        Seconds to wait for another writer to finish.

    Returns
    -------
    ChangeReport
        Its :attr:`~colstore.ChangeReport.generation` is the number of the new generation.

    Raises
    ------
    UnknownGenerationError
        There is no such generation (any more).
    CorruptIndexError
        That generation is damaged, too; the index is left unchanged.
    IndexLockedError, StorageError
        Another writer is active, or a file cannot be written. The index is left unchanged.
    """
    check_folder(path)
    generation = as_integer("generation", generation, 1)
    with WriterLock(path, wait=wait):
        start = perf_counter()
        present = generations(path)
        if generation not in present:
            raise UnknownGenerationError(f"{path}: there is no generation {generation}; there are {_listed(present)}")
        manifest = load(path, generation)
        problems = verify_manifest(path, manifest, "full")
        if any(not problem.derived for problem in problems):
            raise CorruptIndexError(
                f"generation {generation} is damaged: {problems[0].message}", file=path / problems[0].file
            )
        number = highest(path) + 1
        commit(path, _renumbered(manifest, number))
        return ChangeReport(
            generation=number,
            committed=True,
            documents=manifest.live_documents,
            segments=len(manifest.segments),
            seconds=perf_counter() - start,
        )


def _missing_newest(path: Path) -> int:
    """Return the number of the newest generation if its manifest is missing, else 0."""
    number = highest(path)
    return number if number > generations(path)[-1] else 0


def _renumbered(manifest: Manifest, number: int) -> Manifest:
    """Return the manifest as that of a new generation, written now."""
    return replace(manifest, generation=number, parent=manifest.checksum, created=timestamp(), writer=writer_name())


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open generation, and the location of each of its live documents by id."""

    snapshot: Snapshot
    places: dict[str, Place]


def _examined(path: Path, number: int, level: Level, closing: ExitStack) -> tuple[Generation, _Opened | None]:
    """Check and open a generation; ``None`` stands for one that cannot be opened, and ``closing`` closes the others."""
    try:
        manifest = load(path, number)
    except ColstoreError as error:
        return Generation(number, problems=(str(error),)), None
    problems = tuple(problem.message for problem in verify_manifest(path, manifest, level) if not problem.derived)
    generation = Generation(number, manifest.created, manifest.writer, manifest.live_documents, problems)
    try:
        snapshot = Snapshot.from_manifest(path, manifest)
        closing.callback(snapshot.close)
        return generation, _Opened(snapshot, places(snapshot))
    except ColstoreError as error:
        return replace(generation, problems=problems or (str(error),)), None


def _compared(generation: Generation, older: _Opened, newest: _Opened) -> Generation:
    """Return a generation with what returning to it would lose, as far as the documents can be read."""
    lost = sorted(newest.places.keys() - older.places.keys())
    returned = len(older.places.keys() - newest.places.keys())
    generation = replace(generation, lost=len(lost), returned=returned, examples=tuple(lost[:EXAMPLES]))
    same_codec = older.snapshot.manifest.codec == newest.snapshot.manifest.codec
    try:
        arrays = tuple(newest.snapshot.codec.token_arrays) if same_codec else ()
        return replace(generation, changed=changed(older.places, newest.places, arrays))
    except ColstoreError as error:
        return replace(generation, problems=generation.problems or (str(error),))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[-10:]))


Place: TypeAlias = tuple[Segment, int]
"""Location of a document: its segment, and its local number in it."""


def places(snapshot: Snapshot) -> dict[str, Place]:
    """Return the location of each live document by id.

    Raises
    ------
    CorruptIndexError
        The ids cannot be read.
    """
    by_id: dict[str, Place] = {}
    for source in snapshot.live_segments():
        segment, live = source.segment, source.live_numbers
        by_id.update((name, (segment, int(i))) for name, i in zip(segment.ids.many(live), live, strict=True))
    return by_id


def changed(older: Mapping[str, Place], newest: Mapping[str, Place], arrays: tuple[str, ...]) -> int:
    """Return the number of documents that both generations have and that differ between them.

    Parameters
    ----------
    older, newest
        The locations of the documents of each generation by id.
    arrays
        Names of the token arrays to compare; empty where the two generations have different codecs.

    Raises
    ------
    CorruptIndexError
        A document cannot be read.
    """
    return sum(not _same(older[name], newest[name], arrays) for name in older.keys() & newest.keys())


def _same(one: Place, other: Place, arrays: tuple[str, ...]) -> bool:
    """Tell whether two stored documents have the same text, metadata, token count and token arrays."""
    (first, i), (second, j) = one, other
    if i == j and first.same_file(second.entry):
        return True
    here, there = _token_range(one), _token_range(other)
    if here[1] - here[0] != there[1] - there[0]:
        return False
    if _passages(one) != _passages(other):
        return False
    if first.title_and_text(i) != second.title_and_text(j) or first.metadata(i) != second.metadata(j):
        return False
    return all(np.array_equal(first.rows(name, *here), second.rows(name, *there)) for name in arrays)


def _passages(place: Place) -> list[list[int]]:
    """Return the number of tokens of each passage of a document, and where each begins and ends in the text."""
    segment, number = place
    passages = segment.passages_of(number, number + 1)
    if passages is None or not passages.several:
        return []
    return [passages.tokens.tolist(), passages.spans.ravel().tolist()]


def _token_range(place: Place) -> tuple[int, int]:
    """Return the first token of a document in its segment, and the end."""
    segment, number = place
    offsets = segment.doc_offsets()
    return int(offsets[number]), int(offsets[number + 1])
