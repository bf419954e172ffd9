"""Training of centroids: samples of every awkward kind, and that it trains at all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from colstore.codec import Centroids, random_rotation
from colstore.errors import VectorError
from colstore.indexing.kmeans import ROUNDS, centroid_count, sample_size, train
from colstore.types import FloatMatrix

DIM = 16
ROTATION = random_rotation(DIM, 16, seed=0)


def clustered(count: int, clusters: int = 20, seed: int = 0) -> FloatMatrix:
    generator = np.random.default_rng(seed)
    centers = generator.standard_normal((clusters, DIM))
    rows = centers[generator.integers(0, clusters, count)] + 0.3 * generator.standard_normal((count, DIM))
    unit_rows: FloatMatrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit_rows


def mean_distance(centroids: Centroids, sample: FloatMatrix) -> float:
    rotated = centroids.rotate(sample)
    nearest = centroids.floats()[centroids.nearest(rotated)]
    return float(np.linalg.norm(rotated - nearest, axis=1).mean())


def trained(sample: FloatMatrix, number: int, *, seed: int = 0, threads: int = 1) -> Centroids:
    return train(sample, ROTATION, number, seed=seed, threads=threads)


@pytest.mark.parametrize("number", [8, 64])
def test_training_lowers_the_mean_distance(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = clustered(3000)
    after = mean_distance(trained(sample, number), sample)
    monkeypatch.setattr("colstore.indexing.kmeans.ROUNDS", 0)
    before = mean_distance(trained(sample, number), sample)
    assert after < 0.95 * before


def test_distances_fall_with_every_doubling_of_the_centroids() -> None:
    sample = clustered(3000)
    distances = [mean_distance(trained(sample, number), sample) for number in (2, 8, 32, 128)]
    assert all(more > fewer for more, fewer in itertools.pairwise(distances))


def test_clusters_that_are_far_apart_are_found() -> None:
    sample = np.repeat(np.eye(4, DIM, dtype=np.float32), 50, axis=0)
    sample += 0.01 * np.random.default_rng(0).standard_normal(sample.shape).astype(np.float32)
    centroids = train(sample, ROTATION, 16, seed=0, threads=1)
    assert mean_distance(centroids, sample) < 0.1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_same_seed_gives_the_same_centroids_on_any_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colstore.indexing.kmeans.CHUNK", 100)
    sample = clustered(1000)
    one, other = trained(sample, 30, seed=7), trained(sample, 30, seed=7, threads=threads)
    np.testing.assert_array_equal(one.values, other.values)
    assert one.scale == other.scale
    assert not np.array_equal(one.values, trained(sample, 30, seed=8).values)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_no_more_centroids_than_points(count: int) -> None:
    sample = clustered(count)
    centroids = trained(sample, 100)
    assert 1 <= len(centroids.values) <= count
    assert mean_distance(centroids, sample) < 0.05


def test_one_token_is_its_own_centroid() -> None:
    sample = clustered(1)
    centroids = trained(sample, 1)
    np.testing.assert_allclose(centroids.floats(), centroids.rotate(sample), atol=0.02)


def test_duplicates_make_one_centroid() -> None:
    assert len(trained(np.repeat(clustered(1), 500, axis=0), 10).values) == 1


def test_rows_of_zeros_are_left_out() -> None:
    sample = clustered(200)
    with_zeros = np.concatenate([np.zeros((50, DIM), np.float32), sample])
    np.testing.assert_array_equal(trained(with_zeros, 9).values, trained(sample, 9).values)


@pytest.mark.parametrize("sample", [np.zeros((0, DIM), np.float32), np.zeros((5, DIM), np.float32)])
def test_nothing_to_train_on_is_a_named_error(sample: FloatMatrix) -> None:
    with pytest.raises(VectorError, match="no token vector"):
        trained(sample, 4)


def test_lengths_do_not_matter() -> None:
    sample = clustered(500)
    lengths = 2.0 ** np.random.default_rng(0).integers(-8, 8, (500, 1)).astype(np.float32)
    np.testing.assert_array_equal(trained(sample * lengths, 12).values, trained(sample, 12).values)


def test_opposite_points_do_not_break_a_mean() -> None:
    sample = clustered(40)
    centroids = trained(np.concatenate([sample, -sample]), 1)
    assert np.isfinite(centroids.floats()).all()
    assert np.linalg.norm(centroids.floats()[0]) == pytest.approx(1, abs=0.05)


def test_empty_clusters_are_used_again() -> None:
    """Nine of ten points crowd around one place: first centers there lose theirs, and are wanted elsewhere."""
    crowd = clustered(1) + 0.002 * np.random.default_rng(1).standard_normal((2000, DIM)).astype(np.float32)
    sample = np.concatenate([crowd.astype(np.float32), clustered(200, clusters=30)])
    centroids = trained(sample, 60)
    used = np.unique(centroids.nearest(centroids.rotate(sample)))
    assert len(used) > 20
    assert mean_distance(centroids, clustered(200, clusters=30)) < 0.6


def test_progress_is_told_round_by_round() -> None:
    seen: list[tuple[int, int]] = []
    train(clustered(100), ROTATION, 4, seed=0, threads=1, tick=lambda done, total: seen.append((done, total)))
    assert seen == [(done, ROUNDS) for done in range(ROUNDS + 1)]


def test_the_sample_grows_with_the_centroids_up_to_a_bound() -> None:
    sizes = [sample_size(number) for number in (1, 1024, 8192, 2**20)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 1_048_576


@pytest.mark.parametrize("tokens", [0, 1, 2, 3, 10, 1000, 10**9])
def test_there_are_never_more_centroids_than_tokens(tokens: int) -> None:
    assert 1 <= centroid_count(tokens) <= max(tokens, 1)
