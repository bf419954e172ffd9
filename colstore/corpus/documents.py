"""Reading documents from a path or from Python. Each document is checked and counted, one at a time."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from colstore.config import OnError
from colstore.corpus import lines as beir
from colstore.corpus.folder import read_folder, text_files
from colstore.corpus.jsonl import read_jsonl
from colstore.corpus.lines import existing_path, printable
from colstore.corpus.parquet import read_parquet
from colstore.corpus.record import RawItem, Record, excerpt, to_document
from colstore.corpus.seen import SeenIds
from colstore.corpus.tabular import read_tabular
from colstore.errors import ConfigError, CorpusError, DuplicateIdError, EmptyDocumentError
from colstore.reports import ReadReport
from colstore.types import Document

CorpusSource: TypeAlias = "str | os.PathLike[str] | Iterable[Document | Mapping[str, object] | str]"
READABLE = (
    "a BEIR folder (corpus.jsonl or corpus.jsonl.gz in it), .jsonl, .csv and .tsv (each also .gz), .parquet, "
    "a folder of .txt and .md files, - for JSON Lines on standard input, "
    "or a Python iterable of Document, dict or str"
)


def read_documents(
    source: CorpusSource,
    *,
    on_error: OnError = "error",
    on_duplicate: OnDuplicateRead = "error",
    on_empty: OnError | None = None,
    report: ReadReport | None = None,
) -> Iterator[Document]:
    """Return an iterator over the checked documents of a corpus. Memory does not grow with the size of the corpus.

    Parameters
    ----------
    source
        A BEIR folder, a ``.jsonl``, ``.csv`` or ``.tsv`` file (each also ``.gz``), a ``.parquet`` file, a
        folder of ``.txt`` and ``.md`` files, ``"-"`` for JSON Lines on standard input, or an iterable of
        :class:`~colstore.types.Document`, dict or str (the id of a string is its position, from 0).
    on_error
        What to do with broken records: ``"error"`` raises the first error, ``"skip"`` skips the records and counts them
        in the report. A source that is not a corpus at all (a missing file or column) is an error in both cases.
    on_duplicate
        What to do with an id that has occurred before: ``"error"`` raises an error, ``"skip"`` skips the later
        document, and ``"keep"`` yields all documents.
    on_empty
        What to do with a document that has no title, text and vectors: ``"error"`` or ``"skip"``. ``None`` means the
        same as ``on_error``.
    report
        Report to which the counts are added while reading.

    Raises
    ------
    CorpusError
        The source cannot be read (raised at once), or a record is broken (raised while iterating, with its file and
        line).
    DuplicateIdError, EmptyDocumentError
        An id occurs twice, or a document is empty; raised while iterating.
    IncompleteCorpusError
        A file cannot be read to its end. With ``on_error="skip"`` the report is marked as ``incomplete`` instead.
    MissingDependencyError
        The source is a Parquet file and pyarrow is not installed.
    ConfigError
        ``on_error``, ``on_duplicate`` or ``on_empty`` has an unknown value.

    Examples
    --------
    >>> report = ReadReport()
    >>> corpus = ["Bees dance.", "", {"id": "d7", "text": "Wasps do not.", "year": 2020}]
    >>> [(doc.id, dict(doc.metadata)) for doc in read_documents(corpus, on_empty="skip", report=report)]
    [('0', {}), ('d7', {'year': 2020})]
    >>> report.skipped_empty
    1
    """
    policy = ReadPolicy(on_error, on_duplicate, on_error if on_empty is None else on_empty)
    items = _open_source(source)
    return _checked_documents(items, policy, ReadReport() if report is None else report)


def _checked_documents(items: Iterator[RawItem], policy: ReadPolicy, report: ReadReport) -> Iterator[Document]:
    # closing: if the caller stops early, the file is closed at once and not by a later garbage collection
    with closing(cast("Generator[RawItem, None, None]", items)), SeenIds() as seen:
        for item in items:
            try:
                document = _to_checked_document(item, None if policy.on_duplicate == "keep" else seen)
            except CorpusError as error:
                if not policy.skips(error):
                    raise _with_remedy(error) from error.__cause__
                report.skip(error)
                continue
            report.documents += 1
            yield document


def _with_remedy(error: CorpusError) -> CorpusError:
    """Return the error, saying how a single document is left out."""
    if error.line is not None and not isinstance(error, DuplicateIdError):
        error.args = (f"{error}; on_error='skip' leaves out such documents and counts them",)
    return error


def _to_checked_document(item: RawItem, seen: SeenIds | None) -> Document:
    if isinstance(item, CorpusError):
        raise item
    document = to_document(item)
    if seen is not None and not seen.add(document.id):
        message = (
            f"id {excerpt(document.id)} occurs a second time: ids must be unique (on_duplicate='skip' keeps the first)"
        )
        raise item.error_of(DuplicateIdError, message)
    return document


def _open_source(source: CorpusSource) -> Iterator[RawItem]:
    if isinstance(source, str | os.PathLike):
        path = existing_path(source)
        return read_jsonl(None) if path is None else _open_path(path)
    if isinstance(source, bytes | bytearray | Mapping | Document) or not isinstance(source, Iterable):
        kind = type(source).__name__
        raise CorpusError(f"a {kind} is not a corpus (wrap a single document in a list); supported are {READABLE}")
    if hasattr(source, "columns") and hasattr(source, "to_dict"):  # iterating would yield the names of its columns
        raise CorpusError(f"a {type(source).__name__} is not a corpus: pass its rows, as frame.to_dict('records')")
    if hasattr(source, "readline"):  # iterating would yield lines
        raise CorpusError("an open file is not a corpus: pass its path")
    return read_iterable(source)


def _open_path(path: Path) -> Iterator[RawItem]:
    if path.is_dir():
        corpus = beir.find_member(path, beir.CORPUS)
        return _open_text_folder(path) if corpus is None else read_jsonl(corpus)
    name = path.name.lower()
    if name.endswith(".parquet"):
        return read_parquet(path)
    match Path(name.removesuffix(".gz")).suffix:
        case ".jsonl":
            return read_jsonl(path)
        case ".csv":
            return read_tabular(path, ",")
        case ".tsv":
            return read_tabular(path, "\t")
    raise CorpusError(f"cannot tell the format from the name; supported are {READABLE}", source=printable(path))


def _open_text_folder(folder: Path) -> Iterator[RawItem]:
    if next(text_files(folder), None) is None:
        raise CorpusError(f"no documents in this folder; supported are {READABLE}", source=printable(folder))
    return read_folder(folder)


SOURCE = "<iterable>"


def read_iterable(items: Iterable[object]) -> Iterator[RawItem]:
    """Yield a record for each :class:`~colstore.types.Document`, dict or string, consuming them one at a time.

    The id of a string is its position, from 0. In errors, ``line`` is the number of the item, from 1.
    """
    for position, item in enumerate(items):
        if isinstance(item, Document):
            yield Record(_document_fields(item), SOURCE, position + 1)
        elif isinstance(item, str):
            yield Record({"id": str(position), "text": item}, SOURCE, position + 1)
        elif isinstance(item, Mapping):
            yield Record(item, SOURCE, position + 1)
        else:
            message = f"an item is a {type(item).__name__}: it must be a Document, dict or str"
            yield CorpusError(message, source=SOURCE, line=position + 1)


def _document_fields(document: Document) -> dict[str, object]:
    return {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": document.metadata,
        "vectors": document.vectors,
    }


def check_choice(name: str, value: object) -> None:
    """Refuse a choice that is neither ``"error"`` nor ``"skip"``.

    Parameters
    ----------
    name
        Name of the argument, for the message.
    value
        Its value.

    Raises
    ------
    ConfigError
        The value is another one.
    """
    if value not in get_args(OnError):
        raise ConfigError(f"{name} must be one of {get_args(OnError)}, got {value!r}")


OnDuplicateRead = Literal["error", "skip", "keep"]


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """Which errors are raised, and which records are skipped and counted.

    Parameters
    ----------
    on_error
        What to do with broken records.
    on_duplicate
        What to do with an id that has occurred before; ``"keep"`` yields every document with the id.
    on_empty
        What to do with documents that have nothing to encode.

    Raises
    ------
    ConfigError
        A value is unknown.
    """

    on_error: OnError
    on_duplicate: OnDuplicateRead
    on_empty: OnError

    def __post_init__(self) -> None:
        for name in ("on_error", "on_duplicate", "on_empty"):
            if name != "on_duplicate" or self.on_duplicate != "keep":
                check_choice(name, getattr(self, name))

    def skips(self, error: CorpusError) -> bool:
        """Return whether a record with this error is skipped."""
        if isinstance(error, DuplicateIdError):
            return self.on_duplicate == "skip"
        return (self.on_empty if isinstance(error, EmptyDocumentError) else self.on_error) == "skip"
