"""The build, step by step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from colstore.building.compression import Compressed, compress
from colstore.building.encoding import encoded_windows
from colstore.building.estimate import CorpusSize, corpus_size
from colstore.building.freezing import write_encoder
from colstore.building.meters import EncodeMeter, StageMeter
from colstore.building.output import claim_output, locked_output, recorded_backend, state_to_resume
from colstore.building.parts import Parts
from colstore.building.training import train_centroids, train_projection
from colstore.codec import Codec, make
from colstore.codec.base import codec_settings, to_arrays
from colstore.config import Bits, BuildConfig, FrozenDtype, OnError, Pooling
from colstore.corpus import CorpusSource, IntakeReport, read_documents
from colstore.encode import ProjectedEncoder, Projection, load_encoder, pool
from colstore.encode.backends import PROBE_DOCUMENTS
from colstore.engine.faiss_index import build_faiss
from colstore.errors import ConfigError, CorpusError
from colstore.index import Index
from colstore.progress import BuildReport, Listener
from colstore.store import (
    Manifest,
    Part,
    centroids_name,
    codec_name,
    commit,
    highest,
    remove_unreferenced,
    write_arrays_file,
    write_whole,
)
from colstore.types import Document, Encoder, FloatMatrix, Json

SMALL_CORPUS = 512
"""Documents that are encoded before a self-test of backends would be over."""


def build(
    path: str | Path, corpus: CorpusSource, *, model: str | Path | Encoder = "embedded", dim: int | None = None,
    bits: Bits = 4, pool_factor: float = 1.0, pooling: Pooling = "hierarchical", max_tokens: int | None = None,
    query_length: int | None = None, store_texts: bool = True, overwrite: bool = False, resume: bool = False,
    on_error: OnError = "error", on_duplicate: OnError = "error", trust_remote_code: bool = False,
    revision: str | None = None, device: str | None = None, dtype: str = "float32", backend: str = "auto",
    frozen_dtype: FrozenDtype = "float32", first_stage: Literal["bm25"] | None = None, centroids: int | None = None,
    seed: int = 0, progress: Listener | None = None,
) -> Index:  # fmt: skip
    """Build an index over a corpus, and open it.

    Parameters
    ----------
    path
        Directory of the new index.
    corpus
        A BEIR folder, a JSONL, CSV, TSV or Parquet file, a folder of texts, ``"-"``, or an iterable of
        :class:`Document`, dict or str.
    model
        Folder or hub name of a checkpoint, ``"embedded"``, or an :class:`Encoder`.
    dim
        Project the vectors on so many principal axes of the corpus; ``None`` keeps all.
    bits, pool_factor, pooling, store_texts, centroids, seed
        See :class:`BuildConfig`.
    max_tokens, query_length, trust_remote_code, revision, device, dtype
        See :func:`colstore.encode.load_encoder`; not used with an encoder of your own.
    backend
        What runs the model over documents, see :func:`colstore.encode.with_backend`; ``"auto"`` tries what is installed
        on some of the documents, unless they are few. Stored, and used for all that is added later.
    frozen_dtype
        How the index keeps the weights of its query encoder, see :func:`colstore.encode.export_query_encoder`.
    first_stage
        ``"bm25"`` also makes a BM25 index, for hybrid search; see :meth:`Index.make_bm25`.
    overwrite
        Replace an index at ``path``, once the new one is complete: until then the old one can be opened and searched,
        and readers that have it open keep it.
    resume
        Go on with an interrupted build of the same corpus and settings. Not over an index that is complete, or has
        changed since that build began, unless ``overwrite`` is set, too.
    on_error, on_duplicate
        ``"error"``, or ``"skip"``: count, report and go on.
    progress
        Called every now and then.

    Returns
    -------
    Index
        With :attr:`Index.report`.

    Raises
    ------
    CorpusError, VectorError, EncoderError, ConfigError, IndexExistsError, NotAnIndexError, IndexLockedError
        Nothing appears at ``path`` then, and an index that was there stays as it was.
    """
    config = BuildConfig(
        bits=bits,
        pool_factor=pool_factor,
        pooling=pooling,
        centroids=centroids,
        store_texts=store_texts,
        seed=seed,
    )
    if first_stage is not None:
        _check_first_stage(first_stage, store_texts=store_texts)
    path = Path(path)
    claim_output(path, overwrite=overwrite, resume=resume)
    intake = IntakeReport()
    documents = read_documents(corpus, on_error=on_error, on_duplicate=on_duplicate, report=intake)
    encoder = model
    if isinstance(model, str | Path):
        sample: list[str] = []
        if backend == "auto":
            backend = (recorded_backend(path) if resume else None) or backend
        if backend == "auto":
            sample, documents = _sample(documents)
        encoder = load_encoder(
            model, trust_remote_code=trust_remote_code, revision=revision, device=device, dtype=dtype,
            max_tokens=max_tokens, query_length=query_length, backend=backend, documents=sample,
        )  # fmt: skip
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"model must be a name, a folder or an Encoder, got {type(model).__name__}")
    size = None if progress is None else corpus_size(corpus)
    index = _Build(path, config, encoder, dim, progress, size, frozen_dtype).run(
        documents, intake, overwrite=overwrite, resume=resume
    )
    if first_stage is not None:
        try:
            index.make_bm25()
        except BaseException:
            index.close()
            raise
    return index


def _check_first_stage(name: str, *, store_texts: bool) -> None:
    """Refuse before a long build what would fail after it."""
    if name != "bm25":
        raise ConfigError(f"first_stage must be 'bm25' or None, got {name!r}")
    if not store_texts:
        raise ConfigError("a BM25 index is made from the texts: build with store_texts=True, or without first_stage")
    from colstore.rerank.lexical import Bm25

    Bm25.build(["one"], ["word"])


def _sample(documents: Iterator[Document]) -> tuple[list[str], Iterator[Document]]:
    """Return texts to try backends on, none where the corpus is small, and the documents from the start again."""
    first = list(islice(documents, SMALL_CORPUS))
    texts = [document.passage for document in first if document.vectors is None]
    few = len(first) < SMALL_CORPUS
    return [] if few else texts[:: max(1, len(texts) // PROBE_DOCUMENTS)], chain(first, documents)


def build_from_vectors(
    path: str | Path, ids: Iterable[str], vectors: Iterable[NDArray[Any]], *, texts: Iterable[str] | None = None,
    bits: Bits = 4, pool_factor: float = 1.0, pooling: Pooling = "hierarchical", store_texts: bool = True,
    overwrite: bool = False, resume: bool = False, centroids: int | None = None, seed: int = 0,
    progress: Listener | None = None,
) -> Index:  # fmt: skip
    """Build an index from token vectors of your own, and open it.

    Parameters
    ----------
    path
        Directory of the new index.
    ids
        One for each document.
    vectors
        One ``(tokens, dim)`` array for each document, finite, without rows of zeros; read as a stream. Similarity is
        the plain product: bring unit rows for cosine.
    texts
        One for each document, or ``None``.
    bits, pool_factor, pooling, store_texts, overwrite, resume, centroids, seed, progress
        As in :func:`build`.

    Raises
    ------
    VectorError
        Vectors that cannot be; an id without vectors, or the other way round, is a :class:`CorpusError`.

    Examples
    --------
    >>> import tempfile, numpy as np, colstore
    >>> rows = np.eye(4, dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with colstore.build_from_vectors(folder + "/x.colstore", ["a", "b"], [rows[:2], rows[2:]]) as index:
    ...         [hit.id for hit in index.search(rows[3:], k=1)]
    ['b']
    """
    config = BuildConfig(
        bits=bits,
        pool_factor=pool_factor,
        pooling=pooling,
        centroids=centroids,
        store_texts=store_texts,
        seed=seed,
    )
    path = Path(path)
    claim_output(path, overwrite=overwrite, resume=resume)
    intake = IntakeReport()
    documents = read_documents(_with_vectors(ids, vectors, texts), report=intake)
    return _Build(path, config, None, None, progress).run(documents, intake, overwrite=overwrite, resume=resume)


_ENDED = object()


def _with_vectors(
    ids: Iterable[str], vectors: Iterable[NDArray[Any]], texts: Iterable[str] | None
) -> Iterator[Document]:
    columns: dict[str, Iterable[Any]] = {"ids": ids, "vectors": vectors}
    if texts is not None:
        columns["texts"] = texts
    for number, row in enumerate(zip_longest(*columns.values(), fillvalue=_ENDED)):
        ended = [name for name, value in zip(columns, row, strict=True) if value is _ENDED]
        if ended:
            raise CorpusError(f"ids, vectors and texts must be equally many: the {ended[0]} end after {number}")
        yield Document(id=row[0], text=row[2] if texts is not None else "", vectors=row[1])


@dataclass
class _Build:
    """One build: what stays the same through its stages."""

    path: Path
    config: BuildConfig
    encoder: Encoder | None
    dim: int | None
    listener: Listener | None
    size: CorpusSize | None = None
    frozen_dtype: FrozenDtype = "float32"

    def run(self, documents: Iterator[Document], intake: IntakeReport, *, overwrite: bool, resume: bool) -> Index:
        """Encode, train, compress, commit; then open what was made."""
        report = BuildReport()
        with locked_output(self.path):
            claim_output(self.path, overwrite=overwrite, resume=resume)
            state = state_to_resume(self.path, self._settings(), overwrite=overwrite) if resume else None
            generation = highest(self.path) + 1
            with (
                report.stage("encode"),
                Parts(
                    self.path, self._settings(), state, report, store_texts=self.config.store_texts, over=generation - 1
                ) as parts,
            ):  # fmt: skip
                self._encode(documents, parts, report)
            with report.stage("train"):
                projection, codec = self._train(parts)
            with report.stage("compress"):
                meter = StageMeter(self.listener, "compress", "tokens", parts.tokens)
                compressed = compress(
                    self.path,
                    parts,
                    codec,
                    projection,
                    self.config,
                    generation,
                    _threads(),
                    lambda done: meter(done, done),
                )
            with report.stage("freeze"):
                stored = self._frozen(generation, projection, report)
            with report.stage("commit"):
                manifest = self._commit(generation, codec, stored, compressed)
        report.documents, report.tokens = manifest.documents, manifest.tokens
        _note_intake(report, intake)
        report.note_peak_memory()
        encoder = self.encoder
        if encoder is not None and projection is not None:
            encoder = ProjectedEncoder(encoder, projection)
        index = Index.open(self.path, encoder=encoder)
        index.report = report
        return index

    def _settings(self) -> dict[str, Json]:
        """Return all that two builds must share for one to go on where the other stopped."""
        encoder = None if self.encoder is None else dict(self.encoder.settings)
        return {"config": dict(asdict(self.config)), "encoder": encoder, "dim": self.dim}

    def _encode(self, documents: Iterator[Document], parts: Parts, report: BuildReport) -> None:
        meter = EncodeMeter(self.listener, self.size)
        meter.skip(parts.documents, parts.skip_done(documents))
        with closing(encoded_windows(documents, self.encoder, meter)) as windows:
            for window, encoded in windows:
                report.truncated += sum(text.truncated for text in encoded)
                parts.append(window, [self._pooled(text.vectors) for text in encoded])
                meter.add(documents=len(window))
        if parts.is_empty:
            raise CorpusError("there are no documents: an index of nothing cannot be built")
        parts.seal(complete=True)
        report.encoded_tokens = meter.tokens

    def _pooled(self, vectors: FloatMatrix) -> FloatMatrix:
        if self.config.pool_factor == 1:
            return vectors
        return pool(vectors, self.config.pool_factor, self.config.pooling)

    def _train(self, parts: Parts) -> tuple[Projection | None, Codec]:
        meter = StageMeter(self.listener, "train", "rounds", None)
        projection = train_projection(parts, self.dim, self.config.seed)
        centroids = train_centroids(parts, projection, self.config, _threads(), meter.of)
        return projection, make(self.config.bits, centroids)

    def _frozen(self, generation: int, projection: Projection | None, report: BuildReport) -> Part | None:
        if self.encoder is None:
            return None
        return write_encoder(self.path, generation, self.encoder, projection, self.frozen_dtype, report)

    def _commit(self, generation: int, codec: Codec, encoder: Part | None, compressed: Compressed) -> Manifest:
        """Write what belongs to no segment, and the manifest; then remove what it replaced."""
        arrays, attributes = to_arrays(codec)
        codec_file = write_arrays_file(self.path, codec_name(generation), arrays, attributes)
        faiss_file = write_whole(self.path, centroids_name(generation), build_faiss(codec.centroids))
        manifest = Manifest(
            generation=generation,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            writer=_writer(),
            dim=codec.centroids.dim,
            config=asdict(self.config),
            codec=Part(codec_settings(codec, compressed.error), (codec_file,)),
            segments=compressed.segments,
            centroids=faiss_file,
            encoder=encoder,
        )
        commit(self.path, manifest)
        remove_unreferenced(self.path, [manifest])
        return manifest


def _note_intake(report: BuildReport, intake: IntakeReport) -> None:
    counts = {
        "error": intake.skipped_errors,
        "duplicate": intake.skipped_duplicates,
        "empty": intake.skipped_empty,
    }
    report.skipped = {reason: count for reason, count in counts.items() if count}
    report.incomplete = intake.incomplete
    report.examples = list(intake.examples)


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _writer() -> str:
    from colstore._version import __version__

    return f"colstore {__version__}"
