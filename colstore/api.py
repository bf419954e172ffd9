"""The front door: build, create, open, verify and recover an index, each by its path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from colstore.config import Bits, BuildConfig, FrozenDtype, OnError, Pooling
from colstore.errors import ConfigError, CorpusError
from colstore.index import Index
from colstore.reports import BuildReport, Listener, ReadReport
from colstore.types import Document, Encoder

if TYPE_CHECKING:
    from colstore.corpus import CorpusSource
    from colstore.store import Level
    from colstore.updating.recover import Generation
    from colstore.updating.verify import VerifyReport

SMALL_CORPUS = 512
"""Documents that are encoded before a self-test of backends would be over."""
MOST_COMPONENTS = 65_536
"""Of a token vector, in an index that is created empty."""


def build(
    path: str | Path,
    corpus: CorpusSource,
    *,
    model: str | Path | Encoder = "embedded",
    dim: int | None = None,
    bits: Bits = 4,
    pool_factor: float = 1.0,
    pooling: Pooling = "hierarchical",
    max_tokens: int | None = None,
    query_length: int | None = None,
    store_texts: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    on_error: OnError = "error",
    on_duplicate: OnError = "error",
    trust_remote_code: bool = False,
    revision: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    backend: str = "auto",
    frozen_dtype: FrozenDtype = "float32",
    first_stage: Literal["bm25"] | None = None,
    centroids: int | None = None,
    seed: int = 0,
    progress: Listener | None = None,
) -> Index:
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
        ``"bm25"`` also makes a BM25 index, for hybrid search; see :meth:`Index.build_bm25`.
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
    from colstore.corpus import read_documents
    from colstore.encode import load_encoder
    from colstore.indexing.build import Build
    from colstore.indexing.meters import corpus_size
    from colstore.indexing.output import claim_output, recorded_backend

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
    intake = ReadReport()
    documents = read_documents(corpus, on_error=on_error, on_duplicate=on_duplicate, report=intake)
    encoder = model
    if isinstance(model, str | Path):
        sample: list[str] = []
        if backend == "auto":
            backend = (recorded_backend(path) if resume else None) or backend
        if backend == "auto":
            sample, documents = _sample(documents)
        encoder = load_encoder(
            model,
            trust_remote_code=trust_remote_code,
            revision=revision,
            device=device,
            dtype=dtype,
            max_tokens=max_tokens,
            query_length=query_length,
            backend=backend,
            documents=sample,
        )
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"model must be a name, a folder or an Encoder, got {type(model).__name__}")
    size = None if progress is None else corpus_size(corpus)
    build = Build(path, config, encoder, dim, progress, size, frozen_dtype)
    report, own_encoder = build.run(documents, intake, overwrite=overwrite, resume=resume)
    index = _opened(path, own_encoder, report)
    if first_stage is not None:
        try:
            index.build_bm25()
        except BaseException:
            index.close()
            raise
    return index


def build_from_vectors(
    path: str | Path,
    ids: Iterable[str],
    vectors: Iterable[NDArray[Any]],
    *,
    texts: Iterable[str] | None = None,
    bits: Bits = 4,
    pool_factor: float = 1.0,
    pooling: Pooling = "hierarchical",
    store_texts: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    centroids: int | None = None,
    seed: int = 0,
    progress: Listener | None = None,
) -> Index:
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
    from colstore.corpus import read_documents
    from colstore.indexing.build import Build
    from colstore.indexing.output import claim_output

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
    intake = ReadReport()
    documents = read_documents(_with_vectors(ids, vectors, texts), report=intake)
    report, _ = Build(path, config, None, None, progress).run(documents, intake, overwrite=overwrite, resume=resume)
    return _opened(path, None, report)


def create(
    path: str | Path,
    *,
    model: str | Path | Encoder | None = None,
    dim: int | None = None,
    config: BuildConfig | None = None,
    bits: Bits | None = None,
    pool_factor: float | None = None,
    pooling: Pooling | None = None,
    centroids: int | None = None,
    store_texts: bool | None = None,
    seed: int | None = None,
    max_tokens: int | None = None,
    query_length: int | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    backend: str = "torch",
    frozen_dtype: FrozenDtype = "float32",
) -> Index:
    """Create an empty index, and open it; it grows by :meth:`Index.add`.

    A codec of less than 16 bits has to be trained on token vectors. Until there are enough of them the index keeps them
    as float16 and scores all of them at each search; the addition that reaches
    :data:`colstore.updating.add.TRAIN_FROM` tokens trains the codec and converts the index, which then says so
    (:attr:`IndexInfo.trained`).

    Parameters
    ----------
    path
        Directory of the new index.
    model
        Folder or hub name of a checkpoint, ``"embedded"``, or an :class:`Encoder`. The index keeps its query encoder.
    dim
        In place of a model: number of components of the vectors that documents and queries will bring.
    config
        Settings of the index, in place of the next six arguments.
    bits, pool_factor, pooling, centroids, store_texts, seed
        See :class:`BuildConfig`; ``None`` takes its default.
    max_tokens, query_length, trust_remote_code, revision, device, dtype
        See :func:`colstore.encode.load_encoder`; not used with an encoder of your own.
    backend
        What runs the model over documents, see :func:`colstore.encode.with_backend`.
    frozen_dtype
        How the index keeps the weights of its query encoder, see :func:`colstore.encode.export_query_encoder`.

    Raises
    ------
    ConfigError
        Neither ``model`` nor ``dim``, or both: a projection has to be trained on a corpus, by :func:`build`. Or an
        argument that contradicts ``config``.
    EncoderError, IndexExistsError, NotAnIndexError, IndexLockedError, StorageError
        Nothing appears at ``path`` then, and what was there stays as it was.

    Examples
    --------
    >>> import tempfile, numpy as np, colstore
    >>> documents = {"a": np.eye(4)[:2], "b": np.eye(4)[2:]}
    >>> with tempfile.TemporaryDirectory() as folder, colstore.create(folder + "/x.colstore", dim=4) as index:
    ...     report = index.add([colstore.Document(id=name, vectors=rows) for name, rows in documents.items()])
    ...     [hit.id for hit in index.search(np.eye(4)[3:], k=1)]
    ['b']
    """
    from colstore.encode import load_encoder
    from colstore.indexing.create import create
    from colstore.indexing.output import claim_output

    plain = {
        "bits": bits,
        "pool_factor": pool_factor,
        "pooling": pooling,
        "centroids": centroids,
        "store_texts": store_texts,
        "seed": seed,
    }
    settings = _settings(config, plain)
    if model is None and dim is None:
        raise ConfigError("an index needs a model, or the dim of the vectors that its documents will bring")
    if model is not None and dim is not None:
        raise ConfigError(
            "dim beside a model is a projection, which has to be trained on a corpus: use colstore.build, or leave out "
            "dim"
        )
    if dim is not None and (not isinstance(dim, int) or isinstance(dim, bool) or not 1 <= dim <= MOST_COMPONENTS):
        raise ConfigError(f"dim must be a whole number in 1..{MOST_COMPONENTS}, got {dim!r}")
    path = Path(path)
    claim_output(path, overwrite=False, resume=False)
    encoder = model
    if isinstance(model, str | Path):
        encoder = load_encoder(
            model,
            trust_remote_code=trust_remote_code,
            revision=revision,
            device=device,
            dtype=dtype,
            max_tokens=max_tokens,
            query_length=query_length,
            backend=backend,
        )
    if not isinstance(encoder, Encoder | None):
        raise ConfigError(f"model must be a name, a folder or an Encoder, got {type(model).__name__}")
    report = create(path, settings, encoder.dim if encoder is not None else dim or 0, encoder, frozen_dtype)
    return _opened(path, encoder, report)


def open_index(path: str | os.PathLike[str], *, encoder: Encoder | None = None) -> Index:
    """Open an index as a read-only snapshot, in milliseconds.

    Parameters
    ----------
    path
        Its directory.
    encoder
        Encodes texts; by default the encoder that the index was built with, loaded when it is first needed.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        There is no index; the message says what is there.
    FormatVersionError
        A newer colstore wrote it.
    CorruptIndexError
        A file is missing, has another size, or has changed.
    """
    return Index.open(path, encoder=encoder)


def verify(
    path: str | os.PathLike[str], level: Level = "full", *, repair: bool = False, wait: float = 0.0
) -> VerifyReport:
    """Check the newest generation of an index; see :func:`colstore.updating.verify.verify`."""
    from colstore.updating.verify import verify

    return verify(Path(path), level, repair=repair, wait=wait)


def history(path: str | os.PathLike[str], level: Level = "full") -> list[Generation]:
    """Return the generations of an index, newest first; see :func:`colstore.updating.recover.history`."""
    from colstore.updating.recover import history

    return history(Path(path), level)


def recover(path: str | os.PathLike[str], generation: int, *, wait: float = 0.0) -> int:
    """Make an older generation the index again; see :func:`colstore.updating.recover.recover`."""
    from colstore.updating.recover import recover

    return recover(Path(path), generation, wait=wait)


def _settings(config: BuildConfig | None, plain: dict[str, Any]) -> BuildConfig:
    """Return ``config``, or the settings of the plain arguments that were passed."""
    passed = {name: value for name, value in plain.items() if value is not None}
    if config is None:
        return BuildConfig(**passed)
    for name, value in passed.items():
        if getattr(config, name) != value:
            raise ConfigError(
                f"{name}={value!r} contradicts config, which has {getattr(config, name)!r}: pass one of them"
            )
    return config


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


def _opened(path: Path, encoder: Encoder | None, report: BuildReport) -> Index:
    index = Index.open(path, encoder=encoder)
    index.report = report
    return index


def _check_first_stage(name: str, *, store_texts: bool) -> None:
    """Refuse before a long build what would fail after it."""
    if name != "bm25":
        raise ConfigError(f"first_stage must be 'bm25' or None, got {name!r}")
    if not store_texts:
        raise ConfigError("a BM25 index is made from the texts: build with store_texts=True, or without first_stage")
    from colstore.lexical.bm25 import Bm25

    Bm25.build(["one"], ["word"])


def _sample(documents: Iterator[Document]) -> tuple[list[str], Iterator[Document]]:
    """Return texts to try backends on, none where the corpus is small, and the documents from the start again."""
    from colstore.encode.backends import PROBE_DOCUMENTS

    first = list(islice(documents, SMALL_CORPUS))
    texts = [document.passage for document in first if document.vectors is None]
    few = len(first) < SMALL_CORPUS
    return [] if few else texts[:: max(1, len(texts) // PROBE_DOCUMENTS)], chain(first, documents)
