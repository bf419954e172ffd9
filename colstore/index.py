"""The index: one object, each method a path through the rooms behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from colstore.config import OnError, SearchParams
from colstore.engine.filters import Where, allowed_documents, by_ids, find
from colstore.engine.search import Ranked, Searcher
from colstore.engine.tune import TuneReport, tune
from colstore.errors import ColstoreError, EncoderError, QueryError, UnknownIdError
from colstore.frozen import FILES, GRAPH, FrozenEncoder
from colstore.living.drift import advice, drift
from colstore.living.snapshot import Snapshot
from colstore.progress import BuildReport, Listener
from colstore.store import FORMAT_VERSION, Level, Manifest, read_whole
from colstore.types import Encoder, FloatMatrix, Hit, Json

if TYPE_CHECKING:  # what only changes need is imported when something changes
    from colstore.corpus import CorpusSource
    from colstore.living.adding import OnDuplicate
    from colstore.living.checking import VerifyReport
    from colstore.living.deleting import Missing
    from colstore.living.report import ChangeReport

Question = str | NDArray[Any]


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


class Index:
    """An open index: a snapshot of one generation. Open with :func:`colstore.open`.

    Searching never changes anything, and what others commit is not seen before :meth:`refresh`. The methods that change
    the index (:meth:`add`, :meth:`replace`, :meth:`delete`, :meth:`compact`, :meth:`recover`) each commit one new
    generation, starting from the newest one (which may be newer than this snapshot), and then refresh this object.

    Safe to share between threads, also while one of them refreshes: a search runs to its end on the snapshot that it
    began with. May be used after a ``fork``. Use as a context manager, or call :meth:`close`.
    """

    report: BuildReport | None = None
    """Of the build, where this object came from one."""

    def __init__(self, snapshot: Snapshot, encoder: Encoder | None) -> None:
        self.path, self._given, self._encoder = snapshot.path, encoder, encoder
        self._state = _State(snapshot, _searcher(snapshot, None))
        self._closed = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, encoder: Encoder | None = None) -> Self:
        """Open the newest generation; see :func:`colstore.open`."""
        snapshot = Snapshot.open(Path(path))
        dim = snapshot.manifest.dim
        if encoder is not None and encoder.dim != dim:
            raise EncoderError(f"this index has vectors of {dim} components, the encoder makes {encoder.dim}")
        return cls(snapshot, encoder)

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
        searcher = self._live()
        vectors = self._query_vectors(query)
        allowed = allowed_documents(searcher.shards, where, ids)
        if allowed is not None and not len(allowed):
            return []
        return _hits(searcher, searcher.search(vectors, k, allowed=allowed, params=params, threads=threads), k)

    def search_many(
        self, queries: Sequence[Question], k: int = 10, *, where: Where | None = None, ids: Iterable[str] | None = None,
        params: SearchParams | None = None, threads: int | None = None,
    ) -> list[list[Hit]]:  # fmt: skip
        """Return the hits of each question, as :meth:`search` would; ``threads`` (all cores) share the questions."""
        _check_k(k)
        if isinstance(queries, str):
            raise QueryError("search_many takes a list of questions; for a single one there is search")
        searcher = self._live()
        vectors = [self._query_vectors(query) for query in queries]
        allowed = allowed_documents(searcher.shards, where, ids)
        if allowed is not None and not len(allowed):
            return [[] for _ in queries]

        def answer(query: FloatMatrix) -> list[Hit]:
            return _hits(searcher, searcher.search(query, k, allowed=allowed, params=params), k)

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
        searcher = self._live()
        documents = by_ids(searcher.shards, ids)
        if not len(documents):
            return []
        ranked = searcher.rank(self._query_vectors(query), documents, threads=threads)
        return _hits(searcher, ranked, len(documents) if k is None else k)

    def vectors(self, ids: Iterable[str]) -> list[FloatMatrix]:
        """Return the decoded token vectors of documents, ``(tokens, dim)`` float32 each, in the order asked.

        Raises
        ------
        UnknownIdError
            An id that is not in the index.
        """
        searcher = self._live()
        names = [ids] if isinstance(ids, str) else list(ids)
        made = []
        for name, number in zip(names, find(searcher.shards, names), strict=True):
            if number < 0:
                raise UnknownIdError(f"there is no document {name!r} in this index")
            shard, local = searcher.locate(int(number))
            made.append(shard.vectors(local))
        return made

    def tune(
        self, queries: Sequence[Question] | None = None, *, recall: float = 0.99, k: int = 10,
        tick: Callable[[int, int], None] | None = None,
    ) -> TuneReport:  # fmt: skip
        """Find the cheapest settings that reach ``recall`` of the exact top ``k``, and store them in the index.

        Parameters
        ----------
        queries
            Questions like those to come; ``None`` takes runs of tokens out of documents, which are easier.
        recall
            Wanted, 0 to 1. Where nothing reaches it, the best is stored; see :attr:`TuneReport.reached`.
        k
            Hits.
        tick
            Called with (settings tried, settings in all).

        Raises
        ------
        ConfigError, QueryError
            Arguments that cannot be.
        IndexLockedError
            Another process is writing to the index, or has written since this object was opened.
        """
        _check_k(k)
        from colstore.living.tuning import store_tuned

        vectors = None if queries is None else [self._query_vectors(query) for query in queries]
        report = tune(self._live(), vectors, recall=recall, k=k, tick=tick)
        store_tuned(self.path, self._manifest, report.to_json())
        self.refresh()
        return report

    # --- changes ----------------------------------------------------------------------------------------------

    def add(
        self, documents: CorpusSource, *, on_duplicate: OnDuplicate = "error", on_error: OnError = "error",
        wait: float = 0.0, progress: Listener | None = None, model: str | os.PathLike[str] | None = None,
        trust_remote_code: bool = False, device: str | None = None,
    ) -> ChangeReport:  # fmt: skip
        """Add documents, all or none, with the encoder and the centroids that the index was built with.

        Parameters
        ----------
        documents
            As for :func:`colstore.build`; a document may bring its own vectors.
        on_duplicate
            An id that is there already, or comes twice: ``"error"``, ``"replace"`` (the newest counts), or ``"skip"``.
        on_error
            A document that cannot be read: ``"error"``, or ``"skip"``: count it and go on.
        wait
            Seconds to wait for another writer.
        progress
            Called every now and then.
        model
            Where the index's model is now, if no longer where it was. Another model is refused.
        trust_remote_code, device
            Of loading it; see :func:`colstore.build`. Not used where this object was opened with an encoder.

        Raises
        ------
        CorpusError, DuplicateIdError, VectorError
            Documents that cannot be added.
        EncoderError
            The index was built from vectors, or its model cannot be loaded or encodes differently now.
        IndexLockedError, StorageError
            Another writer is at work; the disk refused. As after every error, the index is then what it was.
        """
        from colstore.living.adding import add
        from colstore.living.encoders import ModelOptions

        self._live()
        options = ModelOptions(None if model is None else Path(model), trust_remote_code, device)
        report = add(
            self.path, documents, on_duplicate=on_duplicate, on_error=on_error, encoder=self._given, options=options,
            wait=wait, progress=progress,
        )  # fmt: skip
        self.refresh()
        return report

    def replace(self, documents: CorpusSource, *, wait: float = 0.0) -> ChangeReport:
        """Add documents in the place of those that have the same ids; see :meth:`add`."""
        return self.add(documents, on_duplicate="replace", wait=wait)

    def delete(self, ids: Iterable[str], *, missing: Missing = "error", wait: float = 0.0) -> ChangeReport:
        """Delete documents, all or none; see :func:`colstore.living.deleting.delete`.

        Raises
        ------
        UnknownIdError
            An id is not there, unless ``missing="skip"``.
        """
        from colstore.living.deleting import delete

        self._live()
        report = delete(self.path, ids, missing=missing, wait=wait)
        self.refresh()
        return report

    def compact(self, *, retrain: bool = False, clean: bool = False, wait: float = 0.0) -> ChangeReport:
        """Merge segments and drop what is deleted; see :func:`colstore.living.compacting.compact`."""
        from colstore.living.compacting import compact

        self._live()
        report = compact(self.path, retrain=retrain, clean=clean, wait=wait)
        self.refresh()
        return report

    def recover(self, generation: int, *, wait: float = 0.0) -> int:
        """Make an older generation the index again; see :func:`colstore.recover`."""
        from colstore.living.recovery import recover

        self._live()
        number = recover(self.path, generation, wait=wait)
        self.refresh()
        return number

    def verify(self, level: Level = "full", *, repair: bool = False, wait: float = 0.0) -> VerifyReport:
        """Check the newest generation on disk; see :func:`colstore.verify`."""
        from colstore.living.checking import verify

        return verify(self.path, level, repair=repair, wait=wait)

    def refresh(self) -> bool:
        """Move on to the newest generation, and tell whether that is another one.

        What the two share stays open, with everything that was read of it.
        """
        searcher, snapshot = self._live(), self._state.snapshot
        newest = Snapshot.open(self.path, snapshot)
        if newest is snapshot:
            return False
        self._state = _State(newest, _searcher(newest, searcher))
        return True

    # --- what it is -------------------------------------------------------------------------------------------

    @property
    def _manifest(self) -> Manifest:
        return self._state.snapshot.manifest

    def __len__(self) -> int:
        return self._manifest.live_documents

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
            path=str(self.path), format_version=FORMAT_VERSION, generation=manifest.generation,
            created=manifest.created, writer=manifest.writer, documents=manifest.live_documents,
            tokens=manifest.live_tokens, dim=manifest.dim, bits=codec.bits, centroids=len(codec.centroids.values),
            segments=len(manifest.segments),
            deleted=manifest.documents - manifest.live_documents,
            deleted_share=round(1 - manifest.live_tokens / max(1, manifest.tokens), 4),
            drift=drift(manifest), advice=tuple(advice(manifest)), bytes=sizes,
            bytes_per_token=round((sizes["total"] - sizes["encoder"] - texts) / max(1, manifest.tokens), 2),
            encoder=None if manifest.encoder is None else manifest.encoder.settings, config=manifest.config,
            tuned=manifest.tuned,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the files. Searching afterwards is an error; closing twice is not."""
        if not self._closed:
            self._closed = True
            self._state.snapshot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<colstore.Index {str(self.path)!r}: {len(self):,} documents, {self._manifest.live_tokens:,} vectors>"

    # --- helpers ----------------------------------------------------------------------------------------------

    def _live(self) -> Searcher:
        if self._closed:
            raise ColstoreError(f"{self.path}: this index is closed; open it again")
        return self._state.searcher

    def _query_vectors(self, query: Question) -> FloatMatrix:
        """Encode a text by itself (a batch would change the last digits), or pass vectors on."""
        if isinstance(query, str):
            if not query.strip():
                raise QueryError("the question is empty")
            return self.encoder.encode_queries([query])[0]
        return np.asarray(query)

    @property
    def encoder(self) -> Encoder:
        """The query encoder: the caller's own, else the frozen one of the index, else the model itself.

        Loaded when first asked for. Frozen ones encode questions only, without torch.
        """
        if self._encoder is None:
            self._encoder = _query_encoder(self.path, self._manifest)
        return self._encoder


