"""The build, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path

from colstore.codec import Codec, checked_vectors
from colstore.config import BuildConfig, FrozenDtype
from colstore.corpus import ReadReport
from colstore.encode import ProjectedEncoder, Projection
from colstore.errors import ConfigError, CorpusError
from colstore.indexing.bm25 import passages_of, write_bm25
from colstore.indexing.compress import CompressedParts, compress
from colstore.indexing.index_files import commit_first, write_codec, write_encoder
from colstore.indexing.ingest import Compressor, Float16Vectors, encoded_windows, note_unreadable, vectors_of
from colstore.indexing.meters import CorpusSize, EncodeMeter, StageMeter
from colstore.indexing.output import claim_output, locked_output, state_to_resume
from colstore.indexing.parts import Parts
from colstore.indexing.train import train_codec, train_projection
from colstore.outputs import encode_query
from colstore.reports import BuildReport, Listener
from colstore.store import Part, highest
from colstore.threads import available_cores
from colstore.types import Document, Encoder, Json


@dataclass
class Build:
    """One build: what stays the same through its stages.

    Parameters
    ----------
    path, config
        Directory and settings of the new index.
    encoder
        ``None`` where every document brings its vectors.
    dim
        Number of axes to project on; ``None`` keeps all.
    listener
        Called with the progress.
    size
        Size of the corpus, where it is known.
    frozen_dtype
        How the index keeps the weights of its query encoder.
    bm25
        Whether to commit a BM25 index together with the rest.
    """

    path: Path
    config: BuildConfig
    encoder: Encoder | None
    dim: int | None
    listener: Listener | None
    size: CorpusSize | None = None
    frozen_dtype: FrozenDtype = "float16"
    bm25: bool = False

    def run(
        self, documents: Iterator[Document], read: ReadReport, *, overwrite: bool, resume: bool
    ) -> tuple[BuildReport, Encoder | None]:
        """Encode, train, compress, commit; return a report, and the encoder of the index, projection included."""
        report = BuildReport()
        documents = self._checked(documents)
        with locked_output(self.path):
            claim_output(self.path, overwrite=overwrite, resume=resume)
            state = state_to_resume(self.path, self._settings(), overwrite=overwrite) if resume else None
            generation = highest(self.path) + 1
            with report.stage("encode"), self._parts(state, generation, report) as parts:
                self._encode(documents, parts, report)
            with report.stage("train"):
                projection, codec = self._train(parts)
            with report.stage("compress"):
                compressed = self._compress(parts, Compressor(codec, projection), generation)
            with report.stage("freeze"):
                stored_encoder = self._freeze(generation, projection, report)
            lexical = self._bm25(generation, compressed, report) if self.bm25 else None
            report.documents = sum(entry.documents for entry in compressed.segments)
            report.tokens = sum(entry.tokens for entry in compressed.segments)
            report.passages = sum(entry.passages for entry in compressed.segments)
            _note_read(report, read)
            report.note_peak_memory()
            with report.stage("commit"):
                self._commit(generation, codec, stored_encoder, compressed, lexical, report)
        return report, self._with_projection(projection)

    def _settings(self) -> dict[str, Json]:
        """Return all that two builds must share for one to go on where the other stopped."""
        encoder = None if self.encoder is None else dict(self.encoder.settings)
        return {"config": dict(asdict(self.config)), "encoder": encoder, "dim": self.dim}

    def _checked(self, documents: Iterator[Document]) -> Iterator[Document]:
        """Check what can contradict before anything is written, and return all documents from the first one on.

        Raises
        ------
        ConfigError
            The projection has more axes than the model's vectors have components.
        EncoderError
            The model makes other vectors of queries than it says.
        VectorError
            The first document brings vectors that do not fit the model.
        """
        encoder = self.encoder
        if encoder is None:
            return documents
        if self.dim is not None and self.dim > encoder.dim:
            raise ConfigError(f"dim must lie in 1..{encoder.dim} (the model's own), got {self.dim}")
        encode_query(encoder, "a query")
        first = list(islice(documents, 1))
        for document in first:
            if document.vectors is not None:
                checked_vectors(document.id, document.vectors, encoder.dim)
        return chain(first, documents)

    def _parts(self, state: dict[str, Json] | None, generation: int, report: BuildReport) -> Parts:
        texts = self.config.store_texts
        return Parts(self.path, self._settings(), state, report, store_texts=texts, over=generation - 1)

    def _encode(self, documents: Iterator[Document], parts: Parts, report: BuildReport) -> None:
        meter = EncodeMeter(self.listener, self.size)
        meter.skip(parts.documents, parts.skip_done(documents))
        # With an encoder its dimension counts, also for documents with vectors of their own: queries come from it.
        to_float16 = Float16Vectors(self.config, parts.dim if self.encoder is None else self.encoder.dim)
        with closing(encoded_windows(documents, self.encoder, meter, passages=self.config.passages)) as windows:
            for window, texts in windows:
                report.truncated += sum(text.truncated for text in texts)
                note_unreadable(report, window, texts)
                parts.append(window, to_float16.of(window, texts))
                meter.add(documents=len(window), ready=vectors_of(window))
        if parts.is_empty:
            raise CorpusError("there are no documents to build an index of; colstore.create makes an empty index")
        parts.seal(complete=True)
        report.encoded_tokens = meter.tokens

    def _train(self, parts: Parts) -> tuple[Projection | None, Codec]:
        meter = StageMeter(self.listener, "train", "rounds", None)
        vectors = parts.token_vectors()
        projection = train_projection(vectors, self.dim, self.config.seed)
        return projection, train_codec(vectors, projection, self.config, available_cores(), meter.of)

    def _compress(self, parts: Parts, compressor: Compressor, generation: int) -> CompressedParts:
        meter = StageMeter(self.listener, "compress", "tokens", parts.tokens)
        threads = available_cores()
        return compress(self.path, parts, compressor, self.config, generation, threads, lambda done: meter(done, done))

    def _freeze(self, generation: int, projection: Projection | None, report: BuildReport) -> Part | None:
        if self.encoder is None:
            return None
        return write_encoder(self.path, generation, self.encoder, projection, self.frozen_dtype, report)

    def _bm25(self, generation: int, compressed: CompressedParts, report: BuildReport) -> Part:
        with report.stage("bm25"):
            passages = passages_of(self.path, compressed.segments)
            return write_bm25(self.path, generation, compressed.segments, passages)

    def _commit(
        self,
        generation: int,
        codec: Codec,
        encoder: Part | None,
        compressed: CompressedParts,
        lexical: Part | None,
        report: BuildReport,
    ) -> None:
        written = write_codec(self.path, generation, codec, compressed.error)
        segments = compressed.segments
        commit_first(self.path, generation, self.config, codec, written, encoder, segments, report, lexical)

    def _with_projection(self, projection: Projection | None) -> Encoder | None:
        if self.encoder is None or projection is None:
            return self.encoder
        return ProjectedEncoder(self.encoder, projection)


def _note_read(report: BuildReport, read: ReadReport) -> None:
    counts = {
        "error": read.skipped_errors,
        "duplicate": read.skipped_duplicates,
        "empty": read.skipped_empty,
    }
    report.skipped = {reason: count for reason, count in counts.items() if count}
    report.incomplete = read.incomplete
    report.examples = list(read.examples)
    report.passed_over = dict(read.passed_over)
    report.notes += read.notes
