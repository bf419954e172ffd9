"""The inputs of a comparison: selected queries with their judgements, encoded documents, encoded queries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from colstore.config import OnError
from colstore.corpus import CorpusSource, ReadReport, read_documents
from colstore.encode import export_query_encoder, load_encoder
from colstore.encode.backends import PROBE_DOCUMENTS
from colstore.errors import ConfigError, EncoderError, MissingDependencyError, VectorError
from colstore.evaluate.harness import EncodedQueries
from colstore.evaluate.judgements import with_judgements
from colstore.evaluate.machine import one_thread
from colstore.evaluate.measures import Qrels
from colstore.evaluate.spool import Spool, open_spool, write_spool
from colstore.frozen import FrozenEncoder
from colstore.indexing.meters import corpus_size
from colstore.outputs import encoded_query
from colstore.reports import Listener
from colstore.search.notices import QueryNotices
from colstore.types import Encoder, FloatMatrix, Json

PROBED_DOCUMENTS = 512
"""Number of documents at the start of a corpus from which those that probe the backends are taken."""
_IRRELEVANT = ("backend", "device")  # settings that decide how vectors are computed, but not which vectors they are


def select_queries(
    queries: Mapping[str, str | FloatMatrix], qrels: Qrels, most: int | None, seed: int
) -> tuple[dict[str, str | FloatMatrix], Qrels]:
    """Return the queries that have judgements, and their judgements.

    Parameters
    ----------
    queries
        Texts or token vectors by query id.
    qrels
        Grades by query id and document id.
    most
        Most queries to return, drawn at random; ``None`` returns all.
    seed
        Seed of the drawing.

    Raises
    ------
    CorpusError
        No query has judgements.
    ConfigError
        Some queries are texts and some are vectors.
    """
    queries, qrels = with_judgements(queries, qrels)
    if len({isinstance(query, str) for query in queries.values()}) > 1:
        raise ConfigError("queries must be all texts or all token vectors, not some of each")
    if most is None or most >= len(queries):
        return queries, qrels
    names = list(queries)
    drawn = np.sort(np.random.default_rng(seed).choice(len(names), most, replace=False))
    chosen = [names[i] for i in drawn]
    return {name: queries[name] for name in chosen}, {name: qrels[name] for name in chosen}


def load_model(
    model: str | Path | Encoder | None,
    corpus: CorpusSource,
    backend: str,
    *,
    trust_remote_code: bool,
    allow_pickle: bool,
    device: str | None,
) -> Encoder | None:
    """Return the encoder, loading it if it is given by name; ``None`` where all documents and queries bring vectors.

    With ``backend="auto"``, the backends are probed on documents of the corpus if it can be read more than once.
    """
    if model is None or (isinstance(model, Encoder) and not isinstance(model, str | Path)):
        return model
    probes: Sequence[str] = ()
    if backend == "auto" and isinstance(corpus, str | os.PathLike) and os.fspath(corpus) != "-":
        documents = islice(read_documents(corpus, on_error="skip", on_duplicate="skip"), PROBED_DOCUMENTS)
        first = [document.passage for document in documents]
        probes = first[:: PROBED_DOCUMENTS // PROBE_DOCUMENTS] if len(first) == PROBED_DOCUMENTS else ()
    return load_encoder(
        model,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
        device=device,
        backend=backend,
        documents=probes,
    )


def spool_documents(
    corpus: CorpusSource,
    encoder: Encoder | None,
    folder: Path,
    *,
    keep: bool,
    on_error: OnError,
    on_duplicate: OnError,
    report: ReadReport,
    progress: Listener | None,
) -> Spool:
    """Return the documents' vectors on disk, encoding the documents unless the folder has them already.

    Parameters
    ----------
    corpus
        The documents.
    encoder
        Encodes documents without vectors; ``None`` where all documents bring vectors.
    folder
        The folder of the spool.
    keep
        Whether the folder belongs to the caller and stays. If it holds vectors, they must be of this corpus and model.
    on_error, on_duplicate
        As for :func:`colstore.evaluate.compare`.
    report
        Counts the documents that are skipped.
    progress
        Called from time to time with the progress.

    Raises
    ------
    ConfigError
        The folder holds something else, or the corpus can be read only once and so cannot be compared with it.
    CorpusError, VectorError, EncoderError
        A document cannot be read or encoded.
    """
    key: dict[str, Json] = {}
    if keep:
        key = _key(corpus, encoder, on_error, on_duplicate)
        spool = open_spool(folder, key)
        if spool is not None:
            return spool
    documents = read_documents(corpus, on_error=on_error, on_duplicate=on_duplicate, report=report)
    return write_spool(folder, documents, encoder, key, progress, None if progress is None else corpus_size(corpus))


def encode_queries(
    queries: Mapping[str, str | FloatMatrix],
    encoder: Encoder | None,
    dim: int,
    notes: list[str],
    notices: QueryNotices,
) -> EncodedQueries:
    """Encode each query on its own on one thread, as an index does, and time it.

    Parameters
    ----------
    queries
        Texts or token vectors by query id.
    encoder
        Encodes texts; ``None`` where all queries are vectors.
    dim
        Number of components of the documents' vectors.
    notes
        Receives a note if the encoder cannot be frozen.
    notices
        Counts the queries that the model cannot read whole.

    Raises
    ------
    EncoderError
        Queries are texts and there is no encoder.
    VectorError
        The vectors of a query do not have ``dim`` components.
    """
    texts = {name: query for name, query in queries.items() if isinstance(query, str)}
    vectors = {name: query for name, query in queries.items() if not isinstance(query, str)}
    milliseconds: list[float] = []
    if texts:
        if encoder is None:
            raise EncoderError("the queries are texts, and there is no model to encode them: name one, or pass vectors")
        query_encoder = _query_encoder(encoder, notes)
        with one_thread():
            query_encoder.encode_queries([next(iter(texts.values()))])
            for name, text in texts.items():
                start = perf_counter()
                encoded = encoded_query(query_encoder, text)
                milliseconds.append(1000 * (perf_counter() - start))
                vectors[name] = encoded.vectors
                notices.note(text, encoded)
    for name, matrix in vectors.items():
        if matrix.ndim != 2 or matrix.shape[1] != dim or not len(matrix):
            raise VectorError(
                f"query {name!r} has vectors of shape {matrix.shape}, but the documents' vectors have {dim} components"
            )
    return EncodedQueries(texts, vectors, milliseconds)


@contextmanager
def temporary_folder(folder: Path | None) -> Iterator[Path]:
    """Yield an empty folder for temporary files, inside ``folder`` or the system's; it is removed at the end."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="colstore-compare-", dir=folder) as created:
        yield Path(created)


