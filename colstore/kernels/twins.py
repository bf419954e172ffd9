"""Numpy twins of the kernels: slow and obvious implementations that the tests compare the kernels with.

Each function takes and returns the same as the function of the same name in ``calls.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.kernels.arrays import Bytes, CentroidTable, Floats, Ints, Probes, QueryPass
from colstore.kernels.layout import CENTROID_MIDDLE, GROUP, SMALLEST, STEPS, WIDTHS, byte_layout, lanes_for


def unpack(payload: Bytes, bits: int) -> Bytes:
    """Return the codes ``(tokens, dim)`` uint8 from packed codes ``(tokens, dim * bits / 8)`` uint8.

    Plane ``p`` of the bits holds the dimensions ``p * n ... (p + 1) * n - 1``, where ``n`` is the number of bytes of a
    token.

    >>> unpack(np.array([[0x21, 0x43]], np.uint8), 4).tolist()
    [[1, 3, 2, 4]]
    """
    planes = [(payload >> np.uint8(p * bits)) & np.uint8(2**bits - 1) for p in range(8 // bits)]
    return np.concatenate(planes, axis=1)


def decode(
    payload: Bytes, bits: int, codes: NDArray[Any], scales: Floats, centroids: Bytes, centroid_scale: float
) -> Floats:
    """Return the decoded vectors ``(tokens, dim)`` float32, which are still rotated."""
    outer, inner = scales[:, :1].astype(np.float32), scales[:, 1:].astype(np.float32)
    nearest = (centroids[codes].astype(np.float32) - CENTROID_MIDDLE) * np.float32(centroid_scale)
    vectors: Floats = outer * nearest + inner * (unpack(payload, bits) - np.float32((2**bits - 1) / 2))
    return vectors


def rotate(vectors: Floats, matrix: Floats) -> Floats:
    """Return ``vectors @ matrix``."""
    product: Floats = (vectors.astype(np.float64) @ matrix).astype(np.float32)
    return product


def prepare(query: Floats, rotation: Floats, bits: int, centroid_scale: float, use: str = "portable") -> QueryPass:
    """Rotate, round and lay out query tokens for the byte product."""
    tokens, dim = len(query), rotation.shape[1]
    lanes = lanes_for(tokens, WIDTHS[use])
    rotated = np.zeros((lanes, dim), np.float32)
    rotated[:tokens] = rotate(query, rotation)
    step = np.abs(rotated).max(axis=1) / np.float32(127)
    step[step * 127 <= SMALLEST] = 0
    rows = np.divide(rotated, step[:, None], out=np.zeros_like(rotated), where=step[:, None] > 0)
    rows = np.rint(rows).astype(np.int8)
    whole = rows.astype(np.int64).sum(axis=1).astype(np.float32)
    largest_code = 2**bits - 1 if bits < 16 else 0
    scale = np.float32(centroid_scale)
    return QueryPass(
        tokens,
        lanes,
        rotated[:tokens],
        byte_layout(rows),
        step,
        np.float32(-largest_code / 2) * step * whole,
        scale * step,
        np.float32(-CENTROID_MIDDLE) * scale * step * whole,
        rotated.sum(axis=1),
        np.linalg.norm(rotated, axis=1),
        flush=longest_safe_run(rows, min(largest_code, 15)),
        flavour=use,
    )


def longest_safe_run(rows: NDArray[np.int8], largest_code: int) -> int:
    """Return the number of groups of four dimensions after which 16-bit sums of pairs must be widened.

    >>> longest_safe_run(np.full((1, 128), 127, np.int8), 15)
    8
    """
    lanes, dim = rows.shape
    run: int = dim // 4
    pairs = rows.astype(np.int64).reshape(lanes, dim // 4, 2, 2)
    while run > 1:
        blocks = [pairs[:, g : g + run] for g in range(0, dim // 4, run)]
        largest = max(int(np.maximum(sign * block, 0).sum(axis=(1, 3)).max()) for block in blocks for sign in (1, -1))
        if largest * largest_code <= 32767:
            break
        run = (run + 1) // 2
    return run


def query_bytes(query: QueryPass) -> NDArray[np.int64]:
    """Return the query's bytes as ``(lanes, dim)``."""
    dim = query.rotated.shape[1]
    across = query.layout.reshape(dim // 4, query.lanes, 4).transpose(1, 0, 2)
    return across.reshape(query.lanes, dim).astype(np.int64)


def scan(query: QueryPass, centroids: Bytes) -> CentroidTable:
    """Return the similarity of every centroid with every lane."""
    products = centroids.astype(np.int64) @ query_bytes(query).T
    similarities = products.astype(np.float32) * query.centroid_factor + query.centroid_offset
    scale = np.divide(127, query.norms, out=np.zeros_like(query.norms), where=query.norms > SMALLEST)
    coarse = np.clip(similarities * scale, -127, 127).astype(np.int8)
    groups = -(-len(centroids) // GROUP)
    best = np.stack([similarities[g * GROUP : (g + 1) * GROUP].max(axis=0) for g in range(groups)])
    return CentroidTable(similarities, coarse, best)


def probe(query: QueryPass, table: CentroidTable, nprobe: int) -> Probes:
    """Return the nearest centroids of each lane, best first, ties by centroid number."""
    count, lanes = table.similarities.shape
    nprobe = min(nprobe, count)
    order = np.argsort(-table.similarities, axis=0, kind="stable")[:nprobe].T
    values = np.take_along_axis(table.similarities.T, order, axis=1)
    counts = np.where(np.arange(lanes) < query.tokens, nprobe, 0)
    return Probes(order.astype(np.int32), values, counts.astype(np.int32))


def gather(
    probes: Probes,
    tokens: int,
    offsets: NDArray[np.uint32],
    postings: NDArray[Any],
    stamps: NDArray[np.uint32],
    base: int,
    totals: Floats,
) -> NDArray[np.uint32]:
    """Return the documents met, in ascending order, and write each document's gains over the thresholds."""
    gains: dict[int, dict[int, np.float32]] = {}
    for lane in range(tokens):
        count = probes.counts[lane]
        threshold = probes.values[lane, count - 1]
        for centroid, value in zip(probes.centroids[lane, :count], probes.values[lane, :count], strict=True):
            for document in postings[offsets[centroid] : offsets[centroid + 1]]:
                gains.setdefault(int(document), {}).setdefault(lane, value - threshold)
    for document, by_lane in gains.items():
        totals[document] = sum(by_lane.values(), np.float32(0))
        stamps[document] = base + 1 + max(by_lane)
    return np.array(sorted(gains), np.uint32)


def select(values: Floats, k: int) -> NDArray[np.int32]:
    """Return the positions of the largest values, ascending."""
    return np.sort(np.argsort(-values, kind="stable")[:k]).astype(np.int32)


def interact(query: QueryPass, table: CentroidTable, codes: NDArray[Any], starts: Ints, stops: Ints) -> Floats:
    """Return the MaxSim of documents with every token replaced by its centroid."""
    best = [table.coarse[codes[start:stop]].max(axis=0) for start, stop in zip(starts, stops, strict=True)]
    weights = (query.norms / np.float32(127))[: query.tokens]
    return np.array([(row[: query.tokens] * weights).sum() for row in best], np.float32)


def score(
    query: QueryPass,
    table: CentroidTable,
    bits: int,
    payload: Bytes,
    codes: NDArray[Any],
    scales: NDArray[np.uint16],
    starts: Ints,
    stops: Ints,
) -> tuple[Floats, NDArray[np.int32]]:
    """Return the MaxSim of documents by their residual codes, and the token that each lane matched."""
    pairs = scales.view(np.float16).astype(np.float32)
    across = query_bytes(query).T
    scores, tokens = [], []
    for start, stop in zip(starts, stops, strict=True):
        products = unpack(payload[start:stop], bits).astype(np.int64) @ across
        residual = products.astype(np.float32) * query.factor + query.bias
        similarity = pairs[start:stop, :1] * table.similarities[codes[start:stop]] + pairs[start:stop, 1:] * residual
        scores.append(similarity.max(axis=0)[: query.tokens].sum())
        tokens.append(similarity.argmax(axis=0))
    return np.array(scores, np.float32), np.array(tokens, np.int32).reshape(len(starts), query.lanes)


def refine(
    query: QueryPass,
    bits: int,
    payload: Bytes,
    codes: NDArray[Any],
    scales: NDArray[np.uint16],
    starts: Ints,
    rows: Ints,
    tokens: NDArray[np.int32],
    centroids: Bytes,
    centroid_scale: float,
) -> Floats:
    """Return the scores of documents with the query in float32, by the tokens that each lane matched."""
    scores = []
    for start, row in zip(starts, rows, strict=True):
        at = start + tokens[row, : query.tokens].astype(np.int64)
        pairs = scales.view(np.float16)[at].astype(np.float32)
        vectors = decode(payload[at], bits, codes[at], pairs, centroids, centroid_scale)
        scores.append((vectors * query.rotated).sum())
    return np.array(scores, np.float32)


def dense(query: Floats, payload: NDArray[np.float16], starts: Ints, stops: Ints) -> tuple[Floats, NDArray[np.int32]]:
    """Return the MaxSim of documents by their float16 vectors, and the token that each lane matched."""
    lanes = lanes_for(len(query), 8)
    across = np.zeros((query.shape[1], lanes), np.float32)
    across[:, : len(query)] = query.T
    scores, tokens = [], []
    for start, stop in zip(starts, stops, strict=True):
        similarity = payload[start:stop].astype(np.float32) @ across
        scores.append(similarity.max(axis=0)[: len(query)].sum())
        tokens.append(similarity.argmax(axis=0))
    return np.array(scores, np.float32), np.array(tokens, np.int32).reshape(len(starts), lanes)


def assign(tokens: Floats, centroids: Bytes) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the nearest centroid of each token, with tokens and centroids rounded to bytes."""
    scale = np.float32(127) / np.maximum(np.abs(tokens).max(axis=1, keepdims=True), np.float32(1e-30))
    products = np.rint(tokens * scale).astype(np.int64) @ centroids.astype(np.int64).T
    return products.argmax(axis=1).astype(np.int32), products.max(axis=1).astype(np.int32)


def compress(
    tokens: Floats, centroids: Bytes, centroid_scale: float, codes: NDArray[np.int32], bits: int
) -> tuple[Bytes, Floats]:
    """Return residual codes and scales."""
    top = 2**bits - 1
    nearest = np.float32(centroid_scale) * (centroids[codes].astype(np.float32) - CENTROID_MIDDLE)
    length = np.linalg.norm(tokens, axis=1, keepdims=True)
    residual = tokens / np.maximum(length, SMALLEST) - nearest
    deviation = np.maximum(np.sqrt((residual**2).mean(axis=1, keepdims=True)), 1e-20)
    trials = [_trial(residual, np.float32(step) * deviation, top) for step in STEPS[bits]]
    best = np.argmax([agreement for agreement, _, _ in trials], axis=0)
    every = np.arange(len(tokens))
    inner = np.stack([trial[1] for trial in trials])[best, every][:, None]
    k = np.stack([trial[2] for trial in trials])[best, every]
    size = np.linalg.norm(nearest + inner * (k - top / 2), axis=1, keepdims=True)
    outer = length / np.maximum(size, SMALLEST)
    return pack(k.astype(np.uint8), bits), np.concatenate([outer, outer * inner], axis=1).astype(np.float32)


def _trial(residual: Floats, step: Floats, top: int) -> tuple[Floats, Floats, Floats]:
    """Return how well the grid with this step fits, the least-squares length, and the codes, for each token."""
    k = np.clip(np.rint(residual / step + np.float32(top / 2)), 0, top)
    u = k - np.float32(top / 2)
    along, square = (residual * u).sum(axis=1), (u * u).sum(axis=1)
    return along**2 / square, along / square, k


def pack(codes: Bytes, bits: int) -> Bytes:
    """Return packed codes: the inverse of :func:`unpack`.

    >>> pack(np.array([[1, 3, 2, 4]], np.uint8), 4).tolist()
    [[33, 67]]
    """
    stored = codes.shape[1] * bits // 8
    packed = np.zeros((len(codes), stored), np.uint8)
    for p in range(8 // bits):
        packed |= codes[:, p * stored : (p + 1) * stored] << np.uint8(p * bits)
    return packed
