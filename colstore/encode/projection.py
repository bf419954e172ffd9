"""Projection of token vectors on the principal axes of a sample of them, to reduce their dimension.

An ordinary encoder has 384 dimensions or more, but 128 dimensions contain most of what distinguishes its token
vectors. The axes are the leading eigenvectors of the *uncentred* second-moment matrix: MaxSim consists of inner
products, and among the subspaces of that dimension, these axes span the one that preserves inner products best.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, VectorError
from colstore.kernels import calls
from colstore.kernels.layout import padded_dim
from colstore.outputs import encoded_query
from colstore.types import EncodedText, Encoder, FloatMatrix, Json

_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Orthonormal axes, and the share of the sample's second moment along each axis.

    Parameters
    ----------
    axes
        Orthonormal columns, the most important one first; shape ``(dim_in, dim)``, float32.
    shares
        Share of the sample's second moment along each axis, with a sum of at most 1; shape ``(dim,)``, float64.

    Raises
    ------
    VectorError
        The shapes do not match, a value is not finite, or the columns are not orthonormal.
    """

    axes: FloatMatrix
    shares: NDArray[np.float64]

    def __post_init__(self) -> None:
        axes, shares = self.axes, self.shares
        if axes.ndim != 2 or axes.dtype != np.float32 or not 1 <= axes.shape[1] <= axes.shape[0]:
            raise VectorError(f"axes must be float32 of shape (dim_in, dim), got {axes.dtype} of shape {axes.shape}")
        if shares.shape != (axes.shape[1],) or not np.isfinite(shares).all():
            raise VectorError(f"shares must be {axes.shape[1]} finite numbers, got shape {shares.shape}")
        # This also refuses NaN and infinities, for which the comparison is false.
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.abs(axes.T @ axes - np.eye(axes.shape[1], dtype=np.float32)).max()
        if not error < 1e-3:
            raise VectorError("the axes of a projection must be orthonormal columns: its file is damaged")

    @property
    def dim_in(self) -> int:
        """Number of components before the projection."""
        return int(self.axes.shape[0])

    @property
    def dim(self) -> int:
        """Number of components after the projection."""
        return int(self.axes.shape[1])

    def apply(self, matrix: NDArray[Any]) -> FloatMatrix:
        """Return the projected rows, normalised to length 1.

        Parameters
        ----------
        matrix
            Token vectors, shape ``(n, dim_in)``.

        Returns
        -------
        ndarray
            Shape ``(n, dim)``, float32.

        Raises
        ------
        VectorError
            The shape does not match, or a row cannot be normalised because it is zero, not finite, or perpendicular to
            all axes.

        Examples
        --------
        >>> projection = fit_projection(np.float32([[3, 0, 0], [0, 2, 0], [0, 0, 1]]), 2)
        >>> projection.apply(np.float32([[4, 3, 7]])).round(3).tolist()
        [[0.800000011920929, 0.6000000238418579]]
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.dim_in:
            raise VectorError(f"this projection takes matrices of shape (n, {self.dim_in}), got {matrix.shape}")
        with np.errstate(invalid="ignore", over="ignore"):  # reported with the row's number below
            projected = _product(np.ascontiguousarray(matrix, np.float32), self.axes)
            lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        good = np.isfinite(lengths) & (lengths > 0)
        if not good.all():
            row = int(np.argmin(good))
            raise VectorError(
                f"row {row} has no direction left after the projection: it is zero, not finite, or perpendicular to "
                "all axes"
            )
        return np.asarray(projected / lengths, dtype=np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, by name: ``axes`` and ``shares``."""
        return {"axes": self.axes, "shares": self.shares}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Projection:
        """Create a projection from the arrays that :meth:`to_arrays` returned.

        Raises
        ------
        VectorError
            An array is missing, or the arrays are not a valid projection.
        """
        try:
            axes, shares = arrays["axes"], arrays["shares"]
        except KeyError as error:
            raise VectorError(f"a projection needs arrays 'axes' and 'shares'; {error} is missing") from error
        return cls(np.ascontiguousarray(axes), np.ascontiguousarray(shares))

    @property
    def fingerprint(self) -> str:
        """xxh3_128 of the axes, as 32 hexadecimal digits."""
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
    """An encoder that projects the vectors of another encoder.

    Parameters
    ----------
    encoder
        Encoder of the original vectors.
    projection
        Projection to apply to them.

    Raises
    ------
    VectorError
        The dimensions of the two do not match.
    """

    def __init__(self, encoder: Encoder, projection: Projection) -> None:
        if encoder.dim != projection.dim_in:
            raise VectorError(f"this projection takes {projection.dim_in} dimensions, the encoder gives {encoder.dim}")
        self.encoder = encoder
        self.projection = projection

    @property
    def dim(self) -> int:
        """Number of components of a token vector, after the projection."""
        return self.projection.dim

    @property
    def settings(self) -> Mapping[str, Json]:
        """The encoder's settings with the new ``dim``, and settings that identify the projection."""
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
        """Return a ``(tokens, dim)`` float32 matrix for each query."""
        return [self.projection.apply(matrix) for matrix in self.encoder.encode_queries(texts)]

    def encode_query_texts(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the projected vectors of each query, with what the encoder reports about its text."""
        return [self._projected(encoded_query(self.encoder, text)) for text in texts]

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the projected vectors of each document, with what the encoder reports about its text."""
        return [self._projected(text) for text in self.encoder.encode_documents(texts)]

    def _projected(self, text: EncodedText) -> EncodedText:
        return replace(text, vectors=self.projection.apply(text.vectors))


def fit_projection(vectors_sample: NDArray[Any], dim: int) -> Projection:
    """Return the projection on the principal axes of a sample of token vectors.

    Parameters
    ----------
    vectors_sample
        Sample of token vectors, shape ``(n, dim_in)``. A few hundred thousand rows are enough.
    dim
        Number of axes.

    Raises
    ------
    ConfigError
        ``dim`` is not in ``1..dim_in``.
    VectorError
        The sample is not a matrix, is empty or all zero, or has values that are not finite.
    """
    return _from_blocks(iter([np.asarray(vectors_sample)]), dim)


def fit_projection_from_texts(encoder: Encoder, texts: Iterable[str], dim: int) -> Projection:
    """Return the projection on the principal axes of the token vectors of some texts.

    The texts are encoded a few hundred at a time and their vectors are not stored, so the memory does not depend on the
    size of the sample.

    Parameters
    ----------
    encoder
        Encoder of the texts.
    texts
        A sample of the corpus, chosen by the caller.
    dim
        Number of axes.

    Raises
    ------
    ConfigError, VectorError
        As in :func:`fit_projection`. If there are no texts, the sample is empty.
    """
    if not 1 <= dim <= encoder.dim:  # checked before anything is encoded
        raise ConfigError(f"dim must lie in 1..{encoder.dim} (the model's own), got {dim}")
    return _from_blocks(_encoded_blocks(encoder, iter(texts)), dim)


def _encoded_blocks(encoder: Encoder, texts: Iterator[str]) -> Iterator[FloatMatrix]:
    while chunk := list(islice(texts, _TEXTS_AT_ONCE)):
        yield np.concatenate([text.vectors for text in encoder.encode_documents(chunk)])


def _from_blocks(blocks: Iterator[NDArray[Any]], dim: int) -> Projection:
    moment: NDArray[np.float64] | None = None
    for block in blocks:
        if block.ndim != 2 or block.shape[1] == 0:
            raise VectorError(f"a sample of token vectors must have shape (n, dim), got {block.shape}")
        # float32 within a block (sums of thousands of squares are accurate to 1e-6), float64 over the blocks
        product = (block.T @ block).astype(np.float64)
        moment = product if moment is None else moment + product
    if moment is None or not np.isfinite(moment).all() or not np.trace(moment) > 0:
        raise VectorError("cannot fit a projection: the sample is empty, all zero, or has values that are not finite")
    if not 1 <= dim <= len(moment):
        raise ConfigError(f"dim must lie in 1..{len(moment)} (the model's own), got {dim}")
    return _leading_axes(moment, dim)


def _leading_axes(moment: NDArray[np.float64], dim: int) -> Projection:
    values, vectors = np.linalg.eigh(moment)
    leading = vectors[:, ::-1][:, :dim]
    # The sign of an eigenvector is arbitrary. Its largest component is made positive, so that all machines agree.
    largest = leading[np.abs(leading).argmax(axis=0), np.arange(dim)]
    axes = np.ascontiguousarray(leading * np.sign(largest), dtype=np.float32)
    return Projection(axes, np.clip(values[::-1][:dim], 0.0, None) / np.trace(moment))
