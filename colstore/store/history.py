"""Generations of an index: committing a new manifest and finding the current one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from colstore.errors import (
    ConfigError,
    CorruptIndexError,
    FormatVersionError,
    IndexLockedError,
    IndexNotFoundError,
    MissingFileError,
    NotAnIndexError,
    StorageError,
)
from colstore.store import format as names
from colstore.store.committed import note_commit
from colstore.store.files import AtomicFile, make_folder, storage_errors, sync_own_name
from colstore.store.generation_note import read_generation_note, write_generation_note
from colstore.store.manifest import Manifest
from colstore.store.reading import read_file
from colstore.store.whole_files import check_size

_CACHED_MANIFESTS, _CACHED_BYTES = 48, 32_768
"""Number of parsed manifests to cache, and the largest size of each in bytes. Every change reads the manifests of all
retained generations, so a small change would otherwise spend its time on parsing."""


def commit(directory: Path, manifest: Manifest) -> None:
    """Make a generation the current state of the index, atomically. Once this returns, it survives a crash.

    The manifest is written under a temporary name, synced, and linked to its final name, which fails if another
    writer was first; then the folder is synced. The caller must hold the :class:`colstore.store.WriterLock`.

    Parameters
    ----------
    directory
        Directory of the index; it is created if it does not exist.
    manifest
        Manifest of the new generation. The files that it names must have been written.

    Raises
    ------
    ConfigError
        A field of the manifest cannot be stored: it is not JSON, is NaN, or is a malformed date.
    MissingFileError, TruncatedFileError
        A file that the manifest names is missing or has the wrong size. Nothing is committed.
    IndexLockedError
        Another writer has committed this generation or a later one.
    StorageError
        A write failed. The index is unchanged, unless the message says that this is uncertain.
    """
    data = _readable_bytes(manifest)
    for entry in manifest.files:
        check_size(directory, entry)
    make_folder(directory)
    previous = highest(directory)
    if previous >= manifest.generation:
        raise _conflict(directory, previous)
    if not previous:
        sync_own_name(directory)
    noted = note_commit(directory, manifest.generation)
    with AtomicFile(directory / names.manifest_name(manifest.generation)) as file:
        file.append(data)
        try:
            file.publish_exclusive()
        except FileExistsError as error:
            raise _conflict(directory, manifest.generation) from error
        except StorageError as error:
            if not file.target.exists():
                raise
            uncertain = StorageError(
                f"{error} Generation {manifest.generation} has been written, but may not survive a power failure: "
                "check the index before you repeat the change"
            )
            uncertain.errno = error.errno
            raise uncertain from error
        noted.done = True
    write_generation_note(directory, manifest.generation)


def _readable_bytes(manifest: Manifest) -> bytes:
    """Return the manifest's bytes after parsing them, because a manifest that cannot be read must not be committed."""
    try:
        data = manifest.to_bytes()
        _parse(data)
    except (TypeError, ValueError, CorruptIndexError) as error:
        raise ConfigError(f"this manifest could not be read again: {error}") from error
    if len(data) > names.MAX_MANIFEST_BYTES:
        raise StorageError(
            f"the manifest has {len(data):,} bytes, more than {names.MAX_MANIFEST_BYTES:,}: compact the index into "
            "fewer segments"
        )
    return data


def _conflict(directory: Path, generation: int) -> IndexLockedError:
    return IndexLockedError(
        f"{directory}: another writer has committed generation {generation} in the meantime; open the index again "
        "and repeat the change"
    )


def generations(directory: Path) -> list[int]:
    """Return the generations that have a manifest file, in ascending order.

    Raises
    ------
    StorageError
        The folder cannot be read.
    """
    with storage_errors(directory, "listing"):
        numbers = [names.manifest_generation(path.name) for path in directory.iterdir()]
    return sorted(number for number in numbers if number is not None)


def highest(directory: Path) -> int:
    """Return the highest generation known to have been committed in this directory, or 0 if there is none."""
    noted = read_generation_note(directory)  # read before listing the manifests, because it is written after them
    return max([noted, *generations(directory)])


def newest(directory: Path) -> int:
    """Return the number of the current generation, which is the highest one.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        As in :func:`latest`.
    MissingFileError
        A later generation was committed in this directory, but its manifest is missing.
    """
    check_folder(directory)
    noted, present = read_generation_note(directory), generations(directory)[-1]  # in this order, as in highest
    if noted > present:
        raise missing_manifest_error(directory, noted)
    return present


def missing_manifest_error(directory: Path, generation: int) -> MissingFileError:
    """Return the error that reports a generation whose manifest is missing although it was committed."""
    return MissingFileError(
        f"generation {generation} was committed here, but its manifest is missing (or this copy was made while a "
        "writer was active): copy the index again, or go back to an older generation with "
        "`colstore.recover(path, generation)`",
        file=directory / names.manifest_name(generation),
    )


def latest(directory: Path) -> Manifest:
    """Return the manifest of the current generation.

    A damaged manifest is an error; there is no silent fallback to an older generation.

    Raises
    ------
    IndexNotFoundError
        The path does not exist.
    NotAnIndexError
        The path is not an index, or holds only an unfinished build.
    FormatVersionError
        A newer version of colstore wrote the manifest.
    CorruptIndexError
        The manifest is damaged or missing.
    """
    return load(directory, newest(directory))


def check_folder(directory: Path) -> None:
    """Check that a path is a folder with at least one generation, readable or not.

    Raises
    ------
    IndexNotFoundError
        The path does not exist.
    NotAnIndexError
        The path is a file, or a folder without a manifest.
    """
    with storage_errors(directory, "opening"):
        exists, is_folder = directory.exists(), directory.is_dir()
    if not exists:
        raise IndexNotFoundError(f"{directory}: no such path; create an index with `colstore.build(path, ...)`")
    if not is_folder:
        raise NotAnIndexError(f"{directory}: a file, not an index; an index is a directory made by `colstore.build`")
    if not generations(directory):
        raise _not_an_index(directory)


def load(directory: Path, generation: int) -> Manifest:
    """Return the manifest of one generation.

    Raises
    ------
    MissingFileError
        This generation has no manifest.
    FormatVersionError, CorruptIndexError
        As in :func:`latest`.
    """
    path = directory / names.manifest_name(generation)
    data = read_file(path, names.MAX_MANIFEST_BYTES)
    try:
        manifest = _parse(data)
        if manifest.generation != generation:
            message = f"it is the manifest of generation {manifest.generation}"
            raise CorruptIndexError(message)  # noqa: TRY301 - the handler below adds the file
    except FormatVersionError as error:
        raise FormatVersionError(f"{directory}: {error}") from error
    except CorruptIndexError as error:
        raise CorruptIndexError(
            f"the manifest is damaged: {error}. `colstore.history(path)` lists the older generations and what going "
            "back to each of them would lose",
            file=path,
        ) from error
    return manifest


def _parse(data: bytes) -> Manifest:
    """Parse the bytes of a manifest. The file is read every time, but equal bytes are parsed only once."""
    return _parse_cached(data) if len(data) <= _CACHED_BYTES else Manifest.from_bytes(data)


_parse_cached = lru_cache(_CACHED_MANIFESTS)(Manifest.from_bytes)


def _not_an_index(directory: Path) -> NotAnIndexError:
    if (directory / names.BUILDING).is_dir():
        return NotAnIndexError(
            f"{directory}: an unfinished build, no index yet; run the same build with resume=True, "
            "or with overwrite=True to start again"
        )
    return NotAnIndexError(f"{directory}: not a colstore index (no manifest in it)")
