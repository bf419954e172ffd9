"""What an index holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from colstore.codec import Codec
from colstore.codec.base import is_trained
from colstore.config import SearchParams
from colstore.indexing.kmeans import centroid_count
from colstore.indexing.segments import mean_error
from colstore.store import FORMAT_VERSION, Manifest
from colstore.types import Json


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index holds, and how it was made.

    Parameters
    ----------
    path, format_version, generation, created, writer
        Of the directory and its newest manifest.
    documents, tokens, dim
        Counts; of documents and tokens those that a search can return.
    segments
        How many.
    deleted, deleted_share
        Documents that are deleted and still take room, and the share of stored tokens that is theirs.
    drift
        How badly the centroids fit what was added, as a multiple of how they fit what they were trained for;
        ``None`` where nothing was added.
    advice
        What the owner should do, if anything.
    bits, centroids
        Of the codec.
    trained
        Whether the codec is trained. An index that was created empty and has few tokens is not: it keeps them at 16
        bits, and will have ``config["bits"]`` once it is.
    bytes
        By part: each array of the segments, codec, FAISS index, encoder, and ``total``.
    bytes_per_token
        All bytes but texts, metadata and encoder, over tokens.
    encoder
        Settings of the model; ``None`` where vectors came from the caller.
    config
        Settings of the build.
    tuned
        Search parameters that ``tune`` stored.
    """

    path: str
    format_version: int
    generation: int
    created: str
    writer: str
    documents: int
    tokens: int
    dim: int
    bits: int
    centroids: int
    trained: bool
    segments: int
    deleted: int
    deleted_share: float
    drift: float | None
    advice: tuple[str, ...]
    bytes: Mapping[str, int]
    bytes_per_token: float
    encoder: Mapping[str, Json] | None
    config: Mapping[str, Json]
    tuned: Mapping[str, Json] | None = field(default=None)

    def to_json(self) -> dict[str, Json]:
        """Return plain data."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["advice"] = list(self.advice)
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in plain.items()}


def index_info(path: Path, manifest: Manifest, codec: Codec) -> IndexInfo:
    """Return counts, sizes and settings of a generation."""
    sizes = sizes_of(manifest)
    texts = sum(sizes.get(name, 0) for name in ("texts", "metadata"))
    return IndexInfo(
        path=str(path),
        format_version=FORMAT_VERSION,
        generation=manifest.generation,
        created=manifest.created,
        writer=manifest.writer,
        documents=manifest.live_documents,
        tokens=manifest.live_tokens,
        dim=manifest.dim,
        bits=codec.bits,
        centroids=len(codec.centroids.values),
        trained=is_trained(manifest.codec.settings),
        segments=len(manifest.segments),
        deleted=manifest.documents - manifest.live_documents,
        deleted_share=round(1 - manifest.live_tokens / max(1, manifest.tokens), 4),
        drift=drift(manifest),
        advice=tuple(advice(manifest)),
        bytes=sizes,
        bytes_per_token=round((sizes["total"] - sizes["encoder"] - texts) / max(1, manifest.tokens), 2),
        encoder=_own(None if manifest.encoder is None else manifest.encoder.settings),
        config=_own(manifest.config) or {},
        tuned=_own(manifest.tuned),
    )


def _own(settings: Mapping[str, Json] | None) -> dict[str, Json] | None:
    """Return a copy that the caller may change."""
    return None if settings is None else deepcopy(dict(settings))


def sizes_of(manifest: Manifest) -> dict[str, int]:
    """Return bytes by part; what is neither array nor named file is HDF5's own and checksums."""
    sizes: dict[str, int] = {}
    for segment in manifest.segments:
        for name, spec in segment.arrays.items():
            sizes[name] = sizes.get(name, 0) + spec.nbytes
    sizes["codec"] = sum(record.bytes for record in manifest.codec.files)
    sizes["centroid_index"] = 0 if manifest.centroids is None else manifest.centroids.bytes
    sizes["encoder"] = 0 if manifest.encoder is None else sum(record.bytes for record in manifest.encoder.files)
    sizes["lexical"] = 0 if manifest.lexical is None else sum(record.bytes for record in manifest.lexical.files)
    total = sum(record.bytes for record in manifest.files)
    sizes["overhead"] = total - sum(sizes.values())
    sizes["total"] = total
    return sizes


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
    if manifest.live_tokens <= SearchParams().exact_tokens or not is_trained(manifest.codec.settings):
        return []  # every search scores everything
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
