"""Retention of old generations, for readers that are just opening one and for people who want to return to one.

A generation is kept while it is among the newest :data:`KEEP`, or younger than :data:`GRACE_SECONDS` (by the
modification time of its manifest), but never more than :data:`KEEP_MOST` are kept. A reader that has finished opening
no longer needs the files by name, because segments are mapped and everything else has been read; a reader that is
still opening starts again when a file disappears. Retention therefore limits how far back ``recover`` can go, not how
long a reader may keep its snapshot.
"""

from __future__ import annotations

import time
from pathlib import Path

from colstore.errors import ColstoreError
from colstore.store import Manifest, building_folder, generations, load, remove_unreferenced
from colstore.store.format import STATE, manifest_name

KEEP = 2
"""Number of newest generations that are kept whatever their age."""
KEEP_MOST = 32
"""Most generations that are kept within the grace period."""
SLACK = 16
"""Number of generations beyond :data:`KEEP_MOST` that trigger a clean-up, which reads every manifest that it keeps."""
GRACE_SECONDS = 600.0
"""Seconds for which a generation is kept."""


def clean_up(directory: Path, newest: Manifest, *, grace: float = GRACE_SECONDS, force: bool = False) -> list[str]:
    """Delete expired generations and the files that no remaining one needs. The caller must hold the writer lock.

    Parameters
    ----------
    directory
        The directory of the index.
    newest
        The newest manifest.
    grace
        Seconds for which an old generation is kept at least; 0 keeps only the newest generation.
    force
        Also look for left-over files where no generation has expired, and delete unreadable generations.

    Returns
    -------
    list of str
        Paths of the deleted files, relative to the index.
    """
    present = generations(directory)
    retained = _retained(directory, present, grace)
    expired = len(present) - len(retained)
    if not force and (not expired or (len(retained) == KEEP_MOST and expired < SLACK)):
        return []
    manifests = [newest]
    for generation in retained:
        if generation == newest.generation:
            continue
        try:
            manifests.append(load(directory, generation))
        except ColstoreError:
            if not force:  # the files of a damaged manifest are unknown, so nothing is deleted unless asked for
                return []
    # Without a state file no build can be resumed: it was killed just after it began or just before it ended.
    abandoned = force and not (building_folder(directory) / STATE).exists()
    return remove_unreferenced(directory, manifests, building=abandoned)


def _retained(directory: Path, present: list[int], grace: float) -> list[int]:
    """Return the generations to keep, ascending."""
    if grace <= 0:
        return present[-1:]
    now = time.time()
    young = [n for n in present[-KEEP_MOST:] if now - _modified(directory, n) < grace]
    return sorted({*young, *present[-KEEP:]})


def _modified(directory: Path, generation: int) -> float:
    """Return the modification time of a manifest in seconds since the epoch; 0 where it cannot be read."""
    try:
        return (directory / manifest_name(generation)).stat().st_mtime
    except OSError:
        return 0.0
