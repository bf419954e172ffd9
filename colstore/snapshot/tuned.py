"""What tuning stored in an index: read from, and written to, the ``tuned`` part of its manifest.

The part is a JSON object: the fields of a :class:`colstore.TuneReport`, of which searching reads ``params``, and under
``rerank`` those of a :class:`colstore.Calibration`, of which reranking reads ``threshold``. Either may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from colstore.config import SearchParams
from colstore.errors import ConfigError, CorruptIndexError
from colstore.store import Manifest
from colstore.types import Json

_RERANK = "rerank"

Tuned = Mapping[str, Json]


def search_params(path: Path, manifest: Manifest) -> SearchParams | None:
    """Return the stored search parameters; ``None`` where tuning has stored none.

    Raises
    ------
    CorruptIndexError
        The stored parameters are invalid.
    """
    stored = manifest.tuned
    if stored is None or ("params" not in stored and _RERANK in stored):
        return None
    params = stored.get("params")
    try:
        if not isinstance(params, Mapping):
            raise TypeError("they are missing")  # noqa: TRY301 - one message for everything that is wrong with them
        return SearchParams(**params)  # type: ignore[arg-type]  # checked by the class
    except (ConfigError, TypeError) as error:
        raise CorruptIndexError(f"the tuned parameters are invalid: {error}", file=path) from error


def rerank_threshold(manifest: Manifest) -> float | None:
    """Return the stored threshold of the policy ``"uncertain"``; ``None`` where calibrating has stored none."""
    calibration = (manifest.tuned or {}).get(_RERANK)
    threshold = calibration.get("threshold") if isinstance(calibration, dict) else None
    return float(threshold) if isinstance(threshold, int | float) else None


def with_search(stored: Tuned | None, report: Tuned) -> dict[str, Json]:
    """Return the part with another tuning report; the calibration stays."""
    calibration = (stored or {}).get(_RERANK)
    return {**report, **({} if calibration is None else {_RERANK: calibration})}


def with_calibration(stored: Tuned | None, calibration: Tuned) -> dict[str, Json]:
    """Return the part with another calibration; the tuning report stays."""
    return {**(stored or {}), _RERANK: dict(calibration)}
