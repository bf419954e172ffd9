"""The build, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from colstore.codec import Codec, make
from colstore.codec.base import codec_settings, to_arrays
from colstore.config import BuildConfig, FrozenDtype
from colstore.corpus import ReadReport
from colstore.encode import ProjectedEncoder, Projection, export_query_encoder, pool
from colstore.errors import CorpusError, EncoderError, MissingDependencyError
from colstore.indexing.centroid_index import build_faiss
from colstore.indexing.compress import Compressed, compress
from colstore.indexing.ingest import encoded_windows
from colstore.indexing.meters import CorpusSize, EncodeMeter, StageMeter
from colstore.indexing.output import claim_output, locked_output, state_to_resume
from colstore.indexing.parts import Parts
from colstore.indexing.train import train_centroids, train_projection
from colstore.reports import BuildReport, Listener
from colstore.store import (
    FileEntry,
    Manifest,
    Part,
    centroids_name,
    codec_name,
    commit,
    encoder_name,
    highest,
    remove_unreferenced,
    write_arrays_file,
    write_whole,
)
from colstore.store.manifest import timestamp, writer_name
from colstore.threads import available_cores
from colstore.types import Document, Encoder, FloatMatrix, Json


@dataclass
class Build:
    """One build: what stays the same through its stages."""

    path: Path
    config: BuildConfig
    encoder: Encoder | None
    dim: int | None
    listener: Listener | None
    size: CorpusSize | None = None
    frozen_dtype: FrozenDtype = "float16"

    def run(
        self, documents: Iterator[Document], intake: ReadReport, *, overwrite: bool, resume: bool
    ) -> tuple[BuildReport, Encoder | None]:
        """Encode, train, compress, commit; return what was done, and the encoder of the index, projection included."""
        report = BuildReport()
        with locked_output(self.path):
            claim_output(self.path, overwrite=overwrite, resume=resume)
            state = state_to_resume(self.path, self._settings(), overwrite=overwrite) if resume else None
            generation = highest(self.path) + 1
            with (
                report.stage("encode"),
                Parts(
                    self.path, self._settings(), state, report, store_texts=self.config.store_texts, over=generation - 1
                ) as parts,
            ):
                self._encode(documents, parts, report)
            with report.stage("train"):
                projection, codec = self._train(parts)
            with report.stage("compress"):
                meter = StageMeter(self.listener, "compress", "tokens", parts.tokens)
                compressed = compress(
                    self.path,
                    parts,
                    codec,
                    projection,
                    self.config,
                    generation,
                    available_cores(),
                    lambda done: meter(done, done),
                )
            with report.stage("freeze"):
                stored = self._frozen(generation, projection, report)
            with report.stage("commit"):
                manifest = self._commit(generation, codec, stored, compressed)
        report.documents, report.tokens = manifest.documents, manifest.tokens
        _note_read(report, intake)
        report.note_peak_memory()
        encoder = self.encoder
        if encoder is not None and projection is not None:
            encoder = ProjectedEncoder(encoder, projection)
        return report, encoder

    def _settings(self) -> dict[str, Json]:
        """Return all that two builds must share for one to go on where the other stopped."""
        encoder = None if self.encoder is None else dict(self.encoder.settings)
        return {"config": dict(asdict(self.config)), "encoder": encoder, "dim": self.dim}

    def _encode(self, documents: Iterator[Document], parts: Parts, report: BuildReport) -> None:
        meter = EncodeMeter(self.listener, self.size)
        meter.skip(parts.documents, parts.skip_done(documents))
        with closing(encoded_windows(documents, self.encoder, meter)) as windows:
            for window, encoded in windows:
                report.truncated += sum(text.truncated for text in encoded)
                parts.append(window, [self._pooled(text.vectors) for text in encoded])
                meter.add(documents=len(window))
        if parts.is_empty:
            raise CorpusError("there are no documents: an index of nothing cannot be built")
        parts.seal(complete=True)
        report.encoded_tokens = meter.tokens

    def _pooled(self, vectors: FloatMatrix) -> FloatMatrix:
        if self.config.pool_factor == 1:
            return vectors
        return pool(vectors, self.config.pool_factor, self.config.pooling)

    def _train(self, parts: Parts) -> tuple[Projection | None, Codec]:
        meter = StageMeter(self.listener, "train", "rounds", None)
        projection = train_projection(parts, self.dim, self.config.seed)
        centroids = train_centroids(parts, projection, self.config, available_cores(), meter.of)
        return projection, make(self.config.bits, centroids)

    def _frozen(self, generation: int, projection: Projection | None, report: BuildReport) -> Part | None:
        if self.encoder is None:
            return None
        return write_encoder(self.path, generation, self.encoder, projection, self.frozen_dtype, report)

    def _commit(self, generation: int, codec: Codec, encoder: Part | None, compressed: Compressed) -> Manifest:
        """Write what belongs to no segment, and the manifest; then remove what it replaced."""
        arrays, attributes = to_arrays(codec)
        codec_file = write_arrays_file(self.path, codec_name(generation), arrays, attributes)
        faiss_file = write_whole(self.path, centroids_name(generation), build_faiss(codec.centroids))
        manifest = Manifest(
            generation=generation,
            created=timestamp(),
            writer=writer_name(),
            dim=codec.centroids.dim,
            config=asdict(self.config),
            codec=Part(codec_settings(codec, compressed.error), (codec_file,)),
            segments=compressed.segments,
            centroids=faiss_file,
            encoder=encoder,
        )
        commit(self.path, manifest)
        remove_unreferenced(self.path, [manifest])
        return manifest


def _note_read(report: BuildReport, intake: ReadReport) -> None:
    counts = {
        "error": intake.skipped_errors,
        "duplicate": intake.skipped_duplicates,
        "empty": intake.skipped_empty,
    }
    report.skipped = {reason: count for reason, count in counts.items() if count}
    report.incomplete = intake.incomplete
    report.examples = list(intake.examples)


def write_encoder(
    path: Path,
    generation: int,
    encoder: Encoder,
    projection: Projection | None,
    dtype: FrozenDtype,
    report: BuildReport,
) -> Part:
    """Write what an index keeps of its encoder, and return its part of the manifest.

    An encoder that cannot be frozen is noted in the report; its settings say where the model is, and searching with
    texts loads it from there.
    """
    folder = f"{generation:06d}"
    records: list[FileEntry] = []
    whole = encoder
    if projection is not None:
        whole = ProjectedEncoder(encoder, projection)
        arrays, attributes = projection.to_arrays(), {"dim": projection.dim}
        records.append(write_arrays_file(path, encoder_name(f"{folder}/projection.h5"), arrays, attributes))
    for name, data in _frozen(whole, dtype, report).items():
        records.append(write_whole(path, encoder_name(f"{folder}/{name}"), data))
    return Part(dict(whole.settings), tuple(records))


def _frozen(encoder: Encoder, dtype: FrozenDtype, report: BuildReport) -> dict[str, bytes]:
    try:
        return export_query_encoder(encoder, frozen_dtype=dtype)
    except (EncoderError, MissingDependencyError) as error:
        report.notes.append(f"searching with texts will load the model itself, for it could not be frozen: {error}")
        return {}
