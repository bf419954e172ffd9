"""Counts, sizes and settings of an index, and how well its centroids fit the documents that were added."""

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
from colstore.notebook import html_table
from colstore.store import FORMAT_VERSION, Manifest
from colstore.types import Json


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """Counts, sizes and settings of one generation of an index.

    Parameters
    ----------
    path
        The directory of the index.
    format_version
        Version of the format on disk.
    generation
        Number of the generation.
    created, writer
        When the generation was committed (ISO 8601, UTC), and by which version of colstore.
    documents, tokens
        Number of live documents and of their token vectors; deleted documents do not count.
    passages_per_document
        Mean number of passages that a stored document consists of, deleted ones included; 1.0 where none has several.
    dim
        Number of components of a token vector.
    bits
        Bits per component in the codec.
    centroids
        Number of centroids.
    segments
        Number of segments.
    deleted
        Number of deleted documents that still take up space.
    deleted_share
        Share of the stored tokens that belongs to deleted documents, from 0 to 1.
    drift
        Mean error of the centroids on the added tokens divided by their error on the tokens that they were trained
        for; ``None`` where nothing was added.
    advice
        What should be done about the index, one sentence each; usually empty.
    bits, centroids
        Of the codec.
    trained
        Whether the codec is trained. An index that was created empty and has few tokens is not: it keeps them at 16
        bits, and will have ``config["bits"]`` once it is.
    bytes
        Bytes of each part: every array of the segments, codec, FAISS index, encoder, BM25 index, and ``total``.
    bytes_per_token
        All bytes except texts, metadata and encoder, divided by the number of tokens.
    encoder
        Settings of the model; ``None`` where the caller supplied the vectors.
    config
        Settings of the build.
    tuned
        Search parameters that tuning stored; ``None`` where the index was not tuned.
    """

    path: str
    format_version: int
    generation: int
    created: str
    writer: str
    documents: int
    tokens: int
    passages_per_document: float
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

    def __repr__(self) -> str:
        counts = f"{self.documents:,} documents, {self.tokens:,} vectors of {self.dim} components"
        return f"<colstore.IndexInfo {self.path!r}: {counts}, {self.bits} bits, {self.bytes['total']:,} bytes>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        model = None if self.encoder is None else self.encoder.get("model")
        rows: list[tuple[str, object]] = [
            ("path", self.path),
            ("documents", f"{self.documents:,}"),
            ("token vectors", f"{self.tokens:,} of {self.dim} components, {self.bits} bits"),
            ("segments", f"{self.segments:,}, {self.deleted:,} documents deleted"),
            ("bytes", f"{self.bytes['total']:,}"),
            ("model", model),
            ("generation", f"{self.generation}, {self.created}"),
            *(("advice", sentence) for sentence in self.advice),
        ]
        return html_table((), rows)

    def to_json(self) -> dict[str, Json]:
        """Return the fields as data that ``json`` can write."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["advice"] = list(self.advice)
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in fields.items()}


def index_info(path: Path, manifest: Manifest, codec: Codec) -> IndexInfo:
    """Return the counts, sizes and settings of a generation.

    Parameters
    ----------
    path
        The directory of the index.
    manifest
        The manifest of the generation.
    codec
        The codec of the generation.
    """
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
        passages_per_document=_passages_per_document(manifest),
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
        encoder=_copy(None if manifest.encoder is None else manifest.encoder.settings),
        config=_copy(manifest.config) or {},
        tuned=_copy(manifest.tuned),
    )


def _passages_per_document(manifest: Manifest) -> float:
    passages = sum(segment.passages for segment in manifest.segments)
    return round(passages / manifest.documents, 2) if manifest.documents else 1.0


def _copy(settings: Mapping[str, Json] | None) -> dict[str, Json] | None:
    """Return a copy, so that a caller who changes it leaves the manifest alone."""
    return None if settings is None else deepcopy(dict(settings))


def sizes_of(manifest: Manifest) -> dict[str, int]:
    """Return the bytes of each part; ``overhead`` is the rest of the files, HDF5 structures and checksums."""
    sizes: dict[str, int] = {}
    for segment in manifest.segments:
        for name, spec in segment.arrays.items():
            sizes[name] = sizes.get(name, 0) + spec.nbytes
    sizes["codec"] = sum(file.bytes for file in manifest.codec.files)
    sizes["centroid_index"] = 0 if manifest.centroids is None else manifest.centroids.bytes
    sizes["encoder"] = 0 if manifest.encoder is None else sum(file.bytes for file in manifest.encoder.files)
    sizes["lexical"] = 0 if manifest.lexical is None else sum(file.bytes for file in manifest.lexical.files)
    total = sum(file.bytes for file in manifest.files)
    sizes["overhead"] = total - sum(sizes.values())
    sizes["total"] = total
    return sizes


DRIFT_LIMIT = 2.0
"""Drift above which retraining is advised."""
ADDED_SHARE = 0.05
"""Share of the tokens that must have been added before drift is mentioned."""
SMALLEST_ERROR = 0.01
"""Smaller errors count as this one: they come from rounding the centroids themselves."""
GROWTH_LIMIT = 4
"""Retraining is advised when the index should have this many times its centroids, having grown about sixteenfold."""


def drift(manifest: Manifest) -> float | None:
    """Return the error on the added tokens divided by the error on the first ones; ``None`` where nothing was added."""
    added = mean_error([segment.added for segment in manifest.segments if segment.added is not None])
    trained = manifest.codec.settings.get("error")
    if added is None or not isinstance(trained, int | float) or isinstance(trained, bool):
        return None
    return round(max(added.error, SMALLEST_ERROR) / max(float(trained), SMALLEST_ERROR), 3)


def advice(manifest: Manifest) -> list[str]:
    """Return what the owner of an index should do about its centroids and its BM25 index; usually nothing."""
    stale = manifest.lexical is not None and not manifest.lexical.files
    bm25 = ["the BM25 index is out of date: `index.build_bm25()` rebuilds it"] if stale else []
    if manifest.live_tokens <= SearchParams().exact_tokens or not is_trained(manifest.codec.settings):
        return bm25
    reasons = []
    measured = drift(manifest)
    added = sum(segment.added.tokens for segment in manifest.segments if segment.added is not None)
    if measured is not None and measured > DRIFT_LIMIT and added >= ADDED_SHARE * manifest.tokens:
        reasons.append(
            f"the centroids fit the added documents {measured:.1f} times as badly as those that they were trained for"
        )
    centroids = manifest.codec.settings.get("centroids")
    chosen = manifest.config.get("centroids") is not None
    if not chosen and isinstance(centroids, int) and centroid_count(manifest.live_tokens) >= GROWTH_LIMIT * centroids:
        reasons.append(f"{centroids:,} centroids are few for {manifest.live_tokens:,} vectors")
    return [*(f"{reason}: {_remedy(manifest)}" for reason in reasons), *bm25]


def _remedy(manifest: Manifest) -> str:
    retrain = "`index.compact(retrain=True)` trains new ones"
    if manifest.codec.settings.get("bits") == 16:
        return retrain
    return (
        f"{retrain} from the stored vectors (building the index again from the documents is more accurate, if you "
        "still have them)"
    )
