"""Parts: encoded documents, kept as float16 vectors until projection and codec are trained.

A part is a segment file in the folder ``building/``, sealed after a number of documents, bytes or seconds and noted in
the state, so that an interrupted build goes on after the last sealed part. Parts end where windows of documents end, so
that the segments do not depend on when parts were sealed (``compress.py`` does the rest). A running digest of ids,
texts and metadata tells whether the corpus is still the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

import numpy as np
import xxhash
from numpy.typing import NDArray

from colstore.errors import CorruptIndexError, ResumeError
from colstore.indexing import ingest
from colstore.indexing.ingest import Float16Documents
from colstore.indexing.train import Block, TokenVectors
from colstore.kernels.calls import Ints
from colstore.reports import BuildReport
from colstore.store import Segment, SegmentEntry, SegmentWriter, building_folder, write_state
from colstore.store.files import remove_empty_folder
from colstore.types import Document, FloatMatrix, Json

PART_DOCUMENTS = 4_096
PART_BYTES = 134_217_728
"""Most bytes of vectors in a part: it is mapped whole when it is read, and counts as memory of the build."""
PART_SECONDS = 120.0
"""The most work that an interruption loses, but for one window."""


class Parts:
    """Writes parts, and reads them again.

    Use as a context manager: leaving it drops the part that is not sealed.

    Parameters
    ----------
    directory
        The index's directory.
    settings
        The settings of the build; stored in the state.
    state
        The state of an interrupted build to go on with; ``None`` begins a new one.
    report
        The build's report, whose counts of truncated and unreadable documents are stored in the state.
    store_texts
        Whether to keep titles, texts and metadata.
    over
        The generation that the build will replace; 0 where there is no index. Stored in the state.
    """

    def __init__(
        self,
        directory: Path,
        settings: dict[str, Json],
        state: dict[str, Json] | None,
        report: BuildReport,
        *,
        store_texts: bool,
        over: int,
    ) -> None:
        self._directory, self._settings, self._store_texts = directory, settings, store_texts
        self._report, self._over = report, over
        self._digest = xxhash.xxh3_128()
        self._writer: SegmentWriter | None = None
        self._written = 0  # bytes of vectors in the part that is not sealed yet
        self.entries: list[SegmentEntry] = []
        self.complete = False
        self._sealed_at = monotonic()
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
        return sum(entry.documents for entry in self.entries)

    @property
    def is_empty(self) -> bool:
        """Whether no document has come yet."""
        return not self.entries and self._writer is None

    @property
    def tokens(self) -> int:
        """Tokens in sealed parts."""
        return sum(entry.tokens for entry in self.entries)

    @property
    def dim(self) -> int | None:
        """Components of the vectors in sealed parts; ``None`` where there are none yet."""
        return int(self.entries[0].arrays["vectors"].shape[1]) if self.entries else None

    def skip_done(self, documents: Iterator[Document]) -> int:
        """Read past the documents of sealed parts, make sure that they are the same, and count their characters.

        Raises
        ------
        ResumeError
            The corpus has changed.
        """
        if not self.entries:
            return 0
        done = characters = 0
        for _ in range(self.documents):
            document = next(documents, None)
            if document is None:
                break
            self._note(document)
            characters += len(document.passage)
            done += 1
        changed = done < self.documents or self._digest.hexdigest() != self._resume_digest
        if changed or (self.complete and next(documents, None) is not None):
            raise ResumeError(
                f"{self._directory}: the corpus is not the one that the unfinished build began with; use "
                "overwrite=True to start again"
            )
        return characters

    def append(self, documents: Sequence[Document], found: Float16Documents) -> None:
        """Add some documents in a row with their checked vectors, and seal the part if it is due."""
        for number, (document, matrix) in enumerate(zip(documents, found.matrices, strict=True)):
            writer = self._open_writer(matrix.shape[1])
            record = (document.title, document.text, document.metadata) if self._store_texts else ("", "", {})
            passages = found.passages.between(number, number + 1)
            writer.append([document.id], [len(matrix)], {"vectors": matrix}, [record], passages)
            self._written += matrix.nbytes
            self._note(document)
        if self._is_due():
            self.seal()

    def seal(self, *, complete: bool = False) -> None:
        """Make what was appended durable, and note it in the state."""
        if self._writer is not None:
            self.entries.append(self._writer.seal())
            self._writer, self._written = None, 0
        self.complete, self._sealed_at = complete, monotonic()
        write_state(
            self._directory,
            {
                "settings": self._settings,
                "over": self._over,
                "digest": self._digest.hexdigest(),
                "complete": complete,
                "parts": [entry.to_json() for entry in self.entries],
                "truncated": self._report.truncated,
                "unreadable": self._report.unreadable,
                "unreadable_examples": list(self._report.unreadable_examples),
            },
        )

    def read(self) -> Iterator[Segment]:
        """Yield each sealed part, open, one at a time."""
        for entry in self.entries:
            segment = Segment.open(self.folder, entry)
            try:
                yield segment
            finally:
                segment.close()

    def token_vectors(self) -> TokenVectors:
        """Return the vectors of sealed parts, for training."""
        return TokenVectors(self.tokens, self.dim or 1, self._blocks)

    def _blocks(self) -> Iterator[Block]:
        for segment in self.read():
            vectors = segment.rows("vectors")

            def rows_at(numbers: Ints, vectors: NDArray[np.float16] = vectors) -> FloatMatrix:
                return vectors[numbers].astype(np.float32)

            yield segment.tokens, rows_at

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if not self.entries and self.folder.is_dir():
            remove_empty_folder(self.folder)  # nothing to go on from: do not block the next build

    def _is_due(self) -> bool:
        writer = self._writer
        if writer is None or writer.documents % ingest.WINDOW_DOCUMENTS:
            return False  # parts hold whole windows
        full = writer.documents >= PART_DOCUMENTS or self._written >= PART_BYTES
        return full or monotonic() - self._sealed_at >= PART_SECONDS

    def _open_writer(self, dim: int) -> SegmentWriter:
        if self._writer is None:
            name = f"part-{len(self.entries) + 1:06d}"
            self._writer = SegmentWriter(self.folder, name, {"vectors": ("<f2", (dim,))}, store_texts=self._store_texts)
        return self._writer

    def _note(self, document: Document) -> None:
        metadata = json.dumps(dict(document.metadata), sort_keys=True)
        for text in (document.id, document.title, document.text, metadata):
            data = text.encode("utf-8", "surrogatepass")
            self._digest.update(len(data).to_bytes(8, "little") + data)
        if document.vectors is not None:
            self._digest.update(np.ascontiguousarray(document.vectors).tobytes())

    def _go_on_from(self, state: dict[str, Json]) -> None:
        try:
            parts, self._resume_digest = state["parts"], str(state["digest"])
            self.entries = [SegmentEntry.from_json(part) for part in parts]  # type: ignore[union-attr]  # checked by from_json
            self.complete = state.get("complete") is True
            self._report.truncated = int(state["truncated"])  # type: ignore[arg-type]  # checked by int
            self._report.unreadable = int(state.get("unreadable", 0))  # type: ignore[arg-type]  # checked by int
            self._report.unreadable_examples = [str(name) for name in state.get("unreadable_examples", ())]  # type: ignore[union-attr]  # a list, or a TypeError
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptIndexError(
                "the state of the unfinished build cannot be read; start again with overwrite=True",
                file=self.folder,
            ) from error
        for entry in self.entries:
            Segment.open(self.folder, entry).close()
