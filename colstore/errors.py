"""Every error that colstore raises on purpose.

::

    ColstoreError
    ├── ConfigError (ValueError)             an invalid setting: says which one, and what is allowed
    ├── QueryError (ValueError)              an invalid query, filter, run or number of hits
    │   └── UnknownIdError (KeyError)        an id that the index does not hold
    ├── CorpusError (ValueError)             documents that cannot be read: carries the file and the line
    │   ├── DuplicateIdError                 the same id twice in one corpus, or already in the index
    │   ├── EmptyDocumentError               nothing to encode
    │   └── IncompleteCorpusError            a file that cannot be read to its end (a cut gzip file)
    ├── VectorError (ValueError)             vectors of a wrong shape, with NaN, infinities or zero rows
    ├── EncoderError (RuntimeError)          a model that cannot be loaded, fails, or does not fit the index
    ├── RerankerError (RuntimeError)         a reranker that cannot be loaded, or whose scores are invalid
    ├── MissingDependencyError (ImportError) an extra that is not installed: says how to install it
    ├── IndexNotFoundError (FileNotFoundError)  there is nothing at the path
    ├── NotAnIndexError (ValueError)         the path holds something else, or an unfinished build
    ├── IndexExistsError (FileExistsError)   the output path is taken
    ├── ResumeError (RuntimeError)           an unfinished build that cannot be resumed with this corpus or settings
    ├── IndexLockedError (RuntimeError)      another process is writing to the index
    ├── IndexChangedError (RuntimeError)     another process has changed what this operation started from
    ├── IndexClosedError (ValueError)        the index object was closed
    ├── CommittedError (RuntimeError)        an error after the change was committed: carries path and generation
    ├── UnknownGenerationError (LookupError) a generation that the index does not have (any more)
    ├── StorageError (OSError)               the disk is full, read-only or failing; nothing committed is lost
    ├── FormatVersionError (RuntimeError)    the index was written by a newer colstore
    └── CorruptIndexError (RuntimeError)     the index is damaged: carries the file
        ├── MissingFileError                 a file that the manifest names is gone
        ├── TruncatedFileError               a file has another size than the manifest says
        └── ChecksumError                    bytes have changed since they were written

Two warnings (UserWarning) are about queries that a model cannot read whole: TruncatedQueryWarning and
UnreadableQueryWarning. All of them are attributes of :mod:`colstore.errors`, which ``import colstore`` makes available.
Errors of h5py, FAISS, json and the operating system are mapped to these at the boundary where they arise.
"""

from __future__ import annotations

from pathlib import Path


class ColstoreError(Exception):
    """Base of all errors raised on purpose."""


class KernelCacheWarning(UserWarning):
    """Compiled kernels cannot be kept in the user's cache; see :mod:`colstore.kernels.cache`."""


class ConfigError(ColstoreError, ValueError):
    """An invalid setting."""


class QueryError(ColstoreError, ValueError):
    """An invalid query, filter, run or number of hits."""


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
        The file, or the name of another source (``"<stdin>"``, ``"<iterable>"``).
    line
        Line (or item) number, from 1; ``None`` where there is none.
    """

    def __init__(self, message: str, *, source: str | Path | None = None, line: int | None = None) -> None:
        self.source = None if source is None else str(source)
        self.line = line
        place = "" if self.source is None else self.source + ("" if line is None else f":{line}") + ": "
        super().__init__(place + message)


class DuplicateIdError(CorpusError):
    """The same id twice."""


class EmptyDocumentError(CorpusError):
    """A document without any text to encode."""


class IncompleteCorpusError(CorpusError):
    """A file that cannot be read to its end, so that an unknown number of documents is missing."""


class VectorError(ColstoreError, ValueError):
    """Vectors of a wrong shape, or with NaN, infinities or rows of zeros."""


class EncoderError(ColstoreError, RuntimeError):
    """A model that cannot be loaded, that fails, or that does not fit the index."""


class RerankerError(ColstoreError, RuntimeError):
    """A reranker that cannot be loaded, or that does not return one finite score for each pair."""


class MissingDependencyError(ColstoreError, ImportError):
    """An optional package that is not installed."""


class IndexNotFoundError(ColstoreError, FileNotFoundError):
    """There is nothing at the path."""


class NotAnIndexError(ColstoreError, ValueError):
    """The path holds something else than an index, or a build that was never finished."""


class IndexExistsError(ColstoreError, FileExistsError):
    """The output path is taken."""


class ResumeError(ColstoreError, RuntimeError):
    """An unfinished build that cannot be resumed, because the corpus or the settings are others now."""


class IndexLockedError(ColstoreError, RuntimeError):
    """Another process is writing to the index."""


class IndexChangedError(ColstoreError, RuntimeError):
    """Another process has changed the index so that this operation no longer applies; repeat it on the new state."""


class IndexClosedError(ColstoreError, ValueError):
    """The index object was closed."""


class CommittedError(ColstoreError, RuntimeError):
    """An error that came after the change was committed: the index is complete, and the change must not be repeated.

    The original error is its ``__cause__``.

    Parameters
    ----------
    message
        What is committed, what failed, and what to do.
    path
        The directory of the index.
    generation
        Number of the generation that the change made.
    """

    def __init__(self, message: str, *, path: str | Path, generation: int) -> None:
        self.path, self.generation = Path(path), generation
        super().__init__(message)


class UnknownGenerationError(ColstoreError, LookupError):
    """A generation that the index does not have, or no longer has."""


class StorageError(ColstoreError, OSError):
    """The disk is full or read-only, a permission is missing, or an I/O error occurred."""


class FormatVersionError(ColstoreError, RuntimeError):
    """The index was written by a newer colstore than this one."""


class CorruptIndexError(ColstoreError, RuntimeError):
    """An index that is damaged.

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
    """Bytes have changed since they were written."""


class TruncatedQueryWarning(UserWarning):
    """A query is longer than the model's limit, and what is beyond it was left out."""


class UnreadableQueryWarning(UserWarning):
    """Most of a query is unknown to the model's vocabulary, as in a script that the model has never seen."""
