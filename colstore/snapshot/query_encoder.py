"""The encoder for queries: the frozen encoder stored in the index, which works without torch, else the model."""

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
    """Return the frozen encoder of an index; where it has none, load the model that it was built with.

    Parameters
    ----------
    path
        The directory of the index.
    manifest
        The manifest of the generation.

    Raises
    ------
    EncoderError
        The index was built from vectors, its model cannot be loaded, or its frozen encoder does not produce vectors
        of the index's dimension.
    CorruptIndexError
        A file of the frozen encoder is damaged.
    """
    entries = () if manifest.encoder is None else manifest.encoder.files
    by_name = {entry.path.rpartition("/")[2]: entry for entry in entries}
    if GRAPH not in by_name:
        from colstore.snapshot.document_encoder import stored_encoder

        return stored_encoder(path, manifest)
    frozen = FrozenEncoder.load({name: read_whole(path, by_name[name]) for name in FILES if name in by_name})
    if frozen.dim != manifest.dim:
        raise EncoderError(
            f"{path}: the index has vectors of {manifest.dim} components, but its query encoder produces {frozen.dim}; "
            "restore the index from a copy, or open it with an encoder of your own"
        )
    return frozen
