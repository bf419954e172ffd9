"""What the kernels' tests share: the shapes tried, and random collections in the form that kernels take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from colstore.kernels import calls, twins
from colstore.kernels.arrays import CentroidTable, Floats, Ints, QueryPass
from colstore.kernels.layout import padded_dim
from colstore.kernels.processor import available_flavours

FLAVOURS = available_flavours()
few = settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Shape:
    """One specialisation of the kernels; every dimension, codec, number of lanes and width of codes comes up."""

    dim: int
    bits: int
    vectors: int
    code_bytes: int

    @property
    def padded(self) -> int:
        return padded_dim(self.dim, self.bits)

    def __str__(self) -> str:
        return f"{self.dim}d{self.bits}b{self.vectors}v{self.code_bytes}c"


SHAPES = (
    Shape(128, 4, 4, 2),
    Shape(128, 2, 1, 1),
    Shape(128, 1, 2, 4),
    Shape(128, 8, 3, 2),
    Shape(48, 4, 2, 1),
    Shape(64, 1, 3, 2),
    Shape(96, 8, 1, 4),
    Shape(256, 2, 4, 2),
    Shape(384, 4, 1, 2),
    Shape(768, 1, 1, 1),
    Shape(1024, 8, 4, 1),
    Shape(7, 8, 2, 1),
    Shape(50, 2, 3, 4),
    Shape(100, 4, 3, 2),
    Shape(7, 1, 1, 2),
)
SMALL = [shape for shape in SHAPES if shape.dim < 100]
"""Every codec and number of lanes: what the slower flavours are tried on, each kernel costing its compilation."""

FLAVOURED = [(shape, FLAVOURS[0]) for shape in SHAPES] + [(s, flavour) for flavour in FLAVOURS[1:] for s in SMALL]

QUERIES: dict[str, Callable[[np.random.Generator, int, int], Any]] = {
    "normal": lambda g, tokens, dim: g.standard_normal((tokens, dim)),
    "equal": lambda g, tokens, dim: np.full((tokens, dim), g.choice([-1.0, 1.0])),
    "sparse": lambda g, tokens, dim: np.eye(dim)[g.integers(0, dim, tokens)] * g.choice([-1.0, 1.0]),
    "range": lambda g, tokens, dim: g.choice([-1, 1], (tokens, dim)) * 10.0 ** g.integers(-20, 10, (tokens, dim)),
    "signs": lambda g, tokens, dim: g.choice([-1.0, 1.0], (tokens, dim)),
    "half": lambda g, tokens, dim: np.where(np.arange(dim) < dim // 2, 1.0, -1.0)[None].repeat(tokens, axis=0),
    "zero": lambda g, tokens, dim: np.zeros((tokens, dim)),
}


@dataclass(frozen=True)
class Collection:
    """Codes of some tokens, documents as ranges of them, and a query."""

    shape: Shape
    rotation: Floats
    query: Floats
    centroids: NDArray[np.uint8]
    centroid_scale: float
    payload: NDArray[np.uint8]
    codes: NDArray[Any]
    scales: NDArray[np.uint16]
    starts: Ints
    stops: Ints

    def prepared(self, flavour: str) -> QueryPass:
        return calls.prepare(self.query, self.rotation, self.shape.bits, self.centroid_scale, flavour)

    def similarities(self, query: QueryPass, table: CentroidTable) -> tuple[NDArray[np.float64], float]:
        """Return similarities ``(tokens, used lanes)`` in float64, and the largest term that went into one."""
        used = slice(query.tokens)
        pairs = self.scales.view(np.float16).astype(np.float64)
        products = twins.unpack(self.payload, self.shape.bits).astype(np.int64) @ twins.query_bytes(query)[used].T
        terms = np.stack(
            [
                pairs[:, :1] * table.similarities[self.codes][:, used],
                pairs[:, 1:] * products * query.factor[used],
                (pairs[:, 1:] * query.bias[used]) + np.zeros(products.shape),
            ]
        )
        return terms.sum(axis=0), float(np.abs(terms).max(initial=1e-30))


@st.composite
def collections(draw: st.DrawFn, shape: Shape, kinds: tuple[str, ...] = tuple(QUERIES)) -> Collection:
    """Draw any codes at all: what kernels compute must be right whatever a codec would write."""
    g = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    used = draw(st.integers(8 * shape.vectors - 7, 8 * shape.vectors))
    query = QUERIES[draw(st.sampled_from(kinds))](g, used, shape.dim).astype(np.float32)
    tokens = draw(st.integers(1, 40))
    ranges = draw(st.lists(st.tuples(st.integers(0, tokens - 1), st.integers(1, 20)), max_size=8))
    starts = np.array([start for start, _ in ranges], np.int64)
    number = draw(st.sampled_from([1, 15, 16, 17, 100, 256]))
    extreme = draw(st.booleans())
    payload = g.integers(0, 256, (tokens, shape.padded * shape.bits // 8), dtype=np.uint8)
    centroids = g.integers(0, 127, (number, shape.padded), dtype=np.uint8)
    return Collection(
        shape=shape,
        rotation=np.eye(shape.dim, shape.padded, dtype=np.float32),
        query=query,
        centroids=np.full_like(centroids, 126) if extreme else centroids,
        centroid_scale=0.01,
        payload=np.full_like(payload, 255) if extreme else payload,
        codes=g.integers(0, number, tokens).astype(f"<u{shape.code_bytes}"),
        scales=g.uniform(0, 2, (tokens, 2)).astype("<f2").view(np.uint16),
        starts=starts,
        stops=np.minimum(starts + np.array([length for _, length in ranges], np.int64), tokens),
    )
