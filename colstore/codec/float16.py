"""Vectors as float16, with the centroid of each token beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.codec.centroids import Centroids
from colstore.config import Bits
from colstore.errors import VectorError
from colstore.kernels.layout import padded_dim
from colstore.types import FloatMatrix


@dataclass(frozen=True, slots=True)
class Float16Codec:
    """Two bytes a component, unrotated; columns of zeros fill up to a multiple of eight."""

    centroids: Centroids

    @property
    def bits(self) -> Bits:
        """Sixteen."""
        return 16

    @property
    def token_arrays(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
        """``vectors`` (tokens, dim padded to 8) float16 and ``codes``."""
        width = padded_dim(self.centroids.dim, 16)
        return {"vectors": ("<f2", (width,)), "codes": (self.centroids.code_dtype.str, ())}

    def encode(self, vectors: FloatMatrix) -> dict[str, NDArray[Any]]:
        """Return the stored arrays; components beyond float16 are an error."""
        codes = self.centroids.nearest(self.centroids.rotate(vectors))
        stored = np.zeros((len(vectors), padded_dim(self.centroids.dim, 16)), "<f2")
        with np.errstate(over="ignore"):
            stored[:, : self.centroids.dim] = vectors
        if not np.isfinite(stored).all():
            raise VectorError(
                "a component exceeds 65,504, the largest float16: scale the vectors, or choose fewer bits"
            )
        return {"vectors": stored, "codes": codes.astype(self.centroids.code_dtype)}

    def decode(self, arrays: Mapping[str, NDArray[Any]]) -> FloatMatrix:
        """Return vectors ``(tokens, dim)`` float32."""
        return arrays["vectors"][:, : self.centroids.dim].astype(np.float32)
