"""Search parameters that tuning found, kept in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from colstore.errors import IndexLockedError
from colstore.living.change import Change
from colstore.store import Manifest
from colstore.types import Json


def store_tuned(path: Path, manifest: Manifest, tuned: Mapping[str, Json], *, wait: float = 0.0) -> None:
    """Commit a generation with new tuned parameters.

    Parameters
    ----------
    manifest
        Of the snapshot that was tuned. Documents may have come and gone meanwhile, but not other centroids.

    Raises
    ------
    IndexLockedError
        Another writer is at work, or has trained new centroids since.
    """
    with Change(path, wait) as change:
        if change.newest.codec != manifest.codec:
            raise IndexLockedError(f"{path}: another writer has trained new centroids meanwhile; tune again")
        change.commit(tuned=dict(tuned))
