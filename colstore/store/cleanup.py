"""Removal of files that no generation needs. Only files with names that colstore writes are ever removed."""

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
    """Return the paths of the files that a generation needs, including its own manifest, relative to the index."""
    own = names.manifest_name(manifest.generation)
    return frozenset({own, *(entry.path for entry in manifest.files)})


def remove_unreferenced(directory: Path, keep: Iterable[Manifest], *, building: bool = True) -> list[str]:
    """Delete the files that colstore wrote and that none of the retained generations needs.

    The caller must hold the writer lock. The following files are deleted: manifests of generations that are not
    retained (before any other file, so that a crash leaves no manifest without its files); codec, centroid, BM25,
    segment and deletes files that no retained manifest names; encoder files that only a deleted manifest named;
    temporary files of crashed writers; and, on request, an unfinished build. All other files stay, whatever their
    names, and links to folders are not followed.

    Parameters
    ----------
    directory
        Directory of the index.
    keep
        Manifests of the generations to retain, because readers may have them open. It may be empty only if the
        directory has no generation at all. If there is a generation newer than all of these, nothing is deleted.
    building
        Whether to delete an unfinished build, too.

    Returns
    -------
    list of str
        Paths of the deleted files, relative to the index.

    Raises
    ------
    ConfigError
        ``keep`` is empty although the directory has a generation.
    StorageError
        A file cannot be removed.
    """
    manifests = list(keep)
    present = generations(directory)
    if present and not manifests:
        raise ConfigError("keep at least one generation: without a manifest there is no index")
    needed = frozenset[str]().union(*(referenced_files(manifest) for manifest in manifests))
    newest = max((manifest.generation for manifest in manifests), default=0)
    dropped = [n for n in present if n < newest and names.manifest_name(n) not in needed]
    if any(n > newest for n in present):
        return []  # another writer has committed a generation whose files are not known here
    unneeded = [path for path in _encoder_files(directory, dropped) if path not in needed]
    removed = _remove(directory, [names.manifest_name(n) for n in dropped])
    unneeded += [path for path in _written_by_colstore(directory) if path not in needed]
    removed += _remove(directory, unneeded)
    if building:
        removed += _remove(directory, _build_files(directory))
        remove_empty_folder(directory / names.BUILDING)
    return removed


def discard(directory: Path, segments: Iterable[SegmentEntry]) -> None:
    """Remove segments that no manifest has ever named, because a change was abandoned or merged them at once.

    :func:`remove_unreferenced` removes later what cannot be removed now.
    """
    for entry in segments:
        for file in entry.files:
            with suppress(StorageError):
                remove(directory / file.path)


def _encoder_files(directory: Path, dropped: list[int]) -> list[str]:
    """Return the encoder files that the dropped manifests name: their names alone do not show who wrote them."""
    paths: list[str] = []
    if not (directory / names.ENCODER).is_dir():  # then there is no need to read any manifest
        return paths
    for generation in dropped:
        try:
            manifest = load(directory, generation)
        except ColstoreError:  # a damaged or newer manifest: its encoder files stay, which does no harm
            continue
        paths += [] if manifest.encoder is None else [entry.path for entry in manifest.encoder.files]
    return sorted(set(paths))


def _written_by_colstore(directory: Path) -> list[str]:
    """Return the codec, centroid, BM25, segment, deletes and temporary files, whether needed or not."""
    paths = [path for path in _files(directory, "") if names.kind_of(path) in ("codec", "centroids", "lexical")]
    for folder in (names.SEGMENTS, names.DELETES):
        kinds = ("segment", "sums", "deletes")
        paths += [path for path in _files(directory, folder) if names.kind_of(path) in kinds]
    folders = ("", names.SEGMENTS, names.DELETES, names.ENCODER)
    return paths + [path for folder in folders for path in _files(directory, folder) if _is_temporary(path)]


def _build_files(directory: Path) -> list[str]:
    """Return the files of an unfinished build, its state first, because without the state nothing can resume it."""
    paths = []
    for path in _files(directory, names.BUILDING):
        name = path.rpartition("/")[2]
        kinds = (names.kind_of(f"{names.SEGMENTS}/{name}"), names.kind_of(name))
        if name == names.STATE or _is_temporary(path) or any(kinds):
            paths.append(path)
    return sorted(paths, key=lambda path: not path.endswith(names.STATE))


def _is_temporary(path: str) -> bool:
    return names.is_temporary(path.rpartition("/")[2])


def _files(directory: Path, folder: str) -> list[str]:
    """Return the regular files in a folder of the index; none if the folder is a link or does not exist."""
    path = directory / folder
    if not path.is_dir() or (folder and path.is_symlink()):
        return []
    with os.scandir(path) as listing:
        files = [item.name for item in listing if item.is_file(follow_symlinks=False)]
    return sorted(f"{folder}/{name}" if folder else name for name in files)


def _remove(directory: Path, paths: Collection[str]) -> list[str]:
    for path in paths:
        remove(directory / path)
    for folder in sorted({(directory / path).parent for path in paths}):
        if folder.is_dir():
            fsync_folder(folder)
    return sorted(paths)
