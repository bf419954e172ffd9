"""Reading documents from a path or from Python. Each document is checked and counted, one at a time."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, cast, get_args

from colstore.config import OnError
from colstore.corpus.columns import FieldNames
from colstore.corpus.encodings import check_encoding
from colstore.corpus.folder import PageOptions, is_page, read_folder, read_page
from colstore.corpus.folder_walk import ending
from colstore.corpus.jsonl import read_jsonl
from colstore.corpus.layout import READABLE
from colstore.corpus.lines import existing_path, printable
from colstore.corpus.parquet import read_arrow, read_parquet
from colstore.corpus.pdf import require_pdf
from colstore.corpus.quoting import Quoting
from colstore.corpus.record import RawItem, Record, excerpt, to_document
from colstore.corpus.seen import SeenIds
from colstore.corpus.tables import document_fields, foreign_fields, read_mapping, read_table
from colstore.corpus.tabular import read_tabular
from colstore.errors import ConfigError, CorpusError, DuplicateIdError, EmptyDocumentError
from colstore.reports import ReadReport
from colstore.types import Document

CorpusSource: TypeAlias = (
    "str | os.PathLike[str] | Mapping[str, Any] | Iterable[Document | Mapping[str, Any] | str] | Any"
)
"""A path, an iterable, a mapping by id, or a table of pandas, polars, pyarrow or ``datasets``."""


class Reading(TypedDict, total=False):
    """Arguments of :func:`read_documents` that say how a corpus is read, for the functions that pass them on."""

    fields: FieldNames | None
    encoding: str | None
    quoting: Quoting
    include: str | Sequence[str] | None
    normalize_ids: bool


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a corpus is read.

    Parameters
    ----------
    fields, encoding, quoting, include, normalize_ids
        See :func:`read_documents`.

    Raises
    ------
    ConfigError
        A value is invalid.
    """

    fields: FieldNames | None = None
    encoding: str | None = None
    quoting: Quoting = "auto"
    include: tuple[str, ...] = ()
    normalize_ids: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.fields, FieldNames | None):
            raise ConfigError(f"fields must be a colstore.FieldNames, got {excerpt(self.fields)}")
        if self.quoting not in get_args(Quoting):
            raise ConfigError(f"quoting must be one of {get_args(Quoting)}, got {self.quoting!r}")
        if not all(isinstance(glob, str) and glob for glob in self.include):
            raise ConfigError(f"include must be a glob such as '*.md', or a list of them, got {self.include!r}")
        if not isinstance(self.normalize_ids, bool):
            raise ConfigError(f"normalize_ids must be True or False, got {self.normalize_ids!r}")
        check_encoding(self.encoding)

    @property
    def of_pages(self) -> PageOptions:
        """The options that concern pages."""
        return PageOptions(self.include, self.encoding)


