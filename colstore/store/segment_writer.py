"""Writing a segment: token arrays, ids, texts and metadata of a batch of documents, in one immutable HDF5 file.

Memory stays bounded. The first token array (declare the largest one first) is written directly to its final offset,
which does not depend on its length; the other arrays and the texts are spooled to temporary files. At the end libhdf5
computes the layout, the spools are copied into the file, and the file is reopened, checked, checksummed, synced and
renamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, CorpusError, StorageError, VectorError
from colstore.store import format as names
from colstore.store import hdf5
from colstore.store.checksums import checksum, file_sums
from colstore.store.entries import SegmentEntry
from colstore.store.files import AtomicFile, make_folder, write_file
from colstore.store.ids import encode_id, id_arrays, offset_dtype
from colstore.store.passages import Passages
from colstore.store.text_blocks import BlockPacker, encode_value
from colstore.store.token_streams import Kinds, TokenStreams, check_array
from colstore.types import Json

Record = tuple[str, str, Mapping[str, Json]]
"""Title, text and metadata of a document."""
Array = NDArray[Any]

_ATTRIBUTES = {"colstore_format": f"segment {names.FORMAT_VERSION}"}


class SegmentWriter:
    """Streams documents into a segment file.

    Use it as a context manager; leaving the block without :meth:`seal` removes everything that was written.

    Parameters
    ----------
    folder
        Folder of the segment; it is created if it does not exist.
    segment_id
        Id of the segment; see :func:`colstore.store.format.is_segment_id`.
    token_arrays
        Dtype and shape of one token's row for each array by name, in their order in the file and the largest first;
        for float16 vectors ``{"vectors": ("<f2", (dim,))}``.
    store_texts
        Whether to store titles, texts and metadata.

    Raises
    ------
    ConfigError
        The segment id or the name, type or shape of a token array is not allowed.
    StorageError
        A file cannot be created.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kinds = {"vectors": ("<f2", (2,))}
    ...     with SegmentWriter(Path(folder), "000001", kinds, store_texts=False) as writer:
    ...         writer.append(["a", "b"], [1, 2], {"vectors": np.ones((3, 2), np.float16)})
    ...         record = writer.seal()
    >>> record.documents, record.tokens, record.arrays["vectors"].shape
    (2, 3, (3, 2))
    """

    def __init__(self, folder: Path, segment_id: str, token_arrays: Kinds, *, store_texts: bool) -> None:
        if not names.is_segment_id(segment_id):
            raise ConfigError(f"{segment_id!r} is not a valid segment id: use a-z, 0-9, '-' and '_'")
        make_folder(folder)
        self._id = segment_id
        self._path = folder / names.segment_file(segment_id)
        self._ids: list[bytes] = []
        self._counts: list[int] = []
        self._passages: list[Passages] = []
        self._tokens = 0
        self._usable = True
        with ExitStack() as opened:
            self._file = opened.enter_context(AtomicFile(self._path))
            self._streams = TokenStreams(token_arrays, self._file, _ATTRIBUTES, opened)
            self._packers = {
                name: BlockPacker(opened.enter_context(AtomicFile(folder / f"{segment_id}-{name}")), name)
                for name in (("texts", "metadata") if store_texts else ())
            }
            self._opened = opened.pop_all()

    @property
    def documents(self) -> int:
        """Number of documents appended so far."""
        return len(self._ids)

    @property
    def tokens(self) -> int:
        """Number of tokens appended so far."""
        return self._tokens

    def append(
        self,
        ids: Sequence[str],
        token_counts: Sequence[int] | NDArray[np.integer],
        token_arrays: Mapping[str, Array],
        records: Sequence[Record] | None = None,
        passages: Passages | None = None,
    ) -> None:
        """Append documents.

        Parameters
        ----------
        ids
            Id of each document.
        token_counts
            Number of tokens of each document.
        token_arrays
            Arrays by name, each of shape ``(sum(token_counts), *row shape)``, with rows in the order of the documents.
        records
            (title, text, metadata) of each document. It is required if texts are stored, and otherwise ignored.
        passages
            The passages of the documents; ``None`` where each of them is one.

        Raises
        ------
        VectorError
            The arrays do not match the counts or the declared types, or the passages do not fit the counts.
        CorpusError
            An id, text or metadata cannot be stored.
        StorageError
            A write failed. The writer cannot be used any more.
        """
        self._check_usable()
        counts = [int(n) for n in token_counts]
        if len(counts) != len(ids) or any(n < 0 for n in counts):
            raise VectorError(f"{len(ids)} ids need as many token counts of at least 0, got {len(counts)}")
        encoded = [encode_id(document_id) for document_id in ids]
        stored = self._streams.checked(token_arrays, sum(counts))
        if passages is not None:
            passages.check(counts)
        packed = self._encode_records(ids, records)
        self._usable = False  # until everything is written: a partly written batch must never be sealed
        self._streams.append(stored)
        for name, values in packed.items():
            self._packers[name].add(values)
        self._ids += encoded
        self._counts += counts
        self._passages.append(Passages.whole(counts) if passages is None else passages)
        self._tokens += sum(counts)
        self._usable = True

    def seal(self, extra_arrays: Mapping[str, Array] | None = None) -> SegmentEntry:
        """Write the file, check it and give it its final name.

        Parameters
        ----------
        extra_arrays
            Further arrays of the segment by name, such as postings.

        Returns
        -------
        SegmentEntry
            Entry for the manifest. The segment is not part of an index until a manifest names it.

        Raises
        ------
        DuplicateIdError
            An id was appended twice.
        StorageError
            A write failed. No file is left behind.
        """
        self._check_usable()
        self._usable = False
        plain = self._plain_arrays(extra_arrays or {})
        packed = {name: packer.spool for name, packer in self._packers.items() if name in _kept(plain)}
        shapes = self._streams.shapes(self._tokens)
        shapes |= {name: (array.dtype.str, array.shape) for name, array in plain.items()}
        shapes |= {name: ("|u1", (spool.size,)) for name, spool in packed.items()}
        layout = hdf5.make_layout(shapes, _ATTRIBUTES)
        sources = self._streams.sources(layout)
        sources |= {name: hdf5.array_source(array) for name, array in plain.items()}
        sources |= {name: spool.read_at for name, spool in packed.items()}
        record = self._publish(layout, sources)
        self.close()
        return record

    def close(self) -> None:
        """Remove the temporary files."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_usable(self) -> None:
        if not self._usable:
            raise StorageError(f"{self._path}: sealed, or abandoned after a failed write: start a new segment")

    def _encode_records(self, ids: Sequence[str], records: Sequence[Record] | None) -> dict[str, list[str]]:
        """Return the JSON of each document's texts and metadata; empty if texts are not stored."""
        if not self._packers:
            return {}
        if records is None or len(records) != len(ids):
            raise CorpusError("texts are stored in this index: each document needs (title, text, metadata)")
        for document_id, (title, text, _) in zip(ids, records, strict=True):
            if not isinstance(title, str) or not isinstance(text, str):
                raise CorpusError(f"title and text of document {document_id!r} must be strings")
        pairs = list(zip(ids, records, strict=True))
        return {
            "texts": [encode_value(name, [title, text]) for name, (title, text, _) in pairs],
            "metadata": [encode_value(name, dict(metadata)) for name, (_, _, metadata) in pairs],
        }

    def _plain_arrays(self, extra: Mapping[str, Array]) -> dict[str, Array]:
        """Return the arrays that are held in memory: offsets, passages, ids, block tables and the caller's arrays."""
        offsets = np.zeros(len(self._ids) + 1, dtype=np.uint64)
        np.cumsum(np.array(self._counts, np.uint64), out=offsets[1:])
        plain: dict[str, Array] = {
            "doc_offsets": offsets.astype(offset_dtype(self._tokens)),
            **Passages.joined(self._passages).arrays(),
            **id_arrays(self._ids),
        }
        for name, array in extra.items():
            check_array(name, array.dtype, array.ndim)
            if name in self._streams:
                raise ConfigError(f"there is a token array named {name!r} already")
            plain[name] = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        for name, packer in self._packers.items():
            tables = packer.finish()
            if name == "texts" or packer.anything:  # metadata is not stored if it is empty for all documents
                plain |= {f"{name}_{table}": array for table, array in tables.items()}
        return plain

    def _publish(self, layout: hdf5.Layout, sources: Mapping[str, hdf5.ReadAt]) -> SegmentEntry:
        file = self._file
        hdf5.write_layout(file, layout, sources)
        problems = hdf5.layout_problems(file.path, layout.arrays)
        if problems:
            raise StorageError(f"{self._path} reads back differently from what was written: {problems[0]}")
        whole, sums = file_sums(file.path)
        write_file(self._path.with_name(names.sums_file(self._id)), sums.tobytes())
        file.publish()
        return SegmentEntry(
            id=self._id,
            documents=len(self._ids),
            tokens=self._tokens,
            bytes=layout.size,
            checksum=whole,
            sums_checksum=checksum(sums.tobytes()),
            arrays=layout.arrays,
        )


def _kept(plain: Mapping[str, Array]) -> set[str]:
    """Return which of ``texts`` and ``metadata`` are stored: those that have a table of blocks."""
    return {name.removesuffix("_blocks") for name in plain if name.endswith("_blocks")}
