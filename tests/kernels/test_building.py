"""The kernels of the build path: rotation, assignment to centroids, compression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.kernels import calls, twins
from colstore.kernels.layout import padded_dim
from tests.kernels.cases import FLAVOURS, QUERIES, few

KINDS = ("normal", "equal", "sparse", "signs", "half")


@pytest.mark.parametrize(("dim_in", "dim"), [(7, 8), (48, 48), (50, 64), (128, 128), (1024, 1024)])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 20])
def test_rotate_equals_its_twin_row_by_row(dim_in: int, dim: int, count: int) -> None:
    generator = np.random.default_rng(count)
    vectors = generator.standard_normal((count, dim_in)).astype(np.float32)
    matrix = generator.standard_normal((dim_in, dim)).astype(np.float32)
    rotated = calls.rotate(vectors, matrix)
    np.testing.assert_allclose(rotated, twins.rotate(vectors, matrix), atol=1e-5 * dim_in)
    for row, expected in zip(vectors, rotated, strict=True):
        np.testing.assert_array_equal(calls.rotate(row[None], matrix)[0], expected)


@pytest.mark.parametrize("dim", [8, 56, 128, 1024])
@pytest.mark.parametrize("flavour", FLAVOURS)
@given(data=st.data())
@few
def test_assign_equals_its_twin(dim: int, flavour: str, data: st.DataObject) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count, number = data.draw(st.integers(0, 70)), data.draw(st.sampled_from([1, 2, 3, 33]))
    tokens = QUERIES[data.draw(st.sampled_from(KINDS))](generator, count, dim).astype(np.float32)
    tokens[data.draw(st.integers(0, 70)) :: 7] = 0
    centroids = generator.integers(0, 127, (number, dim), dtype=np.uint8)
    codes, products = calls.assign(tokens, centroids, flavour)
    expected_codes, expected_products = twins.assign(tokens, centroids)
    np.testing.assert_array_equal(codes, expected_codes)  # the first of equals
    np.testing.assert_array_equal(products, expected_products)


@pytest.mark.parametrize("dim", [48, 128])
@pytest.mark.parametrize("bits", [8, 4, 2, 1])
@given(data=st.data())
@few
def test_compress_equals_its_twin(dim: int, bits: int, data: st.DataObject) -> None:
    dim = padded_dim(dim, bits)
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count = data.draw(st.integers(0, 20))
    tokens = generator.standard_normal((count, dim)).astype(np.float32) * np.float32(data.draw(st.floats(0.01, 100)))
    centroids = generator.integers(50, 77, (5, dim), dtype=np.uint8)
    codes = generator.integers(0, 5, count).astype(np.int32)
    fast = calls.compress(tokens, centroids, 0.01, codes, bits)
    slow = twins.compress(tokens, centroids, 0.01, codes, bits)
    vectors = [twins.decode(payload, bits, codes, scales, centroids, 0.01) for payload, scales in (fast, slow)]
    if not count:
        assert fast[0].shape == (0, dim * bits // 8)
        return
    # Sums in another order may prefer another of two equally good steps: what the codes stand for must be as good.
    errors = [np.linalg.norm(v - tokens, axis=1) / np.linalg.norm(tokens, axis=1) for v in vectors]
    np.testing.assert_allclose(errors[0], errors[1], atol=1e-3)
    assert (fast[0] == slow[0]).mean() > 0.8


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_compress_of_zeros_decodes_to_zeros(bits: int) -> None:
    centroids = np.full((1, 64), 70, np.uint8)
    codes = np.zeros(2, np.int32)
    payload, scales = calls.compress(np.zeros((2, 64), np.float32), centroids, 0.1, codes, bits)
    assert not twins.decode(payload, bits, codes, scales.astype(np.float16), centroids, 0.1).any()


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_a_token_that_is_its_centroid_is_kept(bits: int) -> None:
    token = np.full((1, 64), 0.125, np.float32)
    centroids = np.full((1, 64), 64, np.uint8)
    payload, scales = calls.compress(token, centroids, 0.125, np.zeros(1, np.int32), bits)
    decoded = twins.decode(payload, bits, np.zeros(1, np.int64), scales, centroids, 0.125)
    np.testing.assert_allclose(decoded, token, rtol=1e-3)


@given(codes=st.lists(st.integers(0, 255), min_size=64, max_size=64), bits=st.sampled_from([8, 4, 2, 1]))
@few
def test_unpack_undoes_pack(codes: list[int], bits: int) -> None:
    array = (np.array(codes, np.uint8) & (2**bits - 1)).reshape(2, 32)
    np.testing.assert_array_equal(twins.unpack(twins.pack(array, bits), bits), array)
