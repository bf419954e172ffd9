"""Documents out: a list beside their segment names them, and the next generation no longer returns them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

from colstore.errors import ConfigError, UnknownIdError
from colstore.reports import ChangeReport
from colstore.search.filters import checked_ids
from colstore.updating.change import Change

OnUnknownId = Literal["error", "skip"]
ON_UNKNOWN_ID: tuple[OnUnknownId, ...] = get_args(OnUnknownId)
WINDOW = 4_096


def delete(path: Path, ids: Iterable[str], *, missing: OnUnknownId = "error", wait: float = 0.0) -> ChangeReport:
    """Delete documents from an index: all of them in one step.

    Their bytes stay in the segment until it is merged (see :mod:`colstore.updating.merge_policy`) or compacted, and
    in older generations until those are removed.

    Parameters
    ----------
    path
        Of the index.
    ids
        Of the documents; an id that comes twice counts once.
    missing
        An id that the index does not hold: ``"error"``, or ``"skip"``: count it.
    wait
        Seconds to wait for another writer.

    Raises
    ------
    UnknownIdError
        An id is not there; nothing was deleted.
    IndexLockedError, StorageError, CorruptIndexError
        The index is then what it was.
    """
    if missing not in ON_UNKNOWN_ID:
        raise ConfigError(f"missing must be one of {ON_UNKNOWN_ID}, got {missing!r}")
    wanted = list(dict.fromkeys(checked_ids(ids)))
    with Change(path, wait) as change:
        places = [place for i in range(0, len(wanted), WINDOW) for place in change.find(wanted[i : i + WINDOW])]
        unknown = [name for name, place in zip(wanted, places, strict=True) if place is None]
        if unknown and missing == "error":
            shown = ", ".join(repr(name) for name in unknown[:5])
            raise UnknownIdError(
                f"{len(unknown)} of {len(wanted)} ids are not in the index, such as {shown}: nothing was deleted; "
                "delete the others all the same with missing='skip'"
            )
        change.delete([place for place in places if place is not None])
        change.report.unknown = len(unknown)
        change.report.deleted = len(wanted) - len(unknown)
        if not change.is_empty:
            change.merge_due()
            change.commit()
        return change.finish()
