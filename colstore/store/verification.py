"""Finds damage. Three levels, each containing the one before: sizes, checksums, content.

What is checked here needs no knowledge of codecs; rooms above add their own checks and join the lists.
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
    """Something that is not as it was written.

    Parameters
    ----------
    file
        Relative to the index.
    message
        What is wrong.
    derived
        Whether the file can be made again from the others, so that nothing is lost.
    """

    file: str
    message: str
    derived: bool = False


def verify(directory: Path, level: Level = "full") -> list[Problem]:
    """Check the latest generation of an index.

    Parameters
    ----------
    directory
        Of the index.
    level
        ``"quick"``: the manifest, and the presence and size of each file. ``"full"``: also every checksum.
        ``"deep"``: also that libhdf5 sees the same arrays at the same places, and that offsets, ids, texts
        and metadata are consistent.

    Returns
    -------
    list of Problem
        Empty if all is well. A damaged manifest is one problem.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError, FormatVersionError
        As :func:`colstore.store.latest`.
    """
    _check_level(level)
    try:
        manifest = latest(directory)
    except CorruptIndexError as error:
        return [Problem(Path(error.file or "").name, str(error))]
    return verify_manifest(directory, manifest, level)


def verify_manifest(directory: Path, manifest: Manifest, level: Level = "full") -> list[Problem]:
    """Do :func:`verify` for one generation."""
    _check_level(level)
    check = check_size if level == "quick" else check_checksum
    problems = [problem for record in manifest.files for problem in _try(record.path, check, directory, record)]
    if level != "deep":
        return problems
    bad = {problem.file for problem in problems}
    for record in _hdf5_files(manifest):
        found = [] if record.path in bad else layout_problems(directory / record.path, record.arrays)
        problems += [Problem(record.path, text) for text in found]
    for segment in manifest.segments:
        problems += _segment_problems(directory, segment)
        if segment.deleted is not None and segment.deleted.file.path not in bad:
            problems += _try(segment.deleted.file.path, read_tombstones, directory, segment)
    return problems + _duplicates_across(directory, manifest, {problem.file for problem in problems})


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise ConfigError(f"level must be one of {LEVELS}, got {level!r}")


def _hdf5_files(manifest: Manifest) -> list[FileEntry]:
    return [record for record in manifest.files if record.arrays]


def _try(path: str, check: Callable[..., object], *arguments: object) -> list[Problem]:
    try:
        check(*arguments)
    except (CorruptIndexError, StorageError) as error:
        return [Problem(path, str(error), derived=names.kind_of(path) in ("centroids", "lexical"))]
    return []


def _segment_problems(directory: Path, record: SegmentEntry) -> list[Problem]:
    path = record.files[0].path
    try:
        segment = Segment.open(directory / names.SEGMENTS, record)
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
    """Yield what is inconsistent inside a segment: offsets, ids, their order and hashes, texts, metadata.

    Raises
    ------
    CorruptIndexError
        Something cannot be read at all.
    """
    for name in sorted(segment.names):
        if name.endswith(("_offsets", "_blocks")) and not _ascending(segment.rows(name)):
            yield f"{name!r} runs backwards"
            return  # what these offsets lead to cannot be trusted
    yield from _id_problems(segment)
    if segment.has_texts:
        for document in range(segment.documents):
            segment.record(document)
    segment.all_metadata()


def _id_problems(segment: Segment) -> Iterator[str]:
    ids = [text.encode() for text in segment.ids.all()]
    order, hash_order = segment.rows("id_order"), segment.rows("id_hash_order")
    if not _is_permutation(order) or not _is_permutation(hash_order):
        yield "the order of ids is not a permutation"
        return
    ordered = [ids[i] for i in order.tolist()]
    if any(one == two for one, two in pairwise(ordered)):
        yield "an id is there twice"
    if any(one > two for one, two in pairwise(ordered)):
        yield "'id_order' does not sort the ids"
    hashes = segment.rows("id_hashes")
    if not _ascending(hashes) or not np.array_equal(id_hashes(ids)[hash_order], hashes):
        yield "'id_hashes' are not those of the ids"


def _duplicates_across(directory: Path, manifest: Manifest, bad: set[str]) -> list[Problem]:
    """Return a problem for each segment with an id of an earlier one; equal hashes tell where to look."""
    sound = [record for record in manifest.segments if not any(file.path in bad for file in record.files)]
    if not sound:
        return []
    segments = [Segment.open(directory / names.SEGMENTS, record) for record in sound]
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
