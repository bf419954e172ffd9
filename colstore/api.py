"""The functions that take the path of an index: build, create, open, verify and recover it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from colstore.config import Bits, BuildConfig, FrozenDtype, OnError, PassageConfig, Pooling
from colstore.errors import ConfigError, CorpusError
from colstore.index import Index
from colstore.reports import BuildReport, ChangeReport, Listener, ReadReport, check_listener
from colstore.search.session import Session
from colstore.store import says_what_is_committed
from colstore.types import Document, Encoder, Json
from colstore.values import as_array, as_integer

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

    from colstore.corpus import CorpusSource, FieldNames, Quoting, Reading
    from colstore.store import Level
    from colstore.updating.recover import Generation
    from colstore.updating.verify import VerifyReport

SMALL_CORPUS = 512
"""A corpus with fewer documents is encoded before a self-test of backends would be over."""
MOST_COMPONENTS = 65_536
"""Most components of a token vector in an index that is created empty."""


@says_what_is_committed
def build(
    path: str | os.PathLike[str],
    corpus: CorpusSource,
    *,
    model: str | os.PathLike[str] | Encoder | MultiVectorEncoder = "embedded",
    config: BuildConfig | None = None,
    dim: int | None = None,
    bits: Bits | None = None,
    pool_factor: float | None = None,
    pooling: Pooling | None = None,
    max_tokens: int | None = None,
    query_length: int | None = None,
    store_texts: bool | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_error: OnError = "error",
    on_duplicate: OnError = "error",
    fields: FieldNames | None = None,
    encoding: str | None = None,
    quoting: Quoting = "auto",
    include: str | Sequence[str] | None = None,
    normalize_ids: bool = False,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    revision: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    backend: str = "auto",
    frozen_dtype: FrozenDtype = "float16",
    first_stage: Literal["bm25"] | None = None,
    centroids: int | None = None,
    seed: int | None = None,
    passages: PassageConfig | bool | None = None,
    progress: Listener | None = None,
) -> Index:
    """Build an index over a corpus, and open it.

    Parameters
    ----------
    path
        Directory of the new index.
    corpus
        A folder of pages (Markdown, text, HTML, ...), a data set folder of a hub, BEIR, MTEB or LoTTE, a JSONL, CSV,
        TSV or Parquet file, ``"-"`` for JSON Lines on standard input, an iterable of :class:`Document`, dict or str, a
        dict of texts by id, or a table of pandas, polars, pyarrow or ``datasets``; see :func:`read_documents`.
    model
        Folder or hub name of a checkpoint; ``"embedded"`` for all-MiniLM-L6-v2 from the extra ``demo``; an
        :class:`Encoder`; or a ``MultiVectorEncoder`` of sentence-transformers.
    config
        Settings of the index, see :class:`BuildConfig`. They can also be passed one by one, as the next arguments; an
        argument that contradicts ``config`` is an error.
    bits, pool_factor, pooling, store_texts, centroids, seed, passages
        Settings of the index, see :class:`BuildConfig`; ``None`` takes the default.
    dim
        Project the vectors onto this many principal axes of the corpus; ``None`` keeps all components.
    max_tokens, query_length, trust_remote_code, allow_pickle, revision, device, dtype
        How to load the model, see :func:`load_encoder`; not used if ``model`` is an object.
    backend
        What runs the model over documents, see :func:`colstore.encode.with_backend`. ``"auto"`` tries the installed
        ones on some of the documents, unless these are few. The choice is stored, and used for documents added later.
    frozen_dtype
        Number type in which the index stores the weights of its query encoder, see
        :func:`colstore.encode.export_query_encoder`.
    first_stage
        ``"bm25"`` also builds a BM25 index, for hybrid search; see :meth:`Index.build_bm25`.
    overwrite
        Replace an index at ``path`` once the new one is complete. Until then the old one can be opened and searched,
        and readers that have it open keep it.
    resume
        Continue an interrupted build of the same corpus with the same settings. An index that is complete, or has
        changed since that build began, is only replaced if ``overwrite`` is set, too.
    on_error, on_duplicate
        What to do with a document that cannot be read, or whose id occurred before: ``"error"``, or ``"skip"`` to leave
        it out and count it.
    fields, encoding, quoting, include, normalize_ids
        How the corpus is read, see :func:`read_documents`: the names of its columns, the encoding and the quoting of
        its files, which files of a folder are read, and whether ids are brought into one Unicode normal form.
    progress
        Called from time to time with a :class:`Progress`.

    Returns
    -------
    Index
        The open index. Its :attr:`Index.report` says what was done.

    Raises
    ------
    ConfigError
        An argument is invalid, or contradicts ``config``.
    CorpusError, VectorError
        A document cannot be read, or its vectors are invalid.
    EncoderError, MissingDependencyError
        The model cannot be loaded, or fails.
    IndexExistsError, NotAnIndexError, IndexLockedError, ResumeError, StorageError
        The path is taken; another process is writing there; the interrupted build cannot be resumed; the disk is full.
        After any error but the next nothing has appeared at ``path``, and an index that was there is as it was.
    CommittedError
        The index is complete, but could not be opened afterwards.
    """
    from colstore.corpus import read_documents
    from colstore.indexing.build import Build
    from colstore.indexing.meters import corpus_size
    from colstore.indexing.output import claim_output
    from colstore.indexing.split import check_passages

    settings = BuildConfig.of(
        config,
        bits=bits,
        pool_factor=pool_factor,
        pooling=pooling,
        centroids=centroids,
        store_texts=store_texts,
        seed=seed,
        passages=passages,
    )
    check_listener(progress)
    if dim is not None:
        dim = as_integer("dim", dim, 1)
    if first_stage is not None:
        _check_first_stage(first_stage, store_texts=settings.store_texts)
    path = Path(path).absolute()
    claim_output(path, overwrite=overwrite, resume=resume)
    intake = ReadReport()
    reading: Reading = {
        "fields": fields,
        "encoding": encoding,
        "quoting": quoting,
        "include": include,
        "normalize_ids": normalize_ids,
    }
    documents = read_documents(corpus, on_error=on_error, on_duplicate=on_duplicate, report=intake, **reading)
    encoder, documents = _encoder(
        model,
        documents,
        backend if backend != "auto" or not resume else _recorded_backend(path),
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
        revision=revision,
        device=device,
        dtype=dtype,
        max_tokens=max_tokens,
        query_length=query_length,
    )
    check_passages(settings.passages, encoder, requested=passages is not None)
    size = None if progress is None else corpus_size(corpus, reading)
    build = Build(path, settings, encoder, dim, progress, size, frozen_dtype, bm25=first_stage is not None)
    report, own_encoder = build.run(documents, intake, overwrite=overwrite, resume=resume)
    return _opened(path, own_encoder, report)


@says_what_is_committed
def build_from_vectors(
    path: str | os.PathLike[str],
    ids: Iterable[str],
    vectors: Iterable[NDArray[Any]],
    *,
    texts: Iterable[str] | None = None,
    titles: Iterable[str] | None = None,
    metadata: Iterable[Mapping[str, Json]] | None = None,
    config: BuildConfig | None = None,
    bits: Bits | None = None,
    pool_factor: float | None = None,
    pooling: Pooling | None = None,
    store_texts: bool | None = None,
    overwrite: bool = False,
    resume: bool = False,
    centroids: int | None = None,
    seed: int | None = None,
    progress: Listener | None = None,
) -> Index:
    """Build an index from token vectors of your own, and open it.

    Parameters
    ----------
    path
        Directory of the new index.
    ids
        The id of each document.
    vectors
        The token vectors of each document, shape ``(tokens, dim)``, finite and without rows of zeros: arrays, or
        tensors of torch. They are read as a stream. Similarity is the dot product, so pass unit rows for cosine.
    texts, titles
        The text and the title of each document, if there are any.
    metadata
        The metadata of each document, a mapping of JSON values, which ``where=`` filters on; if there is any.
    config
        Settings of the index, see :class:`BuildConfig`. They can also be passed one by one, as the next arguments; an
        argument that contradicts ``config`` is an error.
    bits, pool_factor, pooling, store_texts, centroids, seed
        Settings of the index, see :class:`BuildConfig`; ``None`` takes the default.
    overwrite, resume, progress
        As in :func:`build`.

    Returns
    -------
    Index
        The open index. It is searched with vectors; for texts, open it with an encoder.

    Raises
    ------
    VectorError
        The vectors of a document are invalid.
    CorpusError
        The columns differ in length, or an id is missing or occurs twice.
    ConfigError, IndexExistsError, NotAnIndexError, IndexLockedError, ResumeError, StorageError
        As for :func:`build`.

    Examples
    --------
    >>> import tempfile, numpy as np, colstore
    >>> rows = np.eye(4, dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with colstore.build_from_vectors(
    ...         folder + "/x.colstore", ["a", "b"], [rows[:2], rows[2:]], metadata=[{"n": 1}, {"n": 2}]
    ...     ) as index:
    ...         [hit.id for hit in index.search(rows, where={"n": 2})]
    ['b']
    """
    from colstore.corpus import read_documents
    from colstore.indexing.build import Build
    from colstore.indexing.output import claim_output

    settings = BuildConfig.of(
        config,
        bits=bits,
        pool_factor=pool_factor,
        pooling=pooling,
        centroids=centroids,
        store_texts=store_texts,
        seed=seed,
    )
    settings = replace(settings, passages=None)  # vectors of the caller's own are one passage a document
    check_listener(progress)
    columns = {"ids": ids, "vectors": vectors, "texts": texts, "titles": titles, "metadata": metadata}
    passed = {name: column for name, column in columns.items() if column is not None}
    for name, column in passed.items():
        if isinstance(column, str) or not isinstance(column, Iterable):
            raise CorpusError(f"{name} must be a list with one value for each document, got {type(column).__name__}")
    path = Path(path).absolute()
    claim_output(path, overwrite=overwrite, resume=resume)
    intake = ReadReport()
    documents = read_documents(_rows(passed), report=intake)
    report, _ = Build(path, settings, None, None, progress).run(documents, intake, overwrite=overwrite, resume=resume)
    return _opened(path, None, report)


@says_what_is_committed
def create(
    path: str | Path,
    *,
    model: str | Path | Encoder | MultiVectorEncoder | None = None,
    dim: int | None = None,
    config: BuildConfig | None = None,
    bits: Bits | None = None,
    pool_factor: float | None = None,
    pooling: Pooling | None = None,
    centroids: int | None = None,
    store_texts: bool | None = None,
    seed: int | None = None,
    passages: PassageConfig | bool | None = None,
    max_tokens: int | None = None,
    query_length: int | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    revision: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    backend: str = "torch",
    frozen_dtype: FrozenDtype = "float16",
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
        Settings of the index, in place of the next seven arguments.
    bits, pool_factor, pooling, centroids, store_texts, seed, passages
        See :class:`BuildConfig`; ``None`` takes its default.
    max_tokens, query_length, trust_remote_code, allow_pickle, revision, device, dtype
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
    CommittedError
        The index is complete, but could not be opened afterwards.

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
    from colstore.encode.instances import as_encoder
    from colstore.indexing.create import create
    from colstore.indexing.output import claim_output
    from colstore.indexing.split import check_passages

    settings = BuildConfig.of(
        config,
        bits=bits,
        pool_factor=pool_factor,
        pooling=pooling,
        centroids=centroids,
        store_texts=store_texts,
        seed=seed,
        passages=passages,
    )
    if model is None and dim is None:
        raise ConfigError("an index needs a model, or the dim of the vectors that its documents will bring")
    if model is not None and dim is not None:
        raise ConfigError(
            "dim beside a model is a projection, which has to be trained on a corpus: use colstore.build, or leave out "
            "dim"
        )
    dim = None if dim is None else as_integer("dim", dim, 1, MOST_COMPONENTS)
    path = Path(path).absolute()
    claim_output(path, overwrite=False, resume=False)
    encoder: Encoder | None = None
    if isinstance(model, str | os.PathLike):
        encoder = load_encoder(
            model if isinstance(model, str) else Path(model),
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            revision=revision,
            device=device,
            dtype=dtype,
            max_tokens=max_tokens,
            query_length=query_length,
            backend=backend,
        )
    elif model is not None:
        encoder = as_encoder(model)
    check_passages(settings.passages, encoder, requested=passages is not None)
    if encoder is None:
        settings = replace(settings, passages=None)
    report = create(path, settings, encoder.dim if encoder is not None else dim or 0, encoder, frozen_dtype)
    return _opened(path, encoder, report)


def open_index(path: str | os.PathLike[str], *, encoder: Encoder | MultiVectorEncoder | None = None) -> Index:
    """Open an index as a read-only snapshot, in milliseconds.

    Parameters
    ----------
    path
        Directory of the index.
    encoder
        Encodes texts, in place of the encoder that the index was built with: an :class:`Encoder`, or a
        ``MultiVectorEncoder`` of sentence-transformers. ``None`` loads the index's own when it is first needed.

    Returns
    -------
    Index
        The newest generation. Close it, or use it as a context manager.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        There is no index; the message says what is there instead.
    FormatVersionError
        The index was written by a newer colstore.
    CorruptIndexError
        A file is missing, has another size, or has changed.
    ConfigError, EncoderError
        ``encoder`` is not an encoder, or does not fit the index.
    """
    return Index.open(path, encoder=encoder)


@says_what_is_committed
def verify(
    path: str | os.PathLike[str],
    level: Level = "full",
    *,
    repair: bool = False,
    all_generations: bool = False,
    wait: float = 0.0,
) -> VerifyReport:
    """Check the newest generation of an index, or all that are kept.

    Parameters
    ----------
    path
        Directory of the index.
    level
        ``"quick"`` checks the manifest, and the presence and size of each file. ``"full"`` also checks every checksum.
        ``"deep"`` also checks the content: that every document decodes to finite vectors, that codes, offsets, ids,
        texts and lists of deleted documents are consistent, and that the postings are complete and correct.
    repair
        Whether to rebuild damaged derived files (the FAISS index over the centroids), as a new generation. Nothing else
        can be rebuilt from the index itself.
    all_generations
        Whether to check the older generations, too, that :func:`recover` can go back to; see
        :attr:`VerifyReport.older`.
    wait
        Seconds to wait for another writer before repairing.

    Returns
    -------
    VerifyReport
        What was checked, and what is wrong. Damage is reported, not raised.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError, FormatVersionError
        There is no index that could be checked.
    ConfigError
        ``level`` is none of these.
    """
    from colstore.updating.verify import verify

    return verify(Path(path), level, repair=repair, all_generations=all_generations, wait=wait)


def history(path: str | os.PathLike[str], level: Level = "full") -> list[Generation]:
    """Return the generations of an index that are still on disk, each checked.

    Parameters
    ----------
    path
        Directory of the index, whose newest generation may be damaged.
    level
        How thoroughly to check each generation: ``"quick"``, ``"full"`` or ``"deep"``, see :func:`verify`.

    Returns
    -------
    list of Generation
        Newest first. Each says what going back to it with :func:`recover` would lose.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError
        There is no index.
    ConfigError
        ``level`` is none of these.
    """
    from colstore.updating.recover import history

    return history(Path(path), level)


@says_what_is_committed
def recover(path: str | os.PathLike[str], generation: int, *, wait: float = 0.0) -> ChangeReport:
    """Make an older generation of an index the current one again, as a new generation. Nothing is deleted.

    Parameters
    ----------
    path
        Directory of the index, whose newest generation may be damaged.
    generation
        Number of the generation to go back to; :func:`history` lists them. All of its files are checked first.
    wait
        Seconds to wait for another writer.

    Returns
    -------
    ChangeReport
        Its ``generation`` is the number of the new generation.

    Raises
    ------
    UnknownGenerationError
        There is no such generation (any more).
    CorruptIndexError
        That generation is damaged, too; nothing was changed.
    IndexNotFoundError, NotAnIndexError, IndexLockedError
        There is no index, or another process is writing to it.
    """
    from colstore.updating.recover import recover

    return recover(Path(path), generation, wait=wait)


_ENDED = object()


def _rows(columns: Mapping[str, Iterable[Any]]) -> Iterator[Document]:
    """Yield a document for each row of the columns, which must be equally long."""
    for number, values in enumerate(zip_longest(*columns.values(), fillvalue=_ENDED)):
        row = dict(zip(columns, values, strict=True))
        ended = [name for name, value in row.items() if value is _ENDED]
        if ended:
            names = " and ".join([", ".join([*columns][:-1]), [*columns][-1]])
            raise CorpusError(f"{names} must be equally many: the {ended[0]} end after {number}")
        yield Document(
            id=row["ids"],
            text=row.get("texts", ""),
            title=row.get("titles", ""),
            metadata=row.get("metadata", {}),
            vectors=as_array(row["vectors"]),
        )


def _encoder(
    model: object,
    documents: Iterator[Document],
    backend: str,
    **options: Any,  # noqa: ANN401 - of load_encoder
) -> tuple[Encoder, Iterator[Document]]:
    """Return the encoder that ``model`` stands for, and the documents, of which choosing a backend may read some."""
    from colstore.encode import load_encoder
    from colstore.encode.instances import as_encoder

    if not isinstance(model, str | os.PathLike):
        return as_encoder(model), documents
    sample: list[str] = []
    if backend == "auto":
        sample, documents = _sample(documents)
    name = model if isinstance(model, str) else Path(model)
    return load_encoder(name, backend=backend, documents=sample, **options), documents


def _recorded_backend(path: Path) -> str:
    from colstore.indexing.output import recorded_backend

    return recorded_backend(path) or "auto"


def _opened(path: Path, model: Encoder | None, report: BuildReport) -> Index:
    """Open an index that was just built. Queries go to its frozen encoder, as they will in every other process."""
    index = Index(Session.open(path, model=model))
    index.report = report
    return index


def _check_first_stage(name: str, *, store_texts: bool) -> None:
    """Refuse before a long build what would fail after it."""
    if name != "bm25":
        raise ConfigError(f"first_stage must be 'bm25' or None, got {name!r}")
    if not store_texts:
        raise ConfigError("a BM25 index is built from texts: build with store_texts=True, or without first_stage")
    from colstore.lexical.bm25 import Bm25

    Bm25.build(["one"], ["word"])


def _sample(documents: Iterator[Document]) -> tuple[list[str], Iterator[Document]]:
    """Return texts to try backends on (none where the corpus is small), and all documents from the first one on."""
    from colstore.encode.backends import PROBE_DOCUMENTS

    first = list(islice(documents, SMALL_CORPUS))
    texts = [document.passage for document in first if document.vectors is None]
    few = len(first) < SMALL_CORPUS
    return [] if few else texts[:: max(1, len(texts) // PROBE_DOCUMENTS)], chain(first, documents)