def _query_encoder(encoder: Encoder, notes: list[str]) -> Encoder:
    """Return the encoder that an index would use: the frozen one, or the model itself where it cannot be frozen."""
    try:
        files = export_query_encoder(encoder)
    except (EncoderError, MissingDependencyError) as error:
        notes.append(f"queries were encoded by the model itself, because it could not be frozen: {error}")
        return encoder
    return FrozenEncoder.load(files) if files else encoder


def _key(corpus: CorpusSource, encoder: Encoder | None, on_error: OnError, on_duplicate: OnError) -> dict[str, Json]:
    """Return the settings that identify the vectors: those of the model, and a hash over the documents."""
    import xxhash

    if not isinstance(corpus, str | os.PathLike) or os.fspath(corpus) == "-":
        raise ConfigError("vectors can only be kept for a corpus on disk, because the corpus is read twice")
    digest = xxhash.xxh3_128()
    for document in read_documents(corpus, on_error=on_error, on_duplicate=on_duplicate):
        digest.update(f"{document.id}\0{document.passage}\0".encode())
    settings = {} if encoder is None else dict(encoder.settings)
    model: dict[str, Json] = {name: value for name, value in settings.items() if not name.startswith(_IRRELEVANT)}
    return {"corpus": digest.hexdigest(), "model": model}


def model_name(model: object) -> str | None:
    """Return the name of a model for the report; ``None`` without a model."""
    if model is None or isinstance(model, str):
        return model
    settings = getattr(model, "settings", None)
    if isinstance(settings, Mapping):
        return str(settings["model"])
    return str(getattr(model, "name", model))
