"""Fewer dimensions: token vectors on the principal axes of a sample of them.

An ordinary encoder has 384 dimensions or more, of which 128 hold most of what its token vectors differ in.
The axes are the leading eigenvectors of the *uncentred* second-moment matrix: MaxSim is made of inner
products, and those axes are the subspace of that many dimensions that keeps inner products best.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, VectorError
from colstore.kernels import calls
from colstore.kernels.layout import padded_dim
from colstore.types import EncodedText, Encoder, FloatMatrix, Json

_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Orthonormal axes, and how much of the sample lies along each.

    Parameters
    ----------
    axes
        Shape ``(dim_in, dim)``, float32; orthonormal columns, the most important first.
    shares
        Shape ``(dim,)``, float64; the part of the sample's second moment along each axis (sum at most 1).

    Raises
    ------
    VectorError
        If shapes do not fit, values are not finite, or columns are not orthonormal.
    """

    axes: FloatMatrix
    shares: NDArray[np.float64]

    def __post_init__(self) -> None:
        axes, shares = self.axes, self.shares
        if axes.ndim != 2 or axes.dtype != np.float32 or not 1 <= axes.shape[1] <= axes.shape[0]:
            raise VectorError(f"axes must be float32 of shape (dim_in, dim), got {axes.dtype} of shape {axes.shape}")
        if shares.shape != (axes.shape[1],) or not np.isfinite(shares).all():
            raise VectorError(f"shares must be {axes.shape[1]} finite numbers, got shape {shares.shape}")
        # Also refuses NaN and infinities, for which the comparison is false.
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.abs(axes.T @ axes - np.eye(axes.shape[1], dtype=np.float32)).max()
        if not error < 1e-3:
            raise VectorError("the axes of a projection must be orthonormal columns; its file is damaged or another's")

    @property
    def dim_in(self) -> int:
        """Components before."""
        return int(self.axes.shape[0])

    @property
    def dim(self) -> int:
        """Components after."""
        return int(self.axes.shape[1])

    def apply(self, matrix: NDArray[Any]) -> FloatMatrix:
        """Return the rows on the axes, each of length 1.

        Parameters
        ----------
        matrix
            Shape ``(n, dim_in)``.

        Returns
        -------
        array
            Shape ``(n, dim)``, float32.

        Raises
        ------
        VectorError
            If the shape does not fit, or a row has no direction left (it is zero, not finite, or
            perpendicular to all axes).

        Examples
        --------
        >>> projection = fit_projection(np.float32([[3, 0, 0], [0, 2, 0], [0, 0, 1]]), 2)
        >>> projection.apply(np.float32([[4, 3, 7]])).round(3).tolist()
        [[0.800000011920929, 0.6000000238418579]]
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.dim_in:
            raise VectorError(f"this projection takes matrices of shape (n, {self.dim_in}), got {matrix.shape}")
        with np.errstate(invalid="ignore", over="ignore"):  # told by row below
            projected = _product(np.ascontiguousarray(matrix, np.float32), self.axes)
            lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        good = np.isfinite(lengths) & (lengths > 0)
        if not good.all():
            row = int(np.argmin(good))
            raise VectorError(f"row {row} has no direction left on the axes (it is zero, not finite, or beside them)")
        return np.asarray(projected / lengths, dtype=np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, by name: ``axes`` and ``shares``."""
        return {"axes": self.axes, "shares": self.shares}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Projection:
        """Make a projection from what :meth:`to_arrays` returned.

        Raises
        ------
        VectorError
            If an array is missing, or they are no projection.
        """
        try:
            axes, shares = arrays["axes"], arrays["shares"]
        except KeyError as error:
            raise VectorError(f"a projection needs arrays 'axes' and 'shares'; {error} is missing") from error
        return cls(np.ascontiguousarray(axes), np.ascontiguousarray(shares))

    @property
    def fingerprint(self) -> str:
        """Hash (xxh3, 128 bits, hexadecimal) of the axes."""
        import xxhash

        axes = np.ascontiguousarray(self.axes, dtype="<f4")
        return xxhash.xxh3_128_hexdigest(axes.tobytes())


def _product(rows: FloatMatrix, axes: FloatMatrix) -> FloatMatrix:
    """Return ``rows @ axes``, each row the same whatever the others are; with BLAS it depends on their number."""
    width = padded_dim(axes.shape[1], 16)  # the kernel takes columns in eights
    columns = np.zeros((len(axes), width), np.float32)
    columns[:, : axes.shape[1]] = axes
    return calls.rotate(rows, columns)[:, : axes.shape[1]]


