"""What turns a question into vectors: without torch, wherever the index carries a frozen encoder."""

from __future__ import annotations

from pathlib import Path

from colstore.errors import EncoderError
from colstore.frozen import FILES, GRAPH, FrozenEncoder
from colstore.store import Manifest, read_whole
from colstore.types import Encoder


def has_frozen_encoder(manifest: Manifest) -> bool:
    """Tell whether an index carries a frozen query encoder, which needs neither torch nor the model."""
    return manifest.encoder is not None and any(
        record.path.rpartition("/")[2] == GRAPH for record in manifest.encoder.files
    )


def query_encoder(path: Path, manifest: Manifest) -> Encoder:
    """Return what encodes questions: the frozen encoder of the index, else the model itself."""
    records = () if manifest.encoder is None else manifest.encoder.files
    files = {record.path.rpartition("/")[2]: record for record in records}
    if GRAPH not in files:
        from colstore.snapshot.document_encoder import stored_encoder

        return stored_encoder(path, manifest)
    frozen = FrozenEncoder.load({name: read_whole(path, files[name]) for name in FILES if name in files})
    if frozen.dim != manifest.dim:
        raise EncoderError(
            f"{path}: the index has vectors of {manifest.dim} components, its query encoder makes {frozen.dim}; "
            "restore the index from a copy, or open it with an encoder of your own"
        )
    return frozen
