"""What every codec shares: a rotation of space, and centroids in it.

A random rotation spreads each vector's length evenly over its components, so that one uniform grid suits all
of them; it costs nothing at search, where only the query is turned. Centroids are bytes times one scale, and
*are* what those bytes say: residuals are taken from the rounded centroid, so that rounding loses nothing and
an integer scan of the centroids is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colstore.codec.nearest import nearest_of
from colstore.errors import ConfigError, VectorError
from colstore.kernels import calls
from colstore.kernels.layout import CENTROID_MIDDLE
from colstore.types import FloatMatrix


@dataclass(frozen=True, slots=True)
class Centroids:
    """A rotation, and the centroids of token vectors in rotated space.

    Parameters
    ----------
    rotation
        ``(dim, padded)`` float32 with orthonormal rows: ``vectors @ rotation`` keeps all products.
    values
        ``(number, padded)`` uint8: component ``(value - 63) * scale``.
    scale
        Positive.
    """

    rotation: FloatMatrix
    values: NDArray[np.uint8]
    scale: float

    def __post_init__(self) -> None:
        if self.rotation.ndim != 2 or self.values.ndim != 2 or self.rotation.shape[1] != self.values.shape[1]:
            shapes = f"rotation {self.rotation.shape} and centroids {self.values.shape}"
            raise ConfigError(f"{shapes} must be matrices of equal width")
        if not len(self.values) or not self.scale > 0 or not np.isfinite(self.scale):
            raise ConfigError("there must be at least one centroid, and their scale must be positive and finite")
        if self.padded % 8 or self.padded < self.dim:
            raise ConfigError(f"the width {self.padded} must be a multiple of 8 and at least {self.dim}")

    @property
    def dim(self) -> int:
        """Components of the vectors that go in."""
        return int(self.rotation.shape[0])

    @property
    def padded(self) -> int:
        """Components in rotated space."""
        return int(self.rotation.shape[1])

    @property
    def code_dtype(self) -> np.dtype[np.unsignedinteger]:
        """The narrowest type that holds the number of a centroid."""
        return np.dtype("<u1" if len(self.values) <= 2**8 else "<u2" if len(self.values) <= 2**16 else "<u4")

    def rotate(self, vectors: FloatMatrix) -> FloatMatrix:
        """Return ``(tokens, padded)`` float32 in rotated space."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise VectorError(f"expected vectors of shape (tokens, {self.dim}), got {vectors.shape}")
        return calls.rotate(np.ascontiguousarray(vectors, np.float32), self.rotation)

    def nearest(self, rotated: FloatMatrix) -> NDArray[np.int32]:
        """Return the number of the centroid of each rotated vector ``(tokens, padded)``, as ``(tokens,)`` int32.

        The nearest one, but for a few tokens where there are many centroids (see :mod:`colstore.codec.nearest`).
        """
        return nearest_of(self.values)(rotated)

    def floats(self) -> FloatMatrix:
        """Return the centroids as ``(number, padded)`` float32."""
        return self.floats_of(np.arange(len(self.values)))

    def floats_of(self, numbers: NDArray[np.integer]) -> FloatMatrix:
        """Return some of the centroids as ``(len(numbers), padded)`` float32."""
        some: FloatMatrix = self.values[numbers].astype(np.float32)
        some -= CENTROID_MIDDLE
        some *= np.float32(self.scale)
        return some


def random_rotation(dim: int, padded: int, seed: int) -> FloatMatrix:
    """Return ``(dim, padded)`` float32 with orthonormal rows, drawn uniformly.

    >>> r = random_rotation(3, 8, seed=0)
    >>> bool(np.allclose(r @ r.T, np.eye(3), atol=1e-6))
    True
    """
    gaussian = np.random.default_rng(seed).standard_normal((padded, padded))
    q, r = np.linalg.qr(gaussian)
    uniform = q * np.sign(np.diag(r))  # the sign makes the draw uniform (Mezzadri, arXiv math-ph/0609050)
    return np.ascontiguousarray(uniform[:dim], dtype=np.float32)
