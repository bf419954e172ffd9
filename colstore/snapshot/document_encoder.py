"""The encoder of an index: as the query side needs it, and as new documents need it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from colstore.encode import ProjectedEncoder, Projection, load_encoder_from_settings
from colstore.encode.describe import KIND, check_same
from colstore.errors import CorruptIndexError, EncoderError, VectorError
from colstore.store import Manifest, read_arrays_file
from colstore.types import Encoder


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How the model of an index is found and run, where the caller has a say.

    Parameters
    ----------
    model
        Where it is now, if no longer where it was.
    trust_remote_code, device
        As for :func:`colstore.encode.load_encoder`.
    """

    model: str | Path | None = None
    trust_remote_code: bool = False
    device: str | None = None


def stored_projection(path: Path, manifest: Manifest) -> Projection | None:
    """Return the projection that the index keeps beside its encoder; ``None`` where it has none."""
    if manifest.encoder is None:
        return None
    files = [record for record in manifest.encoder.files if record.path.endswith("/projection.h5")]
    if not files:
        return None
    try:
        projection = Projection.from_arrays(read_arrays_file(path, files[0]).arrays)
    except VectorError as error:
        raise CorruptIndexError(f"no projection: {error}", file=path / files[0].path) from error
    if projection.dim != manifest.dim:
        raise CorruptIndexError(
            f"the projection gives {projection.dim} dimensions, the index has {manifest.dim}", file=path / files[0].path
        )
    return projection


def stored_encoder(path: Path, manifest: Manifest, options: ModelOptions | None = None) -> Encoder:
    """Load the encoder that an index was built with, projection included.

    Raises
    ------
    EncoderError
        The index was built from vectors, or its model cannot be loaded or encodes differently now.
    """
    if manifest.encoder is None:
        raise EncoderError("this index was built from vectors: search with vectors, or open it with an encoder")
    chosen = options or ModelOptions()
    return load_encoder_from_settings(
        manifest.encoder.settings,
        chosen.model,
        projection=stored_projection(path, manifest),
        trust_remote_code=chosen.trust_remote_code,
        device=chosen.device,
    )


def document_encoder(
    path: Path, manifest: Manifest, given: Encoder | None, options: ModelOptions | None = None
) -> Encoder:
    """Return the encoder for new documents, without the projection: the one that the index was built with.

    Parameters
    ----------
    given
        The caller's own; it must encode as the index's did.

    Raises
    ------
    EncoderError
        The index was built from vectors, or the encoder is another.
    """
    if manifest.encoder is None:
        raise EncoderError(
            "this index was built from vectors, so there is no telling how a text would have to be encoded: "
            "give every document its vectors"
        )
    encoder = stored_encoder(path, manifest, options) if given is None else given
    if given is not None:
        _check_given(manifest, given)
    return encoder.encoder if isinstance(encoder, ProjectedEncoder) else encoder


def _check_given(manifest: Manifest, given: Encoder) -> None:
    assert manifest.encoder is not None
    expected, found = dict(manifest.encoder.settings), dict(given.settings)
    if expected.get("projection") != found.get("projection"):
        raise EncoderError("the projection of this encoder is not that of the index; open the index without an encoder")
    if expected.get("kind") == KIND == found.get("kind"):
        check_same(found, expected)
        return
    changed = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if changed:
        raise EncoderError(
            f"this encoder does not encode as that of the index did: {', '.join(changed)} differ; its vectors would "
            "not fit those that are there"
        )
