"""Parts: what is encoded, kept as float16 vectors until centroids and codec are trained.

A part is a segment file in the folder ``building/``, sealed every so many documents and noted in the state, so that an
interrupted build goes on behind the last sealed part. A running digest of ids and texts tells whether the corpus is
still the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import xxhash

from colstore.errors import CorruptIndexError, IndexExistsError, VectorError
from colstore.progress import BuildReport
from colstore.store import Segment, SegmentRecord, SegmentWriter, building_folder, write_state
from colstore.types import Document, FloatMatrix, Json

PART_DOCUMENTS = 4_096
PART_TOKENS = 1_048_576


class Parts:
    """Writes parts, and reads them again.

    Use as a context manager: leaving it drops the part that is not sealed.

    Parameters
    ----------
    directory
        Of the index.
    settings
        Of the build; stored in the state.
    state
        To go on from; ``None`` begins.
    store_texts
        Keep titles, texts and metadata.
    """

    def __init__(
        self, directory: Path, settings: dict[str, Json], state: dict[str, Json] | None, report: BuildReport, *, store_texts: bool
    ) -> None:  # fmt: skip
        self._directory, self._settings, self._store_texts = directory, settings, store_texts
        self._report = report
        self._digest = xxhash.xxh3_128()
        self._writer: SegmentWriter | None = None
        self.records: list[SegmentRecord] = []
        self.dim: int | None = None
        self.complete = False
        self._resume_digest = ""
        if state is not None:
            self._go_on_from(state)

    @property
    def folder(self) -> Path:
        """Where the parts lie."""
        return building_folder(self._directory)

    @property
    def documents(self) -> int:
        """Documents in sealed parts."""
        return sum(record.documents for record in self.records)

    @property
    def tokens(self) -> int:
        """Tokens in sealed parts."""
        return sum(record.tokens for record in self.records)

    def skip_done(self, documents: Iterator[Document]) -> None:
        """Read past the documents of sealed parts, and make sure that they are the same.

        Raises
        ------
        IndexExistsError
            The corpus has changed.
        """
        if not self.records:
            return
        done = 0
        for _ in range(self.documents):
            document = next(documents, None)
            if document is None:
                break
            self._note(document)
            done += 1
        if done < self.documents or self._digest.hexdigest() != self._resume_digest:
            raise IndexExistsError(
                f"{self._directory}: the corpus is not the one that the unfinished build began with; use "
                "--overwrite (overwrite=True) to start again"
            )

    def append(self, documents: Sequence[Document], vectors: Sequence[FloatMatrix]) -> None:
        """Add documents with their vectors, sealing parts on the way.

        Raises
        ------
        VectorError
            Vectors of another dimension than before, without rows, not finite, or with rows of zeros.
        """
        for document, matrix in zip(documents, vectors, strict=True):
            stored = self._checked(document, matrix)
            writer = self._open_writer(stored.shape[1])
            record = (document.title, document.text, document.metadata) if self._store_texts else ("", "", {})
            writer.append([document.id], [len(stored)], {"vectors": stored}, [record])
            self._note(document)
            if writer.documents >= PART_DOCUMENTS or writer.tokens >= PART_TOKENS:
                self.seal()

    def seal(self, *, complete: bool = False) -> None:
        """Make what was appended durable, and note it in the state."""
        if self._writer is not None:
            self.records.append(self._writer.seal())
            self._writer = None
        self.complete = complete
        write_state(
            self._directory,
            {
                "settings": self._settings,
                "digest": self._digest.hexdigest(),
                "complete": complete,
                "parts": [record.to_json() for record in self.records],
                "truncated": self._report.truncated,
            },
        )

    def read(self) -> Iterator[Segment]:
        """Yield each sealed part, open, one at a time."""
        for record in self.records:
            segment = Segment.open(self.folder, record)
            try:
                yield segment
            finally:
                segment.close()

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open_writer(self, dim: int) -> SegmentWriter:
        if self._writer is None:
            name = f"part-{len(self.records) + 1:06d}"
            self._writer = SegmentWriter(self.folder, name, {"vectors": ("<f2", (dim,))}, store_texts=self._store_texts)
        return self._writer

    def _checked(self, document: Document, matrix: FloatMatrix) -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
        vectors = np.asarray(matrix)
        if vectors.ndim != 2 or not vectors.size:
            raise VectorError(f"document {document.id!r}: vectors of shape {vectors.shape}, not (tokens, dim)")
        if self.dim is None:
            self.dim = vectors.shape[1]
        if vectors.shape[1] != self.dim:
            raise VectorError(f"document {document.id!r}: {vectors.shape[1]} dimensions, but {self.dim} before")
        with np.errstate(over="ignore"):
            stored = vectors.astype("<f2")
        if not np.isfinite(stored).all():
            raise VectorError(f"document {document.id!r}: a component is NaN, infinite or beyond 65,504 (float16)")
        if not stored.any(axis=1).all():
            raise VectorError(f"document {document.id!r}: a token vector is all zeros; leave out padding")
        return stored

    def _note(self, document: Document) -> None:
        for text in (document.id, document.title, document.text):
            data = text.encode("utf-8", "surrogatepass")
            self._digest.update(len(data).to_bytes(8, "little") + data)
        if document.vectors is not None:
            self._digest.update(np.ascontiguousarray(document.vectors).tobytes())

    def _go_on_from(self, state: dict[str, Json]) -> None:
        try:
            parts, self._resume_digest = state["parts"], str(state["digest"])
            self.records = [SegmentRecord.from_json(part) for part in parts]  # type: ignore[union-attr]  # checked by from_json
            self._report.truncated = int(state["truncated"])  # type: ignore[arg-type]  # checked by int
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptIndexError(
                "the state of the unfinished build cannot be read; start again with --overwrite", file=self.folder
            ) from error
        for record in self.records:
            Segment.open(self.folder, record).close()
        if self.records:
            self.dim = self.records[0].arrays["vectors"].shape[1]
