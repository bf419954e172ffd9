"""Verification of an index at three levels: sizes, checksums, content. Each level includes the one before.

The checks in this module do not depend on the codec. The rooms above add checks of their own to the list of problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, CorruptIndexError, StorageError
from colstore.store import format as names
from colstore.store.entries import FileEntry, SegmentEntry
from colstore.store.hdf5 import layout_problems
from colstore.store.history import latest
from colstore.store.ids import id_hashes
from colstore.store.manifest import Manifest
from colstore.store.segment_reader import Segment
from colstore.store.tombstones import read_tombstones
from colstore.store.whole_files import check_checksum, check_size

Level = Literal["quick", "full", "deep"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that verification found.

    Parameters
    ----------
    file
        Path of the damaged file, relative to the index.
    message
        Description of the problem.
    derived
        Whether the file can be made again from the other files, so that nothing is lost.
    """

    file: str
    message: str
    derived: bool = False


def verify(directory: Path, level: Level = "full") -> list[Problem]:
    """Check the current generation of an index.

    Parameters
    ----------
    directory
        Directory of the index.
    level
        ``"quick"`` checks the manifest, and the presence and size of each file. ``"full"`` also checks every checksum.
        ``"deep"`` also checks that libhdf5 reads the same arrays at the same offsets, and that offsets, ids, texts and
        metadata are consistent.

    Returns
    -------
    list of Problem
        The problems found; empty if there are none. A damaged manifest is reported as a single problem.

    Raises
    ------
    ConfigError
        The level is unknown.
    IndexNotFoundError, NotAnIndexError, FormatVersionError
        As in :func:`colstore.store.latest`.
    """
    _check_level(level)
    try:
        manifest = latest(directory)
    except CorruptIndexError as error:
        return [Problem(Path(error.file or "").name, str(error))]
    return verify_manifest(directory, manifest, level)


def verify_manifest(directory: Path, manifest: Manifest, level: Level = "full") -> list[Problem]:
    """Check one generation of an index as :func:`verify` does."""
    _check_level(level)
    check = check_size if level == "quick" else check_checksum
    problems = [problem for entry in manifest.files for problem in _problems_of(entry.path, check, directory, entry)]
    if level != "deep":
        return problems
    bad = {problem.file for problem in problems}
    for entry in _hdf5_files(manifest):
        messages = [] if entry.path in bad else layout_problems(directory / entry.path, entry.arrays)
        problems += [Problem(entry.path, message) for message in messages]
    for segment in manifest.segments:
        problems += _segment_problems(directory, segment)
        if segment.deleted is not None and segment.deleted.file.path not in bad:
            problems += _problems_of(segment.deleted.file.path, read_tombstones, directory, segment)
    return problems + _duplicates_across(directory, manifest, {problem.file for problem in problems})


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise ConfigError(f"level must be one of {LEVELS}, got {level!r}")


def _hdf5_files(manifest: Manifest) -> list[FileEntry]:
    return [entry for entry in manifest.files if entry.arrays]


def _problems_of(path: str, check: Callable[..., object], *arguments: object) -> list[Problem]:
    """Call ``check`` and return its error as a problem of the file at ``path``."""
    try:
        check(*arguments)
    except (CorruptIndexError, StorageError) as error:
        return [Problem(path, str(error), derived=names.kind_of(path) in ("centroids", "lexical"))]
    return []


def _segment_problems(directory: Path, entry: SegmentEntry) -> list[Problem]:
    path = entry.files[0].path
    try:
        segment = Segment.open(directory / names.SEGMENTS, entry)
    except CorruptIndexError as error:
        return [Problem(path, str(error))]
    try:
        bad = segment.bad_blocks()
        if bad:
            return [Problem(path, f"{len(bad)} of its 64 KiB blocks differ from their checksums, first: {bad[0]}")]
        return [Problem(path, message) for message in content_problems(segment)]
    except CorruptIndexError as error:
        return [Problem(path, str(error))]
    finally:
        segment.close()


def content_problems(segment: Segment) -> Iterator[str]:
    """Yield a message for each inconsistency in a segment: offsets, ids, their order and hashes, texts, metadata.

    Raises
    ------
    CorruptIndexError
        A part of the segment cannot be read at all.
    """
    for name in sorted(segment.names):
        if name.endswith(("_offsets", "_blocks", "_documents")) and not _ascending(segment.rows(name)):
            yield f"{name!r} runs backwards"
            return  # the data that these offsets refer to cannot be trusted
    yield from _id_problems(segment)
    first, _ = segment.passage_tables()
    for document in range(segment.documents):
        if segment.has_texts:
            segment.title_and_text(document)
        for passage in range(int(first[document + 1]) - int(first[document]) if segment.has_passages else 0):
            segment.passage_span(document, passage)
    for _ in segment.iter_metadata():
        pass


def _id_problems(segment: Segment) -> Iterator[str]:
    ids = [text.encode() for text in segment.ids.all()]
    order, hash_order = segment.rows("id_order"), segment.rows("id_hash_order")
    if not _is_permutation(order) or not _is_permutation(hash_order):
        yield "the order of ids is not a permutation"
        return
    ordered = [ids[i] for i in order.tolist()]
    if any(one == two for one, two in pairwise(ordered)):
        yield "an id occurs twice"
    if any(one > two for one, two in pairwise(ordered)):
        yield "'id_order' does not sort the ids"
    hashes = segment.rows("id_hashes")
    if not _ascending(hashes) or not np.array_equal(id_hashes(ids)[hash_order], hashes):
        yield "'id_hashes' do not match the ids"


def _duplicates_across(directory: Path, manifest: Manifest, bad: set[str]) -> list[Problem]:
    """Return a problem for each segment that repeats an id of an earlier segment; equal hashes show where to look."""
    sound = [entry for entry in manifest.segments if not any(file.path in bad for file in entry.files)]
    if not sound:
        return []
    segments = [Segment.open(directory / names.SEGMENTS, entry) for entry in sound]
    hashes = np.concatenate([segment.rows("id_hashes") for segment in segments])
    owners = np.repeat(np.arange(len(segments)), [segment.documents for segment in segments])
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    pairs = zip(owners[order[same]].tolist(), owners[order[same + 1]].tolist(), strict=True)
    problems = []
    for earlier, later in sorted({(one, two) for one, two in pairs if one != two}):
        twice = _live_ids(directory, segments[earlier]) & _live_ids(directory, segments[later])
        message = f"id {min(twice, default='')!r} is also in segment {segments[earlier].id}"
        problems += [Problem(sound[later].files[0].path, message)] if twice else []
    return problems


def _live_ids(directory: Path, segment: Segment) -> set[str]:
    deleted = read_tombstones(directory, segment.entry)
    numbers = np.arange(segment.documents)
    return set(segment.ids.many(numbers if deleted is None else np.delete(numbers, deleted)))


def _ascending(array: NDArray[Any]) -> bool:
    return bool((array[1:] >= array[:-1]).all())


def _is_permutation(array: NDArray[Any]) -> bool:
    return bool(np.array_equal(np.sort(array), np.arange(len(array))))
