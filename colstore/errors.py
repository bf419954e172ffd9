"""Every error that colstore raises on purpose.

::

    ColstoreError
    ├── ConfigError (ValueError)          a setting that cannot be; says which, and what would do
    ├── QueryError (ValueError)           a query, filter or k that cannot be answered
    │   └── UnknownIdError (KeyError)     an id that the index does not hold
    ├── CorpusError (ValueError)          documents that cannot be read: carries the file and the line
    │   ├── DuplicateIdError              the same id twice in one corpus, or already in the index
    │   ├── EmptyDocumentError            nothing to encode
    │   └── IncompleteCorpusError         a file that cannot be read to its end (a cut gzip file)
    ├── VectorError (ValueError)          vectors of a wrong shape, with NaN, infinities or zero rows
    ├── EncoderError (RuntimeError)       a model that cannot be loaded or does not fit the index
    ├── MissingDependencyError (ImportError)  an extra that is not installed; says how to install it
    ├── IndexNotFoundError (FileNotFoundError)  no such path
    ├── NotAnIndexError (ValueError)      a path that holds something else, or an unfinished build
    ├── IndexExistsError (FileExistsError)  an output path that is taken
    ├── IndexLockedError (RuntimeError)   another process is writing
    ├── StorageError (OSError)            the disk refused: full, read-only, no permission; nothing committed is lost
    ├── FormatVersionError (RuntimeError) written by a newer colstore
    └── CorruptIndexError (RuntimeError)  damage: carries the file
        ├── MissingFileError              a file that the manifest names is gone
        ├── TruncatedFileError            a file has another size than the manifest says
        └── ChecksumError                 bytes changed since they were written

Errors of h5py, FAISS, json and the operating system are mapped to these at the boundary where they arise.
"""

from __future__ import annotations

from pathlib import Path


class ColstoreError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(ColstoreError, ValueError):
    """A setting that cannot be."""


class QueryError(ColstoreError, ValueError):
    """A query, a filter or a number of hits that cannot be answered."""


class UnknownIdError(QueryError, KeyError):
    """An id that the index does not hold."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class CorpusError(ColstoreError, ValueError):
    """Documents that cannot be read.

    Parameters
    ----------
    message
        What is wrong and what to do.
    source
        File, or a word for what was read (``"<stdin>"``, ``"<iterable>"``).
    line
        Line (or item) number from 1; ``None`` where there is none.
    """

    def __init__(self, message: str, *, source: str | Path | None = None, line: int | None = None) -> None:
        self.source = None if source is None else str(source)
        self.line = line
        place = "" if self.source is None else self.source + ("" if line is None else f":{line}") + ": "
        super().__init__(place + message)


class DuplicateIdError(CorpusError):
    """The same id twice."""


class EmptyDocumentError(CorpusError):
    """A document with nothing to encode."""


class IncompleteCorpusError(CorpusError):
    """A file that cannot be read to its end, so that an unknown number of documents is missing."""


class VectorError(ColstoreError, ValueError):
    """Vectors of a wrong shape, or with values that no score can come from."""


class EncoderError(ColstoreError, RuntimeError):
    """A model that cannot be loaded, or that does not fit the index."""


class MissingDependencyError(ColstoreError, ImportError):
    """An optional package that is not installed."""


class IndexNotFoundError(ColstoreError, FileNotFoundError):
    """Nothing at that path."""


class NotAnIndexError(ColstoreError, ValueError):
    """A path that holds something else, or a build that was never finished."""


class IndexExistsError(ColstoreError, FileExistsError):
    """An output path that is taken."""


class IndexLockedError(ColstoreError, RuntimeError):
    """Another process is writing to the index."""


class StorageError(ColstoreError, OSError):
    """The disk refused: full, read-only, no permission, an I/O error."""


class FormatVersionError(ColstoreError, RuntimeError):
    """Written by a newer colstore than this one."""


class CorruptIndexError(ColstoreError, RuntimeError):
    """Damage in an index.

    Parameters
    ----------
    message
        What is wrong and what to do.
    file
        The damaged file.
    """

    def __init__(self, message: str, *, file: str | Path | None = None) -> None:
        self.file = None if file is None else str(file)
        super().__init__(message if self.file is None else f"{self.file}: {message}")


class MissingFileError(CorruptIndexError):
    """A file that the manifest names is gone."""


class TruncatedFileError(CorruptIndexError):
    """A file has another size than the manifest says."""


class ChecksumError(CorruptIndexError):
    """Bytes changed since they were written."""
