"""The kernels as functions of numpy arrays.

Arrays must be C-contiguous with the dtypes stated; shapes are the caller's promise, checked where arrays come from
(queries in ``engine/query.py``, files in ``store/segment_reader.py``). Each function has its twin of the same name in
``twins.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.kernels.jit import flavour, kernel
from colstore.kernels.layout import GROUP, WIDTHS, lanes_for

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """At most 32 query tokens, rotated and rounded for the byte product.

    Parameters
    ----------
    tokens
        Number of query tokens; lanes behind them are zero.
    lanes
        A multiple of the vector width.
    rotated
        ``(tokens, dim)`` float32.
    layout
        ``lanes * dim`` int8, in the order of :func:`colstore.kernels.layout.byte_layout`.
    factor, bias
        ``(lanes,)`` float32: similarity with residual codes = product * factor + bias.
    centroid_factor, centroid_offset
        The same for centroid bytes.
    sums, norms
        ``(lanes,)`` float32: sum of components, and length, of each token.
    flush
        Groups of four dimensions after which 16-bit sums must be widened.
    """

    tokens: int
    lanes: int
    rotated: Floats
    layout: NDArray[np.int8]
    factor: Floats
    bias: Floats
    centroid_factor: Floats
    centroid_offset: Floats
    sums: Floats
    norms: Floats
    flush: int
    flavour: str


@dataclass(frozen=True, slots=True)
class CentroidTable:
    """Similarity of every centroid with every query lane.

    Parameters
    ----------
    similarities
        ``(centroids, lanes)`` float32.
    coarse
        ``(1 + centroids, lanes)`` int8, from row 1 on, 127 for the length of the query token; row 0 is scratch.
    group_best
        ``(ceil(centroids / 16), lanes)`` float32.
    """

    similarities: Floats
    coarse: NDArray[np.int8]
    group_best: Floats


@dataclass(frozen=True, slots=True)
class Probes:
    """The nearest centroids of each lane, best first.

    Parameters
    ----------
    centroids, values
        ``(lanes, wanted)`` int32 and float32.
    counts
        ``(lanes,)`` int32: how many of a row are filled.
    """

    centroids: NDArray[np.int32]
    values: Floats
    counts: NDArray[np.int32]


def address(array: NDArray[Any]) -> int:
    """Return where the array's bytes lie."""
    return int(array.ctypes.data)


def prepare(query: Floats, rotation: Floats, bits: int, centroid_scale: float, use: str | None = None) -> PreparedQuery:
    """Rotate, round and lay out query tokens ``(tokens <= 32, dim_in)``; ``rotation`` is ``(dim_in, dim)``."""
    chosen = use or flavour()
    width = WIDTHS[chosen]
    tokens, dim_in = query.shape
    dim = rotation.shape[1]
    lanes = lanes_for(tokens, width)
    rotated = np.empty((tokens, dim), np.float32)
    layout = np.empty(lanes * dim, np.int8)
    rows = np.empty((6, lanes), np.float32)
    flush = np.empty(1, np.int64)
    middle = (2**bits - 1) / 2 if bits < 16 else 0.0
    kernel("prepare")(
        address(query), address(rotation), tokens, dim_in, dim, lanes, width, middle, centroid_scale,
        address(rotated), address(layout), *(address(row) for row in rows), address(flush),
    )  # fmt: skip
    return PreparedQuery(tokens, lanes, rotated, layout, *rows, flush=int(flush[0]), flavour=chosen)


