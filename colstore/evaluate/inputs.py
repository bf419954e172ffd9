"""What a comparison starts from: judged questions, encoded documents, encoded questions."""

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
from colstore.evaluate.bench import Questions
from colstore.evaluate.judgements import judged_questions
from colstore.evaluate.machine import one_thread
from colstore.evaluate.measures import Qrels
from colstore.evaluate.spool import Spool, open_spool, write_spool
from colstore.frozen import FrozenEncoder
from colstore.indexing.meters import corpus_size
from colstore.reports import Listener
from colstore.types import Encoder, FloatMatrix, Json

SAMPLE = 512
_PASSING = ("backend", "device")  # how vectors were made, not which they are


def drawn(
    questions: Mapping[str, str | FloatMatrix], qrels: Qrels, limit: int | None, seed: int
) -> tuple[dict[str, str | FloatMatrix], Qrels]:
    """Return the judged questions and their judgements; at most ``limit`` of them, drawn at random.

    Raises
    ------
    CorpusError
        None is judged.
    ConfigError
        Some are texts and some vectors.
    """
    asked, judged = judged_questions(questions, qrels)
    if len({isinstance(question, str) for question in asked.values()}) > 1:
        raise ConfigError("queries must be all texts or all token vectors, not some of each")
    if limit is None or limit >= len(asked):
        return asked, judged
    names = list(asked)
    chosen = np.sort(np.random.default_rng(seed).choice(len(names), limit, replace=False))
    kept = [names[place] for place in chosen]
    return {name: asked[name] for name in kept}, {name: judged[name] for name in kept}


def loaded(
    model: str | Path | Encoder | None,
    corpus: CorpusSource,
    backend: str,
    *,
    trust_remote_code: bool,
    device: str | None,
) -> Encoder | None:
    """Return the encoder; ``None`` where every document and question brings its vectors."""
    if model is None or (isinstance(model, Encoder) and not isinstance(model, str | Path)):
        return model
    sample: Sequence[str] = ()
    if backend == "auto" and isinstance(corpus, str | os.PathLike) and os.fspath(corpus) != "-":
        first = [d.passage for d in islice(read_documents(corpus, on_error="skip", on_duplicate="skip"), SAMPLE)]
        sample = first[:: SAMPLE // PROBE_DOCUMENTS] if len(first) == SAMPLE else ()
    return load_encoder(model, trust_remote_code=trust_remote_code, device=device, backend=backend, documents=sample)


def spooled(
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
    """Return the documents' vectors on disk: those that the folder keeps, else encoded now.

    With ``keep``, the folder is the caller's: what it holds must be of this corpus and model, and stays.
    """
    key: dict[str, Json] = {}
    if keep:
        key = _key(corpus, encoder, on_error, on_duplicate)
        found = open_spool(folder, key)
        if found is not None:
            return found
    documents = read_documents(corpus, on_error=on_error, on_duplicate=on_duplicate, report=report)
    return write_spool(folder, documents, encoder, key, progress, None if progress is None else corpus_size(corpus))


def encoded(
    questions: Mapping[str, str | FloatMatrix], encoder: Encoder | None, dim: int, notes: list[str]
) -> Questions:
    """Return texts and vectors of the questions, each encoded by itself on one thread as an index would, and timed.

    Raises
    ------
    EncoderError
        Texts, and no model.
    VectorError
        Vectors of other dimensions than the documents'.
    """
    texts = {name: question for name, question in questions.items() if isinstance(question, str)}
    vectors = {name: question for name, question in questions.items() if not isinstance(question, str)}
    spent: list[float] = []
    if texts:
        if encoder is None:
            raise EncoderError("queries are texts, and there is no model to encode them: name one, or bring vectors")
        asked = _query_encoder(encoder, notes)
        with one_thread():
            asked.encode_queries([next(iter(texts.values()))])
            for name, text in texts.items():
                start = perf_counter()
                vectors[name] = asked.encode_queries([text])[0]
                spent.append(1000 * (perf_counter() - start))
    for name, matrix in vectors.items():
        if matrix.ndim != 2 or matrix.shape[1] != dim or not len(matrix):
            raise VectorError(
                f"query {name!r} has vectors of shape {matrix.shape}, the documents' have {dim} components"
            )
    return Questions(texts, vectors, spent)


@contextmanager
def workspace(folder: Path | None) -> Iterator[Path]:
    """Yield an empty folder for temporary files, in ``folder`` or where the system keeps them; removed at the end."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="colstore-compare-", dir=folder) as made:
        yield Path(made)


def _query_encoder(encoder: Encoder, notes: list[str]) -> Encoder:
    """Return what an index would ask with: the frozen encoder, or the model itself where it cannot be frozen."""
    try:
        files = export_query_encoder(encoder)
    except (EncoderError, MissingDependencyError) as error:
        notes.append(f"questions were encoded by the model itself, for it could not be frozen: {error}")
        return encoder
    return FrozenEncoder.load(files) if files else encoder


def _key(corpus: CorpusSource, encoder: Encoder | None, on_error: OnError, on_duplicate: OnError) -> dict[str, Json]:
    """Return what tells these vectors from others: the model, and a hash over the documents."""
    import xxhash

    if not isinstance(corpus, str | os.PathLike) or os.fspath(corpus) == "-":
        raise ConfigError("vectors can be kept for a corpus on disk only: this one can be read but once")
    digest = xxhash.xxh3_128()
    for document in read_documents(corpus, on_error=on_error, on_duplicate=on_duplicate):
        digest.update(f"{document.id}\0{document.passage}\0".encode())
    settings = {} if encoder is None else dict(encoder.settings)
    model: dict[str, Json] = {name: value for name, value in settings.items() if not name.startswith(_PASSING)}
    return {"corpus": digest.hexdigest(), "model": model}


def named(model: object) -> str | None:
    """Return what a model is called in a report."""
    if model is None or isinstance(model, str):
        return model
    settings = getattr(model, "settings", None)
    if isinstance(settings, Mapping):
        return str(settings["model"])
    return str(getattr(model, "name", model))
