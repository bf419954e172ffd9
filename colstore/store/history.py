"""Generations of an index: committing a new manifest, and finding the one that counts."""

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
from colstore.store.files import Beside, make_folder, storage_errors, sync_own_name
from colstore.store.generation_note import note, noted
from colstore.store.manifest import Manifest
from colstore.store.reading import read_file
from colstore.store.whole_files import check_size

_REMEMBERED, _REMEMBERED_BYTES = 48, 32_768
"""Manifests that are parsed once, and the most bytes of each: a small change reads those of all generations kept."""


def commit(directory: Path, manifest: Manifest) -> None:
    """Make a generation the index, atomically; when this returns, it survives a crash.

    The manifest is written under a temporary name, synced, linked to its final name (which fails if another
    writer was first), and the folder is synced. Hold a :class:`colstore.store.WriterLock` meanwhile.

    Raises
    ------
    ConfigError
        A field cannot be stored (not JSON, NaN, a malformed date).
    MissingFileError, TruncatedFileError
        A file that the manifest names is not there as recorded; nothing is committed.
    IndexLockedError
        Another writer committed this generation or a later one.
    StorageError
        The disk refused; the index is what it was, unless the message says that this is not certain.
    """
    data = _readable_bytes(manifest)
    for record in manifest.files:
        check_size(directory, record)
    make_folder(directory)
    before = highest(directory)
    if before >= manifest.generation:
        raise _overtaken(directory, before)
    if not before:
        sync_own_name(directory)
    with Beside(directory / names.manifest_name(manifest.generation)) as file:
        file.append(data)
        try:
            file.publish_exclusive()
        except FileExistsError as error:
            raise _overtaken(directory, manifest.generation) from error
        except StorageError as error:
            if not file.target.exists():
                raise
            uncertain = StorageError(
                f"{error} Generation {manifest.generation} is there, but might not survive a power loss: look at the "
                "index again before you repeat the change"
            )
            uncertain.errno = error.errno
            raise uncertain from error
    note(directory, manifest.generation)


def _readable_bytes(manifest: Manifest) -> bytes:
    """Return the manifest's bytes after reading them back: what cannot be read must not be committed."""
    try:
        data = manifest.to_bytes()
        _parsed(data)
    except (TypeError, ValueError, CorruptIndexError) as error:
        raise ConfigError(f"this manifest could not be read again: {error}") from error
    if len(data) > names.MAX_MANIFEST_BYTES:
        raise StorageError(f"the manifest would take {len(data):,} bytes: compact the index into fewer segments")
    return data


def _overtaken(directory: Path, generation: int) -> IndexLockedError:
    return IndexLockedError(
        f"{directory}: another writer has committed generation {generation} meanwhile; open the index again "
        "and repeat the change"
    )


def generations(directory: Path) -> list[int]:
    """Return the generations whose manifests are there, ascending.

    Raises
    ------
    StorageError
        The folder cannot be read.
    """
    with storage_errors(directory, "listing"):
        found = [names.manifest_generation(path.name) for path in directory.iterdir()]
    return sorted(generation for generation in found if generation is not None)


def highest(directory: Path) -> int:
    """Return the highest generation that was ever committed here, as far as is known; 0 where there is none."""
    known = noted(directory)  # before the manifests are listed: it is written after its own
    return max([known, *generations(directory)])


def newest(directory: Path) -> int:
    """Return the generation that is the index: the highest.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        As in :func:`latest`.
    MissingFileError
        A later one was committed here, and its manifest is gone.
    """
    check_folder(directory)
    known, found = noted(directory), generations(directory)[-1]  # in this order, as in highest
    if known > found:
        raise gone(directory, known)
    return found


def gone(directory: Path, generation: int) -> MissingFileError:
    """Return the error of a manifest that was there once."""
    return MissingFileError(
        f"generation {generation} was committed here, and its manifest is gone (or this copy was made while a writer "
        "was at work): copy the index again, or go back to an older generation with `colstore.recover(path, ...)`",
        file=directory / names.manifest_name(generation),
    )


def latest(directory: Path) -> Manifest:
    """Return the manifest of the highest generation.

    A damaged one is an error, never a reason to fall back silently to an older state.

    Raises
    ------
    IndexNotFoundError
        There is nothing at this path.
    NotAnIndexError
        There is something else, or a build that was never finished.
    FormatVersionError
        A newer colstore wrote it.
    CorruptIndexError
        The manifest is damaged, or gone.
    """
    return load(directory, newest(directory))


def check_folder(directory: Path) -> None:
    """Check that a path is a folder with at least one generation, readable or not.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        It is not.
    """
    with storage_errors(directory, "opening"):
        exists, is_folder = directory.exists(), directory.is_dir()
    if not exists:
        raise IndexNotFoundError(f"{directory}: no such path; `colstore.build(...)` makes one")
    if not is_folder:
        raise NotAnIndexError(f"{directory}: a file, not an index; `colstore.build(...)` makes a directory")
    if not generations(directory):
        raise _not_an_index(directory)


def load(directory: Path, generation: int) -> Manifest:
    """Return the manifest of one generation.

    Raises
    ------
    MissingFileError
        There is no such generation.
    FormatVersionError, CorruptIndexError
        As in :func:`latest`.
    """
    path = directory / names.manifest_name(generation)
    data = read_file(path, names.MAX_MANIFEST_BYTES)
    try:
        manifest = _parsed(data)
        if manifest.generation != generation:
            raise CorruptIndexError(f"it says that it is generation {manifest.generation}")  # noqa: TRY301
    except FormatVersionError as error:
        raise FormatVersionError(f"{directory}: {error}") from error
    except CorruptIndexError as error:
        raise CorruptIndexError(
            f"the manifest is damaged: {error}. `colstore.history(path)` lists the older generations "
            "and what each would lose",
            file=path,
        ) from error
    return manifest


def _parsed(data: bytes) -> Manifest:
    """Return what bytes say that were read from the disk just now; only the parsing of equal ones is spared."""
    return _remembered(data) if len(data) <= _REMEMBERED_BYTES else Manifest.from_bytes(data)


_remembered = lru_cache(_REMEMBERED)(Manifest.from_bytes)


def _not_an_index(directory: Path) -> NotAnIndexError:
    if (directory / names.BUILDING).is_dir():
        return NotAnIndexError(
            f"{directory}: an unfinished build, no index yet; run the same build with resume=True, "
            "or with overwrite=True to start again"
        )
    return NotAnIndexError(f"{directory}: not a colstore index (no manifest in it)")
