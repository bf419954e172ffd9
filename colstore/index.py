"""The index: one object, each method a path through the rooms behind it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from colstore.codec.base import restore
from colstore.config import SearchParams
from colstore.engine.filters import Where, allowed_documents, by_ids, find
from colstore.engine.search import Ranked, Searcher
from colstore.errors import ColstoreError, EncoderError, QueryError, UnknownIdError
from colstore.progress import BuildReport
from colstore.store import FORMAT_VERSION, Manifest, Segment, latest, read_arrays_file, segments_folder
from colstore.types import Encoder, FloatMatrix, Hit, Json

Question = str | NDArray[Any]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index holds, and how it was made.

    Parameters
    ----------
    path, format_version, generation, created, writer
        Of the directory and its newest manifest.
    documents, tokens, dim
        Counts.
    bits, centroids
        Of the codec.
    bytes
        By part: each array of the segments, codec, FAISS index, encoder, and ``total``.
    bytes_per_token
        All bytes but texts and metadata, over tokens.
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
    segments: int
    bytes: Mapping[str, int]
    bytes_per_token: float
    encoder: Mapping[str, Json] | None
    config: Mapping[str, Json]
    tuned: Mapping[str, Json] | None = field(default=None)

    def to_json(self) -> dict[str, Json]:
        """Return plain data."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in plain.items()}


