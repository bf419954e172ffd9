"""The build, step by step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from colstore.building.compression import Compressed, compress
from colstore.building.output import claim_output, state_to_resume
from colstore.building.parts import Parts
from colstore.building.training import train_centroids, train_projection
from colstore.codec import Codec, make
from colstore.codec.base import codec_settings, to_arrays
from colstore.config import Bits, BuildConfig, OnError, Pooling
from colstore.corpus import CorpusSource, IntakeReport, read_documents
from colstore.encode import ProjectedEncoder, Projection, load_encoder, pool
from colstore.engine.faiss_index import build_faiss
from colstore.errors import ConfigError, CorpusError
from colstore.index import Index
from colstore.progress import BuildReport, Listener, Progress
from colstore.store import (
    Manifest,
    Part,
    WriterLock,
    centroids_name,
    codec_name,
    commit,
    encoder_name,
    generations,
    remove_unreferenced,
    write_arrays_file,
    write_whole,
)
from colstore.types import Document, EncodedText, Encoder, FloatMatrix, Json

WINDOW_DOCUMENTS = 512
"""Documents that are sorted by length together before they are encoded."""


def build(
    path: str | Path, corpus: CorpusSource, *, model: str | Path | Encoder = "embedded", dim: int | None = None,
    bits: Bits = 4, pool_factor: float = 1.0, pooling: Pooling = "hierarchical", max_tokens: int | None = None,
    query_length: int | None = None, store_texts: bool = True, overwrite: bool = False, resume: bool = False,
    on_error: OnError = "error", on_duplicate: OnError = "error", trust_remote_code: bool = False,
    revision: str | None = None, device: str | None = None, dtype: str = "float32", centroids: int | None = None,
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
    overwrite
        Replace an index at ``path``, once the new one is complete.
    resume
        Go on with an interrupted build of the same corpus and settings.
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
    path = Path(path)
    claim_output(path, overwrite=overwrite, resume=resume)
    encoder = model
    if isinstance(model, str | Path):
        encoder = load_encoder(
            model, trust_remote_code=trust_remote_code, revision=revision, device=device, dtype=dtype,
            max_tokens=max_tokens, query_length=query_length,
        )  # fmt: skip
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"model must be a name, a folder or an Encoder, got {type(model).__name__}")
    intake = IntakeReport()
    documents = read_documents(corpus, on_error=on_error, on_duplicate=on_duplicate, report=intake)
    return _Build(path, config, encoder, dim, progress).run(
        documents, intake, overwrite=overwrite, resume=resume
    )


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
    return _Build(path, config, None, None, progress).run(
        documents, intake, overwrite=overwrite, resume=resume
    )


def _with_vectors(
    ids: Iterable[str], vectors: Iterable[NDArray[Any]], texts: Iterable[str] | None
) -> Iterator[Document]:
    columns: list[Iterable[Any]] = [ids, vectors] if texts is None else [ids, vectors, texts]
    rows = zip(*columns, strict=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except ValueError as error:
            raise CorpusError(f"ids, vectors and texts must be equally many: {error}") from error
        yield Document(id=row[0], text=row[2] if texts is not None else "", vectors=row[1])


@dataclass
class _Build:
    """One build: what stays the same through its stages."""

    path: Path
    config: BuildConfig
    encoder: Encoder | None
    dim: int | None
    listener: Listener | None

    def run(
        self, documents: Iterator[Document], intake: IntakeReport, *, overwrite: bool, resume: bool
    ) -> Index:
        """Encode, train, compress, commit; then open what was made."""
        report = BuildReport()
        with WriterLock(self.path):
            claim_output(self.path, overwrite=overwrite, resume=resume)
            state = state_to_resume(self.path, self._settings()) if resume else None
            with (
                report.stage("encode"),
                Parts(
                    self.path, self._settings(), state, report, store_texts=self.config.store_texts
                ) as parts,
            ):
                self._encode(documents, parts, report)
            with report.stage("train"):
                projection, codec = self._train(parts)
            generation = max(generations(self.path), default=0) + 1
            with report.stage("compress"):
                meter = _Meter(self.listener, "compress", "tokens", parts.tokens)
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
            with report.stage("commit"):
                manifest = self._commit(generation, codec, projection, compressed)
        report.documents, report.tokens = manifest.documents, manifest.tokens
        _note_intake(report, intake)
        report.note_peak_memory()
        encoder = (
            self.encoder
            if projection is None or self.encoder is None
            else ProjectedEncoder(self.encoder, projection)
        )
        index = Index.open(self.path, encoder=encoder)
        index.report = report
        return index

    def _settings(self) -> dict[str, Json]:
        """Return all that two builds must share for one to go on where the other stopped."""
        encoder = None if self.encoder is None else dict(self.encoder.settings)
        return {"config": dict(asdict(self.config)), "encoder": encoder, "dim": self.dim}

    def _encode(self, documents: Iterator[Document], parts: Parts, report: BuildReport) -> None:
        meter = _Meter(self.listener, "encode", "documents", None)
        parts.skip_done(documents)
        while window := list(islice(documents, WINDOW_DOCUMENTS)):
            encoded = self._vectors(window)
            report.truncated += sum(text.truncated for text in encoded)
            parts.append(window, [self._pooled(text.vectors) for text in encoded])
            meter.add(len(window), sum(len(text.vectors) for text in encoded))
        parts.seal(complete=True)
        if not parts.documents:
            raise CorpusError("there are no documents: an index of nothing cannot be built")

    def _vectors(self, window: Sequence[Document]) -> list[EncodedText]:
        """Return vectors of each document: its own, or the encoder's."""
        bare = [document for document in window if document.vectors is None]
        if bare and self.encoder is None:
            raise CorpusError(f"document {bare[0].id!r} has no vectors, and there is no model to make them")
        made = iter(
            self.encoder.encode_documents([document.passage for document in bare])
            if bare and self.encoder
            else ()
        )
        return [
            next(made) if document.vectors is None else EncodedText(document.vectors) for document in window
        ]

    def _pooled(self, vectors: FloatMatrix) -> FloatMatrix:
        if self.config.pool_factor == 1:
            return vectors
        return pool(vectors, self.config.pool_factor, self.config.pooling)

    def _train(self, parts: Parts) -> tuple[Projection | None, Codec]:
        meter = _Meter(self.listener, "train", "rounds", None)
        projection = train_projection(parts, self.dim, self.config.seed)
        centroids = train_centroids(parts, projection, self.config, _threads(), meter.of)
        return projection, make(self.config.bits, centroids)

    def _commit(
        self, generation: int, codec: Codec, projection: Projection | None, compressed: Compressed
    ) -> Manifest:
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
            encoder=self._encoder_part(generation, projection),
        )
        commit(self.path, manifest)
        remove_unreferenced(self.path, [manifest])
        return manifest

    def _encoder_part(self, generation: int, projection: Projection | None) -> Part | None:
        if self.encoder is None:
            return None
        if projection is None:
            return Part(dict(self.encoder.settings))
        arrays, attributes = projection.to_arrays(), {"dim": projection.dim}
        record = write_arrays_file(
            self.path, encoder_name(f"{generation:06d}/projection.h5"), arrays, attributes
        )
        return Part(dict(ProjectedEncoder(self.encoder, projection).settings), (record,))


class _Meter:
    """Tells a listener how far a stage has come."""

    def __init__(self, listener: Listener | None, stage: str, unit: str, total: int | None) -> None:
        self._listener, self._stage, self._unit, self._total = listener, stage, unit, total
        self._start = perf_counter()
        self._done = self._tokens = 0

    def __call__(self, done: int, tokens: int) -> None:
        if self._listener is not None:
            seconds = perf_counter() - self._start
            self._listener(Progress(self._stage, done, self._total, self._unit, tokens, seconds))

    def add(self, done: int, tokens: int) -> None:
        """Count further items."""
        self._done += done
        self._tokens += tokens
        self(self._done, self._tokens)

    def of(self, done: int, total: int) -> None:
        """Say how many of how many are done."""
        self._total = total
        self(done, 0)


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