def scan(query: PreparedQuery, centroids: Bytes) -> CentroidTable:
    """Compare every centroid ``(centroids, dim)`` uint8 with every lane."""
    count, dim = centroids.shape
    lanes = query.lanes
    table = np.empty((count, lanes), np.float32)
    coarse = np.empty((1 + count, lanes), np.int8)
    best = np.empty((-(-count // GROUP), lanes), np.float32)
    scale = np.zeros(lanes, np.float32)
    np.divide(127, query.norms, out=scale, where=query.norms > 0)
    kernel("scan", dim=dim, vectors=lanes // WIDTHS[query.flavour], flavour=query.flavour)(
        address(centroids), count, address(query.layout), address(query.centroid_factor), address(query.centroid_offset),
        address(scale), address(table), address(coarse[1:]), address(best), 0,
    )  # fmt: skip
    return CentroidTable(table, coarse, best)


def probe(query: PreparedQuery, table: CentroidTable, wanted: int) -> Probes:
    """Return the ``wanted`` (at most all) nearest centroids of each lane."""
    count, lanes = table.similarities.shape
    wanted = min(wanted, count)
    chosen = np.empty((lanes, wanted), np.int32)
    values = np.empty((lanes, wanted), np.float32)
    counts = np.zeros(lanes, np.int32)
    scratch = np.empty((4, lanes), np.float32)
    kernel("probe", lanes=lanes)(
        address(table.similarities), address(table.group_best), count, len(table.group_best), query.tokens, wanted,
        address(chosen), address(values), address(counts), address(scratch),
    )  # fmt: skip
    return Probes(chosen, values, counts)


def gather(
    probes: Probes, tokens: int, offsets: NDArray[np.uint32], postings: NDArray[Any], stamps: NDArray[np.uint32], base: int,
    totals: Floats,
) -> NDArray[np.uint32]:  # fmt: skip
    """Add each document's gains over the thresholds into ``totals`` and return the documents met.

    ``stamps`` and ``totals`` have a number for each document; stamps above ``base`` are this query's.
    """
    found = np.zeros(1, np.int64)
    documents = np.empty(len(totals), np.uint32)
    kernel("gather", posting_bytes=postings.dtype.itemsize)(
        address(probes.centroids), address(probes.values), address(probes.counts), address(offsets), address(postings),
        address(stamps), tokens, probes.centroids.shape[1], base, 0, address(totals), address(found), address(documents), 0,
    )  # fmt: skip
    return documents[: found[0]]


def select(values: Floats, wanted: int) -> NDArray[np.int32]:
    """Return the positions, ascending, of about the ``wanted`` largest values (exactly so many if there are)."""
    if len(values) <= wanted:
        return np.arange(len(values), dtype=np.int32)
    positions = np.empty(len(values), np.int32)
    histogram = np.empty(1024, np.int64)
    kept = np.zeros(1, np.int64)
    kernel("select")(address(values), address(histogram), len(values), wanted, address(positions), address(kept))
    return positions[: kept[0]]


def interact(query: PreparedQuery, table: CentroidTable, codes: NDArray[Any], starts: Ints, stops: Ints) -> Floats:
    """Return MaxSim of documents (token ranges) with every token replaced by its centroid."""
    scores = np.empty(len(starts), np.float32)
    weights = query.norms / np.float32(127)
    coarse = table.coarse
    scratch_first = coarse if coarse.base is None else coarse
    kernel("interact", lanes=query.lanes, code_bytes=codes.dtype.itemsize)(
        address(codes), address(starts), address(stops), len(starts), address(scratch_first[1:]), address(weights),
        query.tokens, address(scores),
    )  # fmt: skip
    return scores


def score(
    query: PreparedQuery, table: CentroidTable, bits: int, payload: Bytes, codes: NDArray[Any],
    scales: NDArray[np.uint16], starts: Ints, stops: Ints,
) -> tuple[Floats, NDArray[np.int32]]:  # fmt: skip
    """Return MaxSim of documents from their residual codes, and the token that each lane matched.

    Returns
    -------
    scores, tokens
        ``(documents,)`` float32, and ``(documents, lanes)`` int32 from the document's start.
    """
    documents = len(starts)
    scores = np.empty(documents + query.lanes, np.float32)
    tokens = np.empty((documents, query.lanes), np.int32)
    dim = payload.shape[1] * 8 // bits
    vectors = query.lanes // WIDTHS[query.flavour]
    run = kernel("score", bits=bits, dim=dim, vectors=vectors, code_bytes=codes.dtype.itemsize, flavour=query.flavour)
    run(
        address(payload), address(codes), address(scales), address(starts), address(stops), documents,
        address(query.layout), address(table.similarities), address(query.factor), address(query.bias), query.flush,
        query.tokens, address(scores), address(tokens),
    )  # fmt: skip
    return scores[:documents], tokens


def refine(
    query: PreparedQuery, bits: int, payload: Bytes, codes: NDArray[Any], scales: NDArray[np.uint16],
    starts: Ints, rows: Ints, tokens: NDArray[np.int32], centroids: Bytes, centroid_scale: float,
) -> Floats:  # fmt: skip
    """Return float32 scores of documents, whose matched tokens are ``tokens[rows]``."""
    scores = np.empty(len(starts) + 16, np.float32)
    kernel("refine", bits=bits, dim=centroids.shape[1], code_bytes=codes.dtype.itemsize)(
        address(payload), address(codes), address(scales), address(starts), address(rows), address(tokens), len(starts),
        address(centroids), centroid_scale, address(query.rotated), address(query.sums),
        query.tokens * 65536 + tokens.shape[1], address(scores),
    )  # fmt: skip
    return scores[: len(starts)]


def dense(query: Floats, payload: NDArray[np.float16], starts: Ints, stops: Ints) -> tuple[Floats, NDArray[np.int32]]:
    """Return MaxSim of documents from float16 vectors ``(tokens, dim)``, and the token that each lane matched.

    ``query`` is ``(tokens <= 32, dim)`` float32; ``dim`` is a multiple of 8.
    """
    used, dim = query.shape
    lanes = lanes_for(used, 8)
    across = np.zeros((dim, lanes), np.float32)
    across[:, :used] = query.T
    scores = np.empty(len(starts) + lanes, np.float32)
    tokens = np.empty((len(starts), lanes), np.int32)
    kernel("dense", dim=dim, vectors=lanes // 8)(
        address(payload), address(starts), address(stops), len(starts), address(across), used, address(scores), address(tokens)
    )
    return scores[: len(starts)], tokens


def assign(tokens: Floats, centroids: Bytes, use: str | None = None) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the nearest centroid of each token ``(tokens, dim)``, and the integer product that says how near."""
    chosen = use or flavour()
    dim = tokens.shape[1]
    layout = np.empty(32 * dim, np.int8)
    codes = np.empty(len(tokens) + 32, np.int32)
    products = np.empty(len(tokens) + 32, np.int32)
    kernel("assign", dim=dim, flavour=chosen)(
        address(tokens), address(centroids), len(tokens), len(centroids), address(layout), address(codes), address(products)
    )
    return codes[: len(tokens)], products[: len(tokens)]


def compress(tokens: Floats, centroids: Bytes, centroid_scale: float, codes: NDArray[np.int32], bits: int) -> tuple[Bytes, Floats]:
    """Return residual codes ``(tokens, dim * bits / 8)`` uint8 and scales ``(tokens, 2)`` float32."""
    count, dim = tokens.shape
    payload = np.empty((count, dim * bits // 8), np.uint8)
    scales = np.empty((count, 2), np.float32)
    residual = np.empty(dim, np.float32)
    kernel("compress", bits=bits, dim=dim)(
        address(tokens), address(centroids), address(codes), centroid_scale, count, address(residual), address(payload),
        address(scales),
    )  # fmt: skip
    return payload, scales