class Index:
    """An open index: a read-only snapshot of one generation. Open with :func:`colstore.open`.

    Safe to share between threads. Use as a context manager, or call :meth:`close`.
    """

    report: BuildReport | None = None
    """Of the build, where this object came from one."""

    def __init__(self, path: Path, manifest: Manifest, searcher: Searcher, encoder: Encoder | None) -> None:
        self.path, self._manifest, self._searcher, self._encoder = path, manifest, searcher, encoder
        self._closed = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, encoder: Encoder | None = None) -> Self:
        """Open the newest generation; see :func:`colstore.open`."""
        directory = Path(path)
        manifest = latest(directory)
        stored = read_arrays_file(directory, manifest.codec.files[0])
        codec = restore(stored.arrays, stored.attributes)
        segments = [Segment.open(segments_folder(directory), record) for record in manifest.segments]
        tuned = SearchParams(**manifest.tuned["params"]) if manifest.tuned else None  # type: ignore[arg-type, index]  # validated when made
        if encoder is not None and encoder.dim != manifest.dim:
            raise EncoderError(f"this index has vectors of {manifest.dim} components, the encoder makes {encoder.dim}")
        return cls(directory, manifest, Searcher(segments, codec, tuned), encoder)

    # --- questions --------------------------------------------------------------------------------------------

    def search(
        self, query: Question, k: int = 10, *, where: Where | None = None, ids: Iterable[str] | None = None,
        params: SearchParams | None = None, threads: int = 1,
    ) -> list[Hit]:  # fmt: skip
        """Return the ``k`` best documents for a question.

        Parameters
        ----------
        query
            Text, or token vectors ``(tokens, dim)``.
        k
            Number of hits; fewer come back where fewer documents are allowed.
        where
            Metadata that a document must have, see :func:`colstore.engine.filters.allowed_documents`.
        ids
            Only these documents.
        params
            How hard to look; by default as tuned, else by ``k``.
        threads
            That share one exhaustive scan.

        Raises
        ------
        QueryError
            A query, ``k`` or filter that cannot be answered.
        EncoderError
            A text, and no model to encode it.
        """
        _check_k(k)
        vectors = self._query_vectors(query)
        allowed = allowed_documents(self._live().shards, where, ids)
        if allowed is not None and not len(allowed):
            return []
        ranked = self._live().search(vectors, k, allowed=allowed, params=params, threads=threads)
        return self._hits(ranked, k)

    def search_many(
        self, queries: Sequence[Question], k: int = 10, *, where: Where | None = None, ids: Iterable[str] | None = None,
        params: SearchParams | None = None, threads: int | None = None,
    ) -> list[list[Hit]]:  # fmt: skip
        """Return the hits of each question, as :meth:`search` would; ``threads`` (all cores) share the questions."""
        _check_k(k)
        if isinstance(queries, str):
            raise QueryError("search_many takes a list of questions; for a single one there is search")
        vectors = [self._query_vectors(query) for query in queries]
        allowed = allowed_documents(self._live().shards, where, ids)
        if allowed is not None and not len(allowed):
            return [[] for _ in queries]

        def answer(query: FloatMatrix) -> list[Hit]:
            return self._hits(self._live().search(query, k, allowed=allowed, params=params), k)

        count = threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads or 1
        if count == 1 or len(vectors) < 2:
            return [answer(query) for query in vectors]
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(answer, vectors))

    def rerank(self, query: Question, ids: Sequence[str], *, k: int | None = None, threads: int = 1) -> list[Hit]:
        """Return the given documents, best first, scored from their stored codes alone.

        Raises
        ------
        UnknownIdError
            An id that is not in the index.
        """
        documents = by_ids(self._live().shards, ids)
        if not len(documents):
            return []
        ranked = self._live().rank(self._query_vectors(query), documents, threads=threads)
        return self._hits(ranked, len(documents) if k is None else k)

    def vectors(self, ids: Iterable[str]) -> list[FloatMatrix]:
        """Return the decoded token vectors of documents, ``(tokens, dim)`` float32 each, in the order asked.

        Raises
        ------
        UnknownIdError
            An id that is not in the index.
        """
        names = [ids] if isinstance(ids, str) else list(ids)
        made = []
        for name, number in zip(names, find(self._live().shards, names), strict=True):
            if number < 0:
                raise UnknownIdError(f"there is no document {name!r} in this index")
            shard, local = self._live().locate(int(number))
            made.append(shard.vectors(local))
        return made

    # --- what it is -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._manifest.documents

    def __contains__(self, document_id: object) -> bool:
        return isinstance(document_id, str) and bool(find(self._live().shards, [document_id])[0] >= 0)

    @property
    def dim(self) -> int:
        """Components of a token vector."""
        return self._manifest.dim

    @property
    def generation(self) -> int:
        """Of the snapshot."""
        return self._manifest.generation

    def info(self) -> IndexInfo:
        """Return counts, sizes and settings."""
        manifest, codec = self._manifest, self._live().codec
        sizes = _sizes(manifest)
        texts = sum(sizes.get(name, 0) for name in ("texts", "metadata"))
        return IndexInfo(
            path=str(self.path), format_version=FORMAT_VERSION, generation=manifest.generation, created=manifest.created,
            writer=manifest.writer, documents=manifest.documents, tokens=manifest.tokens, dim=manifest.dim,
            bits=codec.bits, centroids=len(codec.centroids.values), segments=len(manifest.segments), bytes=sizes,
            bytes_per_token=round((sizes["total"] - texts) / max(1, manifest.tokens), 2),
            encoder=None if manifest.encoder is None else manifest.encoder.settings, config=manifest.config,
            tuned=manifest.tuned,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the files. Searching afterwards is an error; closing twice is not."""
        if not self._closed:
            self._closed = True
            for shard in self._searcher.shards:
                shard.segment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<colstore.Index {str(self.path)!r}: {len(self):,} documents, {self._manifest.tokens:,} vectors>"

    # --- helpers ----------------------------------------------------------------------------------------------

    def _live(self) -> Searcher:
        if self._closed:
            raise ColstoreError(f"{self.path}: this index is closed; open it again")
        return self._searcher

    def _query_vectors(self, query: Question) -> FloatMatrix:
        """Encode a text by itself (a batch would change the last digits), or pass vectors on."""
        if isinstance(query, str):
            return self.encoder.encode_queries([query])[0]
        return np.asarray(query)

    @property
    def encoder(self) -> Encoder:
        """The query encoder, loaded when first asked for."""
        if self._encoder is None:
            self._encoder = _load_encoder(self.path, self._manifest)
        return self._encoder

    def _hits(self, ranked: Ranked, k: int) -> list[Hit]:
        """Name the documents, let ids decide ties, and cut."""
        searcher = self._live()
        places = [searcher.locate(int(document)) for document in ranked.documents]
        names = [shard.segment.ids[local] for shard, local in places]
        order = sorted(range(len(names)), key=lambda i: (-float(ranked.scores[i]), names[i]))[:k]
        hits = []
        for rank, i in enumerate(order, start=1):
            shard, local = places[i]
            title, text = shard.segment.record(local) or (None, None)
            hit = Hit(rank, names[i], float(ranked.scores[i]), text=text, title=title)
            hits.append(replace(hit, metadata=shard.segment.metadata(local)))
        return hits


def open_index(path: str | os.PathLike[str], *, encoder: Encoder | None = None) -> Index:
    """Open an index as a read-only snapshot, in milliseconds.

    Parameters
    ----------
    path
        Its directory.
    encoder
        For texts; by default the one that the index was built with, loaded when first needed.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        There is none; says what is there.
    FormatVersionError
        A newer colstore wrote it.
    CorruptIndexError
        A file is missing, has another size, or has changed.
    """
    return Index.open(path, encoder=encoder)


def _load_encoder(path: Path, manifest: Manifest) -> Encoder:
    if manifest.encoder is None:
        raise EncoderError("this index was built from vectors: search with vectors, or open it with an encoder")
    from colstore.encode import Projection, load_encoder_from_settings

    projection = None
    for record in manifest.encoder.files:
        if record.path.endswith("projection.h5"):
            projection = Projection.from_arrays(read_arrays_file(path, record).arrays)
    return load_encoder_from_settings(manifest.encoder.settings, projection=projection)


def _sizes(manifest: Manifest) -> dict[str, int]:
    """Return bytes by part; what is neither array nor named file is HDF5's own and checksums."""
    sizes: dict[str, int] = {}
    for segment in manifest.segments:
        for name, spec in segment.arrays.items():
            sizes[name] = sizes.get(name, 0) + spec.nbytes
    sizes["codec"] = sum(record.bytes for record in manifest.codec.files)
    sizes["centroid_index"] = 0 if manifest.centroids is None else manifest.centroids.bytes
    sizes["encoder"] = 0 if manifest.encoder is None else sum(record.bytes for record in manifest.encoder.files)
    total = sum(record.bytes for record in manifest.files)
    sizes["overhead"] = total - sum(sizes.values())
    sizes["total"] = total
    return sizes


def _check_k(k: object) -> None:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise QueryError(f"k must be a whole number of at least 1, got {k!r}")