@dataclass(frozen=True, slots=True)
class _State:
    """What an index object holds: replaced as a whole, so that no thread sees half of a refresh."""

    snapshot: Snapshot
    searcher: Searcher


def _searcher(snapshot: Snapshot, before: Searcher | None) -> Searcher:
    """Return a searcher of a snapshot, with what an earlier one has read and checked of the same segments."""
    searcher = Searcher(snapshot.segments, snapshot.codec, snapshot.params, snapshot.deleted)
    known = {} if before is None else {shard.segment.id: shard for shard in before.shards}
    for shard in searcher.shards:
        if shard.segment.id in known:
            shard.take_over(known[shard.segment.id])
    return searcher


def _hits(searcher: Searcher, ranked: Ranked, k: int) -> list[Hit]:
    """Name the documents, let ids decide ties, and cut."""
    names = searcher.names(ranked.documents)
    scores = ranked.scores.tolist()
    order = sorted(range(len(names)), key=lambda i: (-scores[i], names[i]))[:k]
    hits = []
    for rank, i in enumerate(order, start=1):
        shard, local = searcher.locate(int(ranked.documents[i]))
        title, text = shard.segment.record(local) or (None, None)
        hits.append(Hit(rank, names[i], scores[i], text, title, shard.segment.metadata(local)))
    return hits


def _query_encoder(path: Path, manifest: Manifest) -> Encoder:
    records = () if manifest.encoder is None else manifest.encoder.files
    files = {record.path.rpartition("/")[2]: record for record in records}
    if GRAPH not in files:
        from colstore.living.encoders import stored_encoder

        return stored_encoder(path, manifest)
    frozen = FrozenEncoder.load({name: read_whole(path, files[name]) for name in FILES if name in files})
    if frozen.dim != manifest.dim:
        raise EncoderError(
            f"{path}: the index has vectors of {manifest.dim} components, its query encoder makes {frozen.dim}; "
            "restore the index from a copy, or open it with an encoder of your own"
        )
    return frozen


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
