"""The output path of a new index: whether it may be used, and what is left there when a build fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import W_OK, X_OK, access
from pathlib import Path

from colstore.errors import IndexExistsError, NotAnIndexError, ResumeError, StorageError
from colstore.store import WriterLock, building_folder, generations, highest, read_state
from colstore.store.files import remove, remove_empty_folder
from colstore.store.format import ENCODER, LOCK, is_temporary, kind_of
from colstore.types import Json


def claim_output(path: Path, *, overwrite: bool, resume: bool) -> None:
    """Check that an index may be made at ``path``; nothing is changed.

    Raises
    ------
    IndexExistsError
        There is an index, and ``overwrite`` is not set.
    NotAnIndexError
        There is something that colstore did not write, or an unfinished build, and neither ``overwrite`` nor ``resume``
        is set.
    StorageError
        This process may not write there.
    """
    _check_writable(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise NotAnIndexError(f"{path}: a file is in the way; choose another output path")
    if generations(path):
        if overwrite or (resume and building_folder(path).is_dir()):
            return
        raise IndexExistsError(
            f"{path}: there is an index already; choose another path, or build with overwrite=True to replace it once "
            "the new one is complete"
        )
    if building_folder(path).is_dir():
        if overwrite or resume:
            return
        raise NotAnIndexError(
            f"{path}: an unfinished build lies here; continue it with resume=True, or use overwrite=True to start again"
        )
    if _leftovers(path) is None:
        raise NotAnIndexError(f"{path}: a folder with other files in it; choose a new or empty path")


def _check_writable(path: Path) -> None:
    """Refuse a place where nothing can be written, before a model is loaded or a document is encoded."""
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if place.is_dir() and not access(place, W_OK | X_OK):
        raise StorageError(
            f"{path}: this process may not write in {place} (the folder or its file system is read-only, or belongs to "
            "another user); choose another output path, or change the permissions"
        )


@contextmanager
def locked_output(path: Path) -> Iterator[None]:
    """Hold the writer lock of the output path; a folder made for it is removed again if nothing comes of it.

    What a writer left that was killed while it created an index is removed first.

    Raises
    ------
    IndexLockedError
        Another process is writing there.
    """
    new = not path.exists()
    with WriterLock(path) as lock:
        _remove_leftovers(path)
        try:
            yield
        except BaseException:
            _remove_leftovers(path)
            if new:
                lock.withdraw()
            raise


def _leftovers(path: Path) -> list[Path] | None:
    """Return the files that an unfinished creation left in a folder; ``None`` where anything else is in it, too."""
    files = []
    for entry in path.rglob("*"):
        name = entry.relative_to(path).as_posix()
        if entry.is_dir() and not entry.is_symlink():
            if name.partition("/")[0] != ENCODER:
                return None
        elif kind_of(name) in ("codec", "centroids", "encoder") or is_temporary(entry.name):
            files.append(entry)
        elif name != LOCK:
            return None
    return files


def _remove_leftovers(path: Path) -> None:
    """Remove what an unfinished creation left, where there is nothing but that."""
    files = _leftovers(path)
    if files is None:
        return
    with suppress(StorageError):  # the next creation removes what is left now
        for file in files:
            remove(file)
        for folder in (*path.glob(f"{ENCODER}/*"), path / ENCODER):
            remove_empty_folder(folder)


def state_to_resume(path: Path, settings: dict[str, Json], *, overwrite: bool) -> dict[str, Json] | None:
    """Return the state of the unfinished build at ``path`` if it was made with the same settings.

    Raises
    ------
    ResumeError
        It was made with other settings; the message says which.
    IndexExistsError
        It was finished, or the index has changed since, and ``overwrite`` is not set.
    """
    state = read_state(path)
    if not overwrite and highest(path) != (0 if state is None else state.get("over", 0)):
        raise IndexExistsError(
            f"{path}: there is an index that this build was not begun over: it is finished, or the index has changed "
            "since; use overwrite=True to replace it"
        )
    if state is None:
        return None
    before = state.get("settings")
    if before != settings:
        changed = sorted(key for key in settings if not isinstance(before, dict) or before.get(key) != settings[key])
        raise ResumeError(
            f"{path}: the unfinished build there was begun with other settings ({', '.join(changed) or 'unknown'}); "
            "use the same ones, or overwrite=True to start again"
        )
    return state


def recorded_backend(path: Path) -> str | None:
    """Return the backend that the unfinished build at ``path`` encodes with; ``None`` where there is none."""
    state = read_state(path)
    settings = None if state is None else state.get("settings")
    encoder = settings.get("encoder") if isinstance(settings, dict) else None
    backend = encoder.get("backend") if isinstance(encoder, dict) else None
    return backend if isinstance(backend, str) else None
