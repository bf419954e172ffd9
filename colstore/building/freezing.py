"""The frozen query encoder of a new index: its files, or a note that there are none."""

from __future__ import annotations

from pathlib import Path

from colstore.config import FrozenDtype
from colstore.encode import ProjectedEncoder, Projection, export_query_encoder
from colstore.errors import EncoderError, MissingDependencyError
from colstore.progress import BuildReport
from colstore.store import FileRecord, Part, encoder_name, write_arrays_file, write_whole
from colstore.types import Encoder


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
    records: list[FileRecord] = []
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
