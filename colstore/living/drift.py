"""How well the centroids still fit: their error on what was added, against that on what they were trained for.

The error is the mean of 1 - cosine between tokens and their centroids. The residual codecs divide what the centroid
leaves into steps, so their own error is in proportion to it (measured on SciFact at 4 bits: the ratio of the decoded
vectors' errors is within 3 % of this one's), and a token far from every centroid is also harder to find. Hence one
measure for all bits.

Even documents of the same kind fit somewhat worse than those that were trained on, the more so the smaller the index
was. Measured on SciFact: 2.2 times the error after 12,000 tokens, 1.6 after 60,000, 1.3 after 250,000. Advice therefore
starts at twice, and only where search relies on centroids at all.
"""

from __future__ import annotations

from colstore.config import SearchParams
from colstore.engine.centroids import centroid_count
from colstore.engine.sealing import mean_error
from colstore.store import Manifest

DRIFT_LIMIT = 2.0
ADDED_SHARE = 0.05
"""Share of tokens that must have been added before drift is worth a word."""
SMALLEST_ERROR = 0.01
"""Errors below this count as this: there, rounding of the centroids themselves is all there is."""
GROWTH_LIMIT = 4
"""Advice comes when the index should have so many times its centroids (it is some sixteen times as large)."""


def drift(manifest: Manifest) -> float | None:
    """Return the error on added tokens over the error on the first ones; ``None`` where nothing was added."""
    added = mean_error([segment.added for segment in manifest.segments if segment.added is not None])
    first = manifest.codec.settings.get("error")
    if added is None or not isinstance(first, int | float) or isinstance(first, bool):
        return None
    return round(max(added.error, SMALLEST_ERROR) / max(float(first), SMALLEST_ERROR), 3)


def advice(manifest: Manifest) -> list[str]:
    """Return what the owner of an index should do about its centroids, if anything."""
    if manifest.live_tokens <= SearchParams().exact_tokens:  # every search scores everything
        return []
    found = []
    measured = drift(manifest)
    added = sum(segment.added.tokens for segment in manifest.segments if segment.added is not None)
    if measured is not None and measured > DRIFT_LIMIT and added >= ADDED_SHARE * manifest.tokens:
        found.append(f"the centroids fit what was added {measured:.1f} times as badly as what they were trained for")
    centroids = manifest.codec.settings.get("centroids")
    chosen = manifest.config.get("centroids") is not None
    if not chosen and isinstance(centroids, int) and centroid_count(manifest.live_tokens) >= GROWTH_LIMIT * centroids:
        found.append(f"{centroids:,} centroids are few for {manifest.live_tokens:,} vectors")
    return [f"{reason}: {_cure(manifest)}" for reason in found]


def _cure(manifest: Manifest) -> str:
    retrain = "`colstore compact --retrain` trains new ones"
    if manifest.codec.settings.get("bits") == 16:
        return retrain
    return (
        f"{retrain} from the stored vectors (building again from the documents is more exact, where they are at hand)"
    )
