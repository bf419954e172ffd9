"""What every codec must do."""

from __future__ import annotations

import numpy as np
import pytest

from colstore.codec import Centroids, Codec, make, random_rotation, restore
from colstore.codec.base import to_arrays
from colstore.config import Bits
from colstore.errors import VectorError
from colstore.kernels.layout import CENTROID_MIDDLE, padded_dim
from colstore.types import FloatMatrix

LARGEST_LOSS: dict[Bits, float] = {16: 1e-6, 8: 2e-5, 4: 2e-3, 2: 2e-2, 1: 6e-2}
"""Largest loss of the mean cosine, on vectors that lie around their centroids as tokens do."""


def _unit(rows: FloatMatrix) -> FloatMatrix:
    unit_rows: FloatMatrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit_rows


def _tokens_around(centers: FloatMatrix, count: int, generator: np.random.Generator) -> FloatMatrix:
    chosen = centers[generator.integers(0, len(centers), count)]
    spread = generator.standard_normal(chosen.shape) / np.sqrt(chosen.shape[1])
    return _unit(chosen + np.float32(0.5) * spread)


class CodecConformance:
    """Tests of the protocol :class:`colstore.codec.Codec`. Derive from it, and set ``bits`` and ``dim``.

    A codec of your own also overrides the fixture ``codec``.

    Attributes
    ----------
    bits : int
        Bits per component of the codec.
    dim : int
        Number of components of the vectors.
    number : int
        Number of centroids.

    >>> class TestMine(CodecConformance):
    ...     bits = 4
    ...     dim = 128
    """

    bits: Bits
    dim: int
    number = 40

    @pytest.fixture
    def centers(self) -> FloatMatrix:
        return _unit(np.random.default_rng(1).standard_normal((self.number, self.dim)).astype(np.float32))

    @pytest.fixture
    def codec(self, centers: FloatMatrix) -> Codec:
        rotation = random_rotation(self.dim, padded_dim(self.dim, self.bits), seed=2)
        rotated = centers @ rotation
        scale = float(np.abs(rotated).max()) / CENTROID_MIDDLE
        values = (np.rint(rotated / scale) + CENTROID_MIDDLE).astype(np.uint8)
        return make(self.bits, Centroids(rotation, values, scale))

    @pytest.fixture
    def vectors(self, centers: FloatMatrix) -> FloatMatrix:
        return _tokens_around(centers, 300, np.random.default_rng(3))

    def test_stored_arrays_are_as_announced(self, codec: Codec, vectors: FloatMatrix) -> None:
        stored = codec.encode(vectors)
        assert set(stored) == set(codec.token_arrays)
        for name, (dtype, shape) in codec.token_arrays.items():
            assert stored[name].dtype == np.dtype(dtype)
            assert stored[name].shape == (len(vectors), *shape)
            assert stored[name].flags.c_contiguous
        assert stored["codes"].max() < self.number

    def test_vectors_come_back_nearly(self, codec: Codec, vectors: FloatMatrix) -> None:
        decoded = codec.decode(codec.encode(vectors))
        assert decoded.shape == vectors.shape
        assert decoded.dtype == np.float32
        assert np.isfinite(decoded).all()
        assert 1 - (_unit(decoded) * vectors).sum(axis=1).mean() < LARGEST_LOSS[self.bits]

    def test_lengths_are_kept(self, codec: Codec, vectors: FloatMatrix) -> None:
        lengths = np.random.default_rng(4).uniform(0.1, 100, (len(vectors), 1)).astype(np.float32)
        for factor in (np.ones_like(lengths), lengths):
            decoded = codec.decode(codec.encode(vectors * factor))
            np.testing.assert_allclose(np.linalg.norm(decoded, axis=1), factor[:, 0], rtol=1e-2)

    def test_vectors_like_no_centroid_come_back_too(self, codec: Codec) -> None:
        vectors = _unit(np.random.default_rng(5).standard_normal((100, self.dim)).astype(np.float32))
        decoded = codec.decode(codec.encode(vectors))
        assert np.isfinite(decoded).all()
        np.testing.assert_allclose(np.linalg.norm(decoded, axis=1), 1, rtol=1e-2)
        assert (decoded * vectors).sum(axis=1).min() > 0.4

    def test_a_row_s_bytes_are_its_own(self, codec: Codec, vectors: FloatMatrix) -> None:
        together = codec.encode(vectors)
        for piece in (slice(0, 1), slice(7, 9), slice(100, 133), slice(0, 0), slice(299, 300), slice(0, None, 3)):
            for name, array in codec.encode(vectors[piece]).items():
                np.testing.assert_array_equal(array, together[name][piece], err_msg=name)

    def test_rows_of_any_layout_in_memory_give_the_same_bytes(self, codec: Codec, vectors: FloatMatrix) -> None:
        together = codec.encode(vectors)
        for same in (np.asfortranarray(vectors), np.repeat(vectors, 2, axis=0)[::2]):
            for name, array in codec.encode(same).items():
                np.testing.assert_array_equal(array, together[name], err_msg=name)

    def test_encoding_leaves_its_input_alone(self, codec: Codec, vectors: FloatMatrix) -> None:
        before = vectors.copy()
        codec.encode(vectors)
        np.testing.assert_array_equal(vectors, before)

    def test_the_codec_itself_can_be_stored(self, codec: Codec, vectors: FloatMatrix) -> None:
        again = restore(*to_arrays(codec))
        assert again.bits == codec.bits == self.bits
        assert again.token_arrays == codec.token_arrays
        stored = codec.encode(vectors)
        for name, array in again.encode(vectors).items():
            np.testing.assert_array_equal(array, stored[name])
        np.testing.assert_array_equal(again.decode(stored), codec.decode(stored))

    @pytest.mark.parametrize("shape", [(3,), (3, 5), (0,), (1, 2, 3)])
    def test_vectors_of_another_shape_are_refused(self, codec: Codec, shape: tuple[int, ...]) -> None:
        with pytest.raises(VectorError, match="expected vectors of shape"):
            codec.encode(np.ones(shape, np.float32))

    def test_vectors_too_long_for_halves_are_refused(self, codec: Codec, vectors: FloatMatrix) -> None:
        with pytest.raises(VectorError, match="65,504"):
            codec.encode(vectors * np.float32(1e7))
