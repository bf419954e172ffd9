"""The protocol of codecs, and the way from stored arrays back to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from colstore.codec.coarse import Centroids
from colstore.config import Bits
from colstore.errors import CorruptIndexError
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
        """Return the stored arrays of vectors ``(tokens, dim)`` float32, none of them zero."""
        ...

    def decode(self, arrays: Arrays) -> FloatMatrix:
        """Return vectors ``(tokens, dim)`` float32 from stored arrays."""
        ...


def make(bits: Bits, centroids: Centroids) -> Codec:
    """Return the codec of so many bits."""
    from colstore.codec.float16 import Float16Codec
    from colstore.codec.residual import ResidualCodec

    return Float16Codec(centroids) if bits == 16 else ResidualCodec(bits, centroids)


def to_arrays(codec: Codec) -> tuple[dict[str, NDArray[Any]], dict[str, Json]]:
    """Return the arrays and attributes that :func:`restore` takes."""
    centroids = codec.centroids
    arrays: dict[str, NDArray[Any]] = {"rotation": centroids.rotation, "centroids": centroids.values}
    return arrays, {"bits": int(codec.bits), "centroid_scale": float(centroids.scale)}


def restore(arrays: Arrays, attributes: Mapping[str, Json]) -> Codec:
    """Return the codec that :func:`to_arrays` described."""
    try:
        bits, scale = attributes["bits"], attributes["centroid_scale"]
        rotation, values = arrays["rotation"], arrays["centroids"]
    except KeyError as error:
        raise CorruptIndexError(f"the codec file lacks {error}") from error
    if bits not in (16, 8, 4, 2, 1) or not isinstance(scale, float) or rotation.dtype != np.float32 or values.dtype != np.uint8:
        raise CorruptIndexError("the codec file holds values of another kind than this version writes")
    if not np.isfinite(rotation).all() or int(values.max(initial=0)) > 126:
        raise CorruptIndexError("the codec file holds values out of range")
    return make(bits, Centroids(np.ascontiguousarray(rotation), np.ascontiguousarray(values), scale))
