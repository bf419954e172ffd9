"""The protocol of codecs, a codec from its parts, and a codec to and from stored arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from colstore.codec.centroids import Centroids
from colstore.config import BITS, Bits
from colstore.errors import ConfigError, CorruptIndexError
from colstore.kernels.layout import CENTROID_MIDDLE
from colstore.types import FloatMatrix, Json

Arrays = Mapping[str, NDArray[Any]]


class Codec(Protocol):
    """Turns token vectors into named arrays of one row a token, and back."""

    @property
    def bits(self) -> Bits:
        """Bits a component."""
        ...

    @property
    def centroids(self) -> Centroids:
        """The rotation and the centroids."""
        ...

    @property
    def token_arrays(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
        """Name, dtype and row shape of each stored array; always with ``codes``."""
        ...

    def encode(self, vectors: FloatMatrix) -> dict[str, NDArray[Any]]:
        """Return the stored arrays of vectors ``(tokens, dim)`` float32, none of them zero.

        A token's row is a function of its vector and the codec alone, whatever the other rows are.
        """
        ...

    def decode(self, arrays: Arrays) -> FloatMatrix:
        """Return vectors ``(tokens, dim)`` float32 from stored arrays."""
        ...


def make(bits: Bits, centroids: Centroids) -> Codec:
    """Return the codec of a number of bits a component."""
    from colstore.codec.float16 import Float16Codec
    from colstore.codec.residual import ResidualCodec

    return Float16Codec(centroids) if bits == 16 else ResidualCodec(bits, centroids)


def to_arrays(codec: Codec) -> tuple[dict[str, NDArray[Any]], dict[str, Json]]:
    """Return the arrays and attributes that :func:`restore` takes."""
    centroids = codec.centroids
    arrays: dict[str, NDArray[Any]] = {"rotation": centroids.rotation, "centroids": centroids.values}
    return arrays, {"bits": int(codec.bits), "centroid_scale": float(centroids.scale)}


def codec_settings(codec: Codec, error: float | None) -> dict[str, Json]:
    """Return the settings of a codec for the manifest.

    Parameters
    ----------
    error
        Mean of 1 - cosine between the tokens that it was trained on and their centroids; ``None`` for a codec that was
        not trained, because the index has too few tokens.
    """
    settings: dict[str, Json] = {"bits": int(codec.bits), "centroids": len(codec.centroids.values)}
    return settings | ({"error": 0.0, "trained": False} if error is None else {"error": round(error, 9)})


def is_trained(settings: Mapping[str, Json]) -> bool:
    """Tell whether the settings of :func:`codec_settings` are those of a trained codec.

    >>> is_trained({"bits": 4, "centroids": 256, "error": 0.2})
    True
    """
    return settings.get("trained") is not False


def restore(arrays: Arrays, attributes: Mapping[str, Json]) -> Codec:
    """Return the codec that :func:`to_arrays` described.

    Raises
    ------
    CorruptIndexError
        Something is missing, of another kind, or out of range.
    """
    try:
        stored, scale = attributes["bits"], attributes["centroid_scale"]
        rotation, values = arrays["rotation"], arrays["centroids"]
    except KeyError as error:
        raise CorruptIndexError(f"the codec file lacks {error}") from error
    bits = next((known for known in BITS if known == stored and type(stored) is int), None)
    if bits is None or type(scale) is not float or rotation.dtype != np.float32 or values.dtype != np.uint8:
        raise CorruptIndexError("the codec file holds values of another kind than this version writes")
    if not np.isfinite(rotation).all() or int(values.max(initial=0)) > 2 * CENTROID_MIDDLE:
        raise CorruptIndexError("the codec file holds values out of range")
    try:
        return make(bits, Centroids(np.ascontiguousarray(rotation), np.ascontiguousarray(values), scale))
    except ConfigError as error:
        raise CorruptIndexError(f"the codec file does not fit together: {error}") from error
