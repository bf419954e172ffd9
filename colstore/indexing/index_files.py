"""The files of an index that belong to no segment, and the first manifest of a new index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from colstore.codec import Codec
from colstore.codec.base import codec_settings, to_arrays
from colstore.config import BuildConfig, FrozenDtype
from colstore.encode import ProjectedEncoder, Projection, export_query_encoder
from colstore.errors import EncoderError, MissingDependencyError
from colstore.indexing.centroid_index import build_faiss
from colstore.reports import BuildReport
from colstore.store import (
    FileEntry,
    Manifest,
    Part,
    SegmentEntry,
    centroids_name,
    codec_name,
    commit,
    encoder_name,
    remove_unreferenced,
    write_arrays_file,
    write_whole,
)
from colstore.store.manifest import timestamp, writer_name
from colstore.types import Encoder


class CodecFiles(NamedTuple):
    """What a manifest says of a codec, and the FAISS index over its centroids."""

    codec: Part
    centroids: FileEntry


def write_codec(path: Path, generation: int, codec: Codec, error: float | None) -> CodecFiles:
    """Write a codec and the FAISS index over its centroids; ``error`` as in :func:`codec_settings`."""
    arrays, attributes = to_arrays(codec)
    file = write_arrays_file(path, codec_name(generation), arrays, attributes)
    return CodecFiles(Part(codec_settings(codec, error), (file,)), write_centroid_index(path, generation, codec))


def write_centroid_index(path: Path, generation: int, codec: Codec) -> FileEntry:
    """Write the FAISS index over a codec's centroids."""
    return write_whole(path, centroids_name(generation), build_faiss(codec.centroids))


def write_encoder(
    path: Path,
    generation: int,
    encoder: Encoder,
    projection: Projection | None,
    dtype: FrozenDtype,
    report: BuildReport,
) -> Part:
    """Write the query encoder and the projection of an index, and return their part of the manifest.

    An encoder that cannot be frozen is noted in the report; its settings say where the model is, and searching with
    texts loads it from there.
    """
    folder = f"{generation:06d}"
    entries: list[FileEntry] = []
    whole = encoder
    if projection is not None:
        whole = ProjectedEncoder(encoder, projection)
        arrays, attributes = projection.to_arrays(), {"dim": projection.dim}
        entries.append(write_arrays_file(path, encoder_name(f"{folder}/projection.h5"), arrays, attributes))
    for name, data in _frozen(whole, dtype, report).items():
        entries.append(write_whole(path, encoder_name(f"{folder}/{name}"), data))
    return Part(dict(whole.settings), tuple(entries))


def _frozen(encoder: Encoder, dtype: FrozenDtype, report: BuildReport) -> dict[str, bytes]:
    try:
        return export_query_encoder(encoder, frozen_dtype=dtype)
    except (EncoderError, MissingDependencyError) as error:
        report.notes.append(f"searching with texts will load the model itself, because it could not be frozen: {error}")
        return {}


def commit_first(
    path: Path,
    generation: int,
    config: BuildConfig,
    codec: Codec,
    written: CodecFiles,
    encoder: Part | None,
    segments: Sequence[SegmentEntry],
    report: BuildReport,
    lexical: Part | None = None,
) -> Manifest:
    """Commit the manifest of a new index, then remove what it replaced.

    The report notes it where that cannot be removed: the new index is complete without it.

    Raises
    ------
    EncoderError
        The encoder makes vectors that the codec does not take. Nothing is committed.
    """
    _check_encoder(encoder, codec)
    manifest = Manifest(
        generation=generation,
        created=timestamp(),
        writer=writer_name(),
        dim=codec.centroids.dim,
        config=asdict(config),
        codec=written.codec,
        segments=tuple(segments),
        centroids=written.centroids,
        encoder=encoder,
        lexical=lexical,
    )
    commit(path, manifest)
    try:
        remove_unreferenced(path, [manifest])
    except Exception as error:
        report.notes.append(f"files of the build or of the index before could not be removed: {error!r}")
    return manifest


def _check_encoder(encoder: Part | None, codec: Codec) -> None:
    """Refuse an index whose queries would have other vectors than its documents."""
    dim = None if encoder is None else encoder.settings.get("dim")
    if dim is not None and dim != codec.centroids.dim:
        raise EncoderError(
            f"the model makes vectors of {dim} components, the documents have {codec.centroids.dim}: build with the "
            "model that made the vectors of the documents"
        )
