"""How long old generations stay: a reader that is just opening one must find its files, and people may want to go back.

A generation is kept while it is one of the newest :data:`KEEP`, or younger than :data:`GRACE_SECONDS` (by its
manifest's time on disk), but never more than :data:`KEEP_MOST`. A reader that has opened needs no file's name any more
(segments are mapped, everything else was read), and one that is opening starts again where a file went, so this bounds
how far ``recover`` can go back rather than how long a reader may live.
"""

from __future__ import annotations

import time
from pathlib import Path

from colstore.errors import ColstoreError
from colstore.store import Manifest, building_folder, generations, load, remove_unreferenced
from colstore.store.format import STATE, manifest_name

KEEP = 2
KEEP_MOST = 32
SLACK = 16
"""So many generations beyond the limit gather before a clean-up: it reads every manifest that it keeps."""
GRACE_SECONDS = 600.0


def clean_up(directory: Path, newest: Manifest, *, grace: float = GRACE_SECONDS, force: bool = False) -> list[str]:
    """Delete generations whose time is over, and files that none needs. Hold the writer lock meanwhile.

    Parameters
    ----------
    directory
        Of the index.
    newest
        Its newest manifest.
    grace
        Seconds for which an old generation is kept at least; 0 keeps only the newest.
    force
        Look for left-over files even where no generation is due, and delete unreadable generations, too.

    Returns
    -------
    list of str
        What was deleted, relative to the index.
    """
    present = generations(directory)
    kept = _kept(directory, present, grace)
    overdue = len(present) - len(kept)
    if not force and (not overdue or (len(kept) == KEEP_MOST and overdue < SLACK)):
        return []
    manifests = [newest]
    for generation in kept:
        if generation == newest.generation:
            continue
        try:
            manifests.append(load(directory, generation))
        except ColstoreError:
            if not force:  # what a damaged manifest named is not known: nothing goes until somebody says so
                return []
    # parts that no state names: a build died while it began or when it was done, and nobody can go on from there
    remains = force and not (building_folder(directory) / STATE).exists()
    return remove_unreferenced(directory, manifests, building=remains)


def _kept(directory: Path, present: list[int], grace: float) -> list[int]:
    if grace <= 0:
        return present[-1:]
    now = time.time()
    young = [n for n in present[-KEEP_MOST:] if now - _written(directory, n) < grace]
    return sorted({*young, *present[-KEEP:]})


def _written(directory: Path, generation: int) -> float:
    try:
        return (directory / manifest_name(generation)).stat().st_mtime
    except OSError:
        return 0.0
