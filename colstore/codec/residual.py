"""The residual codecs: nearest centroid, and what it leaves on a uniform grid of 8, 4, 2 or 1 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.codec.centroids import Centroids
from colstore.codec.checks import check_codes
from colstore.config import Bits
from colstore.errors import ConfigError, VectorError
from colstore.kernels import calls
from colstore.kernels.layout import SMALLEST, padded_dim
from colstore.types import FloatMatrix


@dataclass(frozen=True, slots=True)
class ResidualCodec:
    """``x = outer * centroid + inner * grid``, with two float16 scales a token and packed grid codes.

    Method: residual compression of ColBERTv2 (arXiv 2112.01488, section 3.3) in a rotated space, with a
    uniform grid of a step chosen for each token (extended RaBitQ, arXiv 2409.09913) instead of quantile
    buckets, and with a stored length, so that scores are those of vectors of the length that went in.
    """

    bits: Bits
    centroids: Centroids

    def __post_init__(self) -> None:
        if padded_dim(self.centroids.padded, self.bits) != self.centroids.padded:
            width = padded_dim(self.centroids.dim, self.bits)
            raise ConfigError(f"codes of {self.bits} bits need a rotation {width} wide, got {self.centroids.padded}")

    @property
    def token_arrays(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
        """``codes``, ``residuals`` (padded dim * bits / 8) uint8 and ``scales`` (2) float16."""
        return {
            "codes": (self.centroids.code_dtype.str, ()),
            "residuals": ("|u1", (self.centroids.padded * self.bits // 8,)),
            "scales": ("<f2", (2,)),
        }

    def encode(self, vectors: FloatMatrix) -> dict[str, NDArray[Any]]:
        """Return the stored arrays of vectors ``(tokens, dim)``, one row a token."""
        rotated = self.centroids.rotate(vectors)
        codes = self.centroids.nearest(rotated)
        payload, scales = calls.compress(rotated, self.centroids.values, self.centroids.scale, codes, self.bits)
        if self.centroids.padded > self.centroids.dim:
            scales = self._lengthened(rotated, codes, payload, scales)
        with np.errstate(over="ignore"):
            halves = scales.astype("<f2")
        if not np.isfinite(halves).all():
            raise VectorError("a vector is longer than 65,504, the largest float16: scale the vectors first")
        return {"codes": codes.astype(self.centroids.code_dtype), "residuals": payload, "scales": halves}

    def decode(self, arrays: Mapping[str, NDArray[Any]]) -> FloatMatrix:
        """Return vectors ``(tokens, dim)`` float32, rotated back; a code without a centroid is an error."""
        check_codes(arrays["codes"], len(self.centroids.values))
        with np.errstate(over="ignore", invalid="ignore"):  # forged scales; whoever reads these sees the infinities
            rotated = self._rotated(arrays["residuals"], arrays["codes"], arrays["scales"])
            vectors: FloatMatrix = rotated @ self.centroids.rotation.T
        return vectors

    def _rotated(self, payload: NDArray[np.uint8], codes: NDArray[Any], scales: NDArray[Any]) -> FloatMatrix:
        """Return the vectors ``(tokens, padded)`` float32 in rotated space: ``outer * centroid + inner * grid``."""
        outer, inner = scales[:, :1].astype(np.float32), scales[:, 1:].astype(np.float32)
        vectors = self.centroids.floats_of(codes)
        vectors *= outer
        grid = grid_values(payload, self.bits)
        grid *= inner
        vectors += grid
        return vectors

    def _lengthened(
        self, rotated: FloatMatrix, codes: NDArray[np.int32], payload: NDArray[np.uint8], scales: FloatMatrix
    ) -> FloatMatrix:
        """Make up for the part of the codes that lies where no vector reaches, and that decoding drops."""
        rotation = self.centroids.rotation.astype(np.float64)
        reached = calls.rotate(self._rotated(payload, codes, scales), (rotation.T @ rotation).astype(np.float32))
        lengths, reached_lengths = np.linalg.norm(rotated, axis=1), np.linalg.norm(reached, axis=1)
        lengthened: FloatMatrix = scales * (lengths / np.maximum(reached_lengths, SMALLEST))[:, None]
        return lengthened


def grid_values(payload: NDArray[np.uint8], bits: Bits) -> FloatMatrix:
    """Return the grid values ``(tokens, dim)`` float32 of packed codes ``(tokens, dim * bits / 8)``: code - middle.

    Plane ``p`` of the bits holds components ``p * n ... (p + 1) * n - 1``, where ``n`` is the number of bytes a token.

    >>> grid_values(np.array([[0x21, 0x43]], np.uint8), 4).tolist()
    [[-6.5, -4.5, -5.5, -3.5]]
    """
    count, stored = payload.shape
    mask, middle = np.uint8(2**bits - 1), np.float32((2**bits - 1) / 2)
    values = np.empty((count, 8 // bits, stored), np.float32)
    for plane in range(8 // bits):
        np.subtract((payload >> np.uint8(plane * bits)) & mask, middle, out=values[:, plane], dtype=np.float32)
    return values.reshape(count, 8 // bits * stored)
