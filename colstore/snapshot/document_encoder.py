"""The encoder for new documents: the model that the index was built with, or an equivalent one of the caller."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from colstore.encode import ProjectedEncoder, Projection, load_encoder_from_settings
from colstore.encode.describe import KIND, check_same
from colstore.errors import CorruptIndexError, EncoderError, VectorError
from colstore.store import Manifest, Part, read_arrays_file
from colstore.types import Encoder


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How to load the model of an index.

    Parameters
    ----------
    model
        Path of the model, if it is no longer where it was when the index was built.
    trust_remote_code, allow_pickle, device
        As for :func:`colstore.encode.load_encoder`.
    """

    model: str | Path | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False
    device: str | None = None


def stored_projection(path: Path, manifest: Manifest) -> Projection | None:
    """Return the projection that the index stores beside its encoder; ``None`` where it has none.

    Parameters
    ----------
    path
        The directory of the index.
    manifest
        The manifest of the generation.

    Raises
    ------
    CorruptIndexError
        The projection is damaged, or its output does not have the dimension of the index.
    """
    if manifest.encoder is None:
        return None
    files = [entry for entry in manifest.encoder.files if entry.path.endswith("/projection.h5")]
    if not files:
        return None
    try:
        projection = Projection.from_arrays(read_arrays_file(path, files[0]).arrays)
    except VectorError as error:
        raise CorruptIndexError(f"the projection is invalid: {error}", file=path / files[0].path) from error
    if projection.dim != manifest.dim:
        raise CorruptIndexError(
            f"the projection produces {projection.dim} dimensions, but the index has {manifest.dim}",
            file=path / files[0].path,
        )
    return projection


def stored_encoder(path: Path, manifest: Manifest, options: ModelOptions | None = None) -> Encoder:
    """Load the encoder that an index was built with, including its projection.

    Raises
    ------
    EncoderError
        The index was built from vectors, or its model cannot be loaded or now encodes differently.
    """
    if manifest.encoder is None:
        raise EncoderError("this index was built from vectors: search with vectors, or open it with an encoder")
    chosen = options or ModelOptions()
    return load_encoder_from_settings(
        manifest.encoder.settings,
        chosen.model,
        projection=stored_projection(path, manifest),
        trust_remote_code=chosen.trust_remote_code,
        allow_pickle=chosen.allow_pickle,
        device=chosen.device,
    )


class ModelCache:
    """Keeps the model of an index in memory, so that one addition after another does not load it again each time."""

    def __init__(self) -> None:
        self._loaded: tuple[Part, ModelOptions, Encoder] | None = None

    def get(self, path: Path, manifest: Manifest, options: ModelOptions) -> Encoder:
        """Return what :func:`stored_encoder` returns; it is loaded again only for another encoder or other options."""
        if self._loaded is None or self._loaded[:2] != (manifest.encoder, options):
            loaded = stored_encoder(path, manifest, options)
            assert manifest.encoder is not None  # else there was an error
            self._loaded = (manifest.encoder, options, loaded)
        return self._loaded[2]


def document_encoder(
    path: Path,
    manifest: Manifest,
    encoder: Encoder | None,
    options: ModelOptions | None = None,
    models: ModelCache | None = None,
) -> Encoder:
    """Return the encoder for new documents, without the projection.

    Parameters
    ----------
    path
        The directory of the index.
    manifest
        The manifest of the generation.
    encoder
        The caller's encoder, which must encode as the encoder of the index does; ``None`` loads the model that the
        index was built with.
    options
        How to load that model.
    models
        Where the model may be in memory already, and is kept.

    Raises
    ------
    EncoderError
        The index was built from vectors, or the caller's encoder is not equivalent to that of the index.
    """
    if manifest.encoder is None:
        raise EncoderError(
            "this index was built from vectors, so it does not know how to encode a text: supply the vectors of every "
            "document"
        )
    if encoder is None:
        encoder = (models or ModelCache()).get(path, manifest, options or ModelOptions())
    else:
        _check_equivalent(manifest, encoder)
    return encoder.encoder if isinstance(encoder, ProjectedEncoder) else encoder


def _check_equivalent(manifest: Manifest, encoder: Encoder) -> None:
    """Refuse an encoder whose settings differ from those stored in the index."""
    assert manifest.encoder is not None
    stored, actual = dict(manifest.encoder.settings), dict(encoder.settings)
    if stored.get("projection") != actual.get("projection"):
        raise EncoderError("the projection of this encoder is not that of the index; open the index without an encoder")
    if stored.get("kind") == KIND == actual.get("kind"):
        check_same(actual, stored)
        return
    different = sorted(name for name in stored.keys() | actual.keys() if stored.get(name) != actual.get(name))
    if different:
        raise EncoderError(
            f"this encoder differs from the encoder of the index in {', '.join(different)}; its vectors would not be "
            "comparable with those in the index"
        )