def read_documents(
    source: CorpusSource,
    *,
    on_error: OnError = "error",
    on_duplicate: OnDuplicateRead = "error",
    on_empty: OnError | None = None,
    report: ReadReport | None = None,
    fields: FieldNames | None = None,
    encoding: str | None = None,
    quoting: Quoting = "auto",
    include: str | Sequence[str] | None = None,
    normalize_ids: bool = False,
) -> Iterator[Document]:
    """Return an iterator over the checked documents of a corpus. Memory does not grow with the size of the corpus.

    Parameters
    ----------
    source
        A folder, whose corpus is found by the rules of :mod:`colstore.corpus.layout`; a ``.jsonl``, ``.json``, ``.csv``
        or ``.tsv`` file (each also ``.gz``), a ``.parquet`` or ``.arrow`` file, a page (``.md``, ``.rst``, ``.txt``,
        ``.html``, ``.pdf``), or ``"-"`` for JSON Lines on standard input. Or in Python: an iterable of
        :class:`~colstore.types.Document`, dict or str (the id of a string is its position, from 0); a mapping of ids
        to texts or to dicts of ``title`` and ``text``; a table of pandas, polars or pyarrow, or a Dataset of
        ``datasets``, with columns named as in files. Values of Python and numpy in metadata become JSON by the rule of
        :mod:`colstore.corpus.json_values`.
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
        Report to which the counts are added while reading; what is passed over in a folder is counted at once.
    fields
        Names of the fields or columns that hold the id, the text and the title, where they are not the usual ones.
    encoding
        Encoding of text files; ``None`` means UTF-8, or what a byte order mark or an HTML page says.
    quoting
        How the cells of ``.csv`` and ``.tsv`` files are quoted: ``"csv"``, ``"none"``, or ``"auto"``, which decides by
        the file.
    include
        One or more globs of the files of a folder to read, such as ``"*.md"`` or ``"data/train-*"``, in the place of
        the rules. Files with other endings are read as text.
    normalize_ids
        Bring ids into Unicode's normal form NFC, so that names of files from macOS (NFD) and from elsewhere are one.

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
        An argument has an unknown value.

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
    globs = (include,) if isinstance(include, str) else tuple(include or ())
    options = ReadOptions(fields, encoding, quoting, globs, normalize_ids)
    report = ReadReport() if report is None else report
    items = _open_source(source, options, report)
    return _checked_documents(items, policy, report, normalize_ids=normalize_ids)


def _checked_documents(
    items: Iterator[RawItem], policy: ReadPolicy, report: ReadReport, *, normalize_ids: bool
) -> Iterator[Document]:
    # closing: if the caller stops early, the file is closed at once and not by a later garbage collection
    with closing(cast("Generator[RawItem, None, None]", items)), SeenIds() as seen:
        for item in items:
            try:
                document = _to_checked_document(
                    item, None if policy.on_duplicate == "keep" else seen, normalize_ids=normalize_ids
                )
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


def _to_checked_document(item: RawItem, seen: SeenIds | None, *, normalize_ids: bool) -> Document:
    if isinstance(item, CorpusError):
        raise item
    document = to_document(item)
    if normalize_ids and not document.id.isascii():
        document = replace(document, id=unicodedata.normalize("NFC", document.id))
    if seen is not None and not seen.add(document.id):
        message = (
            f"id {excerpt(document.id)} occurs a second time: ids must be unique (on_duplicate='skip' keeps the first)"
        )
        raise item.error_of(DuplicateIdError, message)
    return document


def _open_source(source: CorpusSource, options: ReadOptions, report: ReadReport) -> Iterator[RawItem]:
    if isinstance(source, str | os.PathLike):
        path = existing_path(source)
        if path is None:
            return read_jsonl(None, fields=options.fields, encoding=options.encoding)
        return _open_path(path, options, report)
    table = None if isinstance(source, Mapping | Document) else read_table(source, options.fields)
    if table is not None:
        return table
    if isinstance(source, Mapping):
        return read_mapping(source, options.fields)
    _refuse_other_sources(source)
    return read_iterable(source, options.fields)


def _refuse_other_sources(source: Any) -> None:  # noqa: ANN401 - whatever the caller passed
    kind = type(source).__name__
    if hasattr(source, "readline"):  # iterating would yield lines
        name = getattr(source, "name", None)
        path = repr(name) if isinstance(name, str) else "as 'corpus.jsonl'"
        raise CorpusError(f"an open file is not a corpus: pass its path, {path}")
    if isinstance(source, set | frozenset):
        raise CorpusError(f"a {kind} has no order, from which ids could follow: pass a list or a dict of texts by id")
    if isinstance(source, bytes | bytearray | memoryview | Document) or not isinstance(source, Iterable):
        raise CorpusError(f"a {kind} is not a corpus (wrap a single document in a list); supported are {READABLE}")


def _open_path(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[RawItem]:
    if path.is_dir():
        return read_folder(path, options.of_pages, lambda file: _read_data(file, options, report), report)
    records = _read_data(path, options, report)
    if records is not None:
        return records
    if is_page(path, options.include):
        if ending(path.name) == ".pdf":
            require_pdf()
        return (read_page(page, page.name, options.of_pages) for page in (path,))
    kind = ending(path.name)
    remedy = f"; include='*{kind}' reads such a file as text" if kind else ""
    message = f"cannot tell the format from the name{remedy}; supported are {READABLE}"
    raise CorpusError(message, source=printable(path))


def _read_data(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[RawItem] | None:
    """Return the records of a data file; ``None`` for a file that does not have the name of one."""
    kind = ending(path.name)
    if kind == ".parquet":
        return read_parquet(path, options.fields)
    if kind in (".arrow", ".feather"):
        return read_arrow(path, options.fields)
    match kind.removesuffix(".gz"):
        case ".jsonl" | ".ndjson" | ".json":
            return read_jsonl(path, fields=options.fields, encoding=options.encoding)
        case ".csv":
            return _read_cells(path, ",", options, report)
        case ".tsv":
            return _read_cells(path, "\t", options, report)
    return None


def _read_cells(path: Path, delimiter: str, options: ReadOptions, report: ReadReport) -> Iterator[RawItem]:
    return read_tabular(
        path,
        delimiter,
        fields=options.fields,
        encoding=options.encoding,
        quoting=options.quoting,
        note=report.notes.append,
    )


SOURCE = "<iterable>"


def read_iterable(items: Iterable[object], fields: FieldNames | None = None) -> Iterator[RawItem]:
    """Yield a record for each :class:`~colstore.types.Document`, dict or string, consuming them one at a time.

    The id of a string is its position, from 0. In errors, ``line`` is the number of the item, from 1.
    """
    for position, item in enumerate(items):
        if isinstance(item, Document):
            yield Record(document_fields(item), SOURCE, position + 1)
        elif isinstance(item, str):
            yield Record({"id": str(position), "text": item}, SOURCE, position + 1)
        elif isinstance(item, Mapping):
            yield Record(foreign_fields(item), SOURCE, position + 1, fields)
        else:
            message = f"an item is a {type(item).__name__}: it must be a Document, dict or str"
            yield CorpusError(message, source=SOURCE, line=position + 1)


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
