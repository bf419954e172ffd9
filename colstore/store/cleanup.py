"""Removes files that no generation needs: only names that colstore writes, never one that is needed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from colstore.errors import ColstoreError, ConfigError, StorageError
from colstore.store import format as names
from colstore.store.entries import SegmentEntry
from colstore.store.files import fsync_folder, remove, remove_empty_folder
from colstore.store.history import generations, load
from colstore.store.manifest import Manifest


def referenced_files(manifest: Manifest) -> frozenset[str]:
    """Return the paths, relative to the index, that a generation needs, its own manifest included."""
    own = names.manifest_name(manifest.generation)
    return frozenset({own, *(record.path for record in manifest.files)})


def remove_unreferenced(directory: Path, keep: Iterable[Manifest], *, building: bool = True) -> list[str]:
    """Delete what colstore wrote and no kept generation names. Hold the writer lock meanwhile.

    Deleted are: manifests of generations that are not kept (before any other file, so that a crash leaves
    no manifest without its files), ``codec-*``, ``centroids-*``, segment and deletes files that no kept
    manifest names, files of the encoder that only a deleted manifest named, temporary files of crashed
    writers, and, if asked, an unfinished build. Anything else stays, whatever its name, and links to folders
    are not followed.

    Parameters
    ----------
    directory
        Of the index.
    keep
        Generations that readers may hold. May only be empty where there is no generation at all.
        Generations newer than all of these are never deleted.
    building
        Also delete an unfinished build.

    Returns
    -------
    list of str
        Paths of the deleted files, relative to the index.
    """
    kept = list(keep)
    present = generations(directory)
    if present and not kept:
        raise ConfigError("keep at least one generation: without a manifest there is no index")
    needed = frozenset[str]().union(*(referenced_files(manifest) for manifest in kept))
    newest = max((manifest.generation for manifest in kept), default=0)
    dropped = [n for n in present if n < newest and names.manifest_name(n) not in needed]
    if any(n > newest for n in present):
        return []  # somebody committed meanwhile; its files are not known here
    doomed = [path for path in _encoder_files(directory, dropped) if path not in needed]
    removed = _remove(directory, [names.manifest_name(n) for n in dropped])
    doomed += [path for path in _ours(directory) if path not in needed]
    removed += _remove(directory, doomed)
    if building:
        removed += _remove(directory, _building(directory))
        remove_empty_folder(directory / names.BUILDING)
    return removed


def discard(directory: Path, segments: Iterable[SegmentEntry]) -> None:
    """Remove segments that no manifest names or ever named: a change was given up, or they were merged at once.

    What cannot be removed now is removed by :func:`remove_unreferenced` later.
    """
    for record in segments:
        for file in record.files:
            with suppress(StorageError):
                remove(directory / file.path)


def _encoder_files(directory: Path, dropped: list[int]) -> list[str]:
    """Return encoder files that dropped manifests name; no pattern tells that such names are ours."""
    found: list[str] = []
    if not (directory / names.ENCODER).is_dir():  # then no manifest need be read
        return found
    for generation in dropped:
        try:
            manifest = load(directory, generation)
        except ColstoreError:  # damaged or newer: then its encoder files stay, which harms nobody
            continue
        found += [] if manifest.encoder is None else [record.path for record in manifest.encoder.files]
    return sorted(set(found))


def _ours(directory: Path) -> list[str]:
    """Return codec, centroid, segment, deletes and temporary files, whether needed or not."""
    found = [path for path in _files(directory, "") if names.kind_of(path) in ("codec", "centroids", "lexical")]
    for folder in (names.SEGMENTS, names.DELETES):
        kinds = ("segment", "sums", "deletes")
        found += [path for path in _files(directory, folder) if names.kind_of(path) in kinds]
    folders = ("", names.SEGMENTS, names.DELETES, names.ENCODER)
    return found + [path for folder in folders for path in _files(directory, folder) if _is_temporary(path)]


def _building(directory: Path) -> list[str]:
    """Return the files of an unfinished build: the state first (without it nobody goes on), then all others of ours."""
    found = []
    for path in _files(directory, names.BUILDING):
        name = path.rpartition("/")[2]
        kinds = (names.kind_of(f"{names.SEGMENTS}/{name}"), names.kind_of(name))
        if name == names.STATE or _is_temporary(path) or any(kinds):
            found.append(path)
    return sorted(found, key=lambda path: not path.endswith(names.STATE))


def _is_temporary(path: str) -> bool:
    return names.is_temporary(path.rpartition("/")[2])


def _files(directory: Path, folder: str) -> list[str]:
    """Return the ordinary files in a folder of the index; none where the folder is a link or not there."""
    place = directory / folder
    if not place.is_dir() or (folder and place.is_symlink()):
        return []
    with os.scandir(place) as entries:
        found = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    return sorted(f"{folder}/{name}" if folder else name for name in found)


def _remove(directory: Path, paths: Collection[str]) -> list[str]:
    for path in paths:
        remove(directory / path)
    for folder in sorted({(directory / path).parent for path in paths}):
        if folder.is_dir():
            fsync_folder(folder)
    return sorted(paths)