class ProjectedEncoder:
    """An encoder whose vectors are projected.

    Parameters
    ----------
    encoder
        Gives the vectors.
    projection
        Reduces them.

    Raises
    ------
    VectorError
        If their dimensions do not fit.
    """

    def __init__(self, encoder: Encoder, projection: Projection) -> None:
        if encoder.dim != projection.dim_in:
            raise VectorError(f"this projection takes {projection.dim_in} dimensions, the encoder gives {encoder.dim}")
        self.encoder = encoder
        self.projection = projection

    @property
    def dim(self) -> int:
        """Components after the projection."""
        return self.projection.dim

    @property
    def settings(self) -> Mapping[str, Json]:
        """The encoder's settings with the new ``dim``, and what identifies the projection."""
        return {
            **self.encoder.settings,
            "dim": self.dim,
            "projection": {
                "dim_in": self.projection.dim_in,
                "dim": self.dim,
                "share": round(float(self.projection.shares.sum()), 6),
                "fingerprint": self.projection.fingerprint,
            },
        }

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        """Return one ``(tokens, dim)`` float32 matrix for each query."""
        return [self.projection.apply(matrix) for matrix in self.encoder.encode_queries(texts)]

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the projected vectors of each document."""
        return [
            EncodedText(self.projection.apply(text.vectors), text.truncated)
            for text in self.encoder.encode_documents(texts)
        ]


def fit_projection(vectors_sample: NDArray[Any], dim: int) -> Projection:
    """Return the projection on the principal axes of a sample of token vectors.

    Parameters
    ----------
    vectors_sample
        Shape ``(n, dim_in)``; a few hundred thousand rows are plenty.
    dim
        Number of axes.

    Raises
    ------
    ConfigError
        If ``dim`` does not lie in ``1..dim_in``.
    VectorError
        If the sample is no such matrix, is empty or all zero, or has values that are not finite.
    """
    return _from_blocks(iter([np.asarray(vectors_sample)]), dim)


def fit_projection_from_texts(encoder: Encoder, texts: Iterable[str], dim: int) -> Projection:
    """Return the projection on the principal axes of the token vectors of some texts.

    The texts are encoded a few hundred at a time and their vectors are not kept, so that a sample of any
    size takes the same memory.

    Parameters
    ----------
    encoder
        Gives the vectors.
    texts
        A sample of the corpus, chosen by the caller.
    dim
        Number of axes.

    Raises
    ------
    ConfigError, VectorError
        As :func:`fit_projection`; no texts are an empty sample.
    """
    if not 1 <= dim <= encoder.dim:  # before anything is encoded
        raise ConfigError(f"dim must lie in 1..{encoder.dim} (the model's own), got {dim}")
    return _from_blocks(_encoded_blocks(encoder, iter(texts)), dim)


def _encoded_blocks(encoder: Encoder, texts: Iterator[str]) -> Iterator[FloatMatrix]:
    while chunk := list(islice(texts, _TEXTS_AT_ONCE)):
        yield np.concatenate([text.vectors for text in encoder.encode_documents(chunk)])


def _from_blocks(blocks: Iterator[NDArray[Any]], dim: int) -> Projection:
    moment: NDArray[np.float64] | None = None
    for block in blocks:
        if block.ndim != 2 or block.shape[1] == 0:
            raise VectorError(f"a sample of token vectors has shape (n, dim), got {block.shape}")
        # float32 products (their sums of thousands of squares are good to 1e-6), float64 over the blocks
        product = (block.T @ block).astype(np.float64)
        moment = product if moment is None else moment + product
    if moment is None or not np.isfinite(moment).all() or not np.trace(moment) > 0:
        raise VectorError("no axes can be fitted: the sample is empty, all zero, or has values that are not finite")
    if not 1 <= dim <= len(moment):
        raise ConfigError(f"dim must lie in 1..{len(moment)} (the model's own), got {dim}")
    return _leading_axes(moment, dim)


def _leading_axes(moment: NDArray[np.float64], dim: int) -> Projection:
    values, vectors = np.linalg.eigh(moment)
    leading = vectors[:, ::-1][:, :dim]
    # An eigenvector's sign is arbitrary: make its largest component positive, so that every machine agrees.
    largest = leading[np.abs(leading).argmax(axis=0), np.arange(dim)]
    axes = np.ascontiguousarray(leading * np.sign(largest), dtype=np.float32)
    return Projection(axes, np.clip(values[::-1][:dim], 0.0, None) / np.trace(moment))
