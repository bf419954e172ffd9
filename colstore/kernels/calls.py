"""The kernels as functions of numpy arrays.

Arrays must be C-contiguous with the dtypes stated; shapes are the caller's promise, checked where arrays come
from (queries in ``search/query.py``, files in ``store/segment_reader.py``). Each function has its twin of the
same name in ``twins.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.kernels.address import address
from colstore.kernels.arrays import Bytes, CentroidTable, Floats, Ints, Probes, QueryPass
from colstore.kernels.flavours import flavour
from colstore.kernels.jit import kernel
from colstore.kernels.layout import BINS, GROUP, MOST_LANES, SMALLEST, WIDTHS, lanes_for

__all__ = [
    "Bytes",
    "CentroidTable",
    "Floats",
    "Ints",
    "Probes",
    "QueryPass",
    "assign",
    "compress",
    "dense",
    "gather",
    "interact",
    "prepare",
    "probe",
    "refine",
    "rotate",
    "scan",
    "score",
    "select",
]


def prepare(query: Floats, rotation: Floats, bits: int, centroid_scale: float, use: str | None = None) -> QueryPass:
    """Rotate, round and lay out query tokens ``(tokens <= 32, dim_in)`` by a rotation ``(dim_in, dim)``."""
    chosen = use or flavour()
    tokens, dim_in = query.shape
    dim = rotation.shape[1]
    lanes = lanes_for(tokens, WIDTHS[chosen])
    rotated = np.empty((tokens, dim), np.float32)
    layout = np.zeros(lanes * dim, np.int8)
    rows = np.zeros((6, lanes), np.float32)
    flush = np.empty(1, np.int64)
    largest_code = 2**bits - 1 if bits < 16 else 0
    kernel("prepare")(
        address(query),
        address(rotation),
        tokens,
        dim_in,
        dim,
        lanes,
        largest_code,
        centroid_scale,
        address(rotated),
        address(layout),
        address(rows),
        address(flush),
    )
    factor, bias, centroid_factor, centroid_offset, sums, norms = rows
    return QueryPass(
        tokens,
        lanes,
        rotated,
        layout,
        factor,
        bias,
        centroid_factor,
        centroid_offset,
        sums,
        norms,
        flush=int(flush[0]),
        flavour=chosen,
    )


def rotate(vectors: Floats, matrix: Floats) -> Floats:
    """Return ``vectors (n, dim_in) @ matrix (dim_in, dim)``, each row the same whatever the others are.

    ``dim`` is a multiple of 8.
    """
    rotated = np.empty((len(vectors), matrix.shape[1]), np.float32)
    kernel("rotate")(address(vectors), len(vectors), address(matrix), *matrix.shape, address(rotated))
    return rotated


def scan(query: QueryPass, centroids: Bytes) -> CentroidTable:
    """Compare every centroid ``(centroids, dim)`` uint8 with every lane."""
    count, dim = centroids.shape
    lanes = query.lanes
    table = np.empty((count, lanes), np.float32)
    coarse = np.empty((count, lanes), np.int8)
    best = np.empty((-(-count // GROUP), lanes), np.float32)
    scale = np.zeros(lanes, np.float32)
    np.divide(127, query.norms, out=scale, where=query.norms > SMALLEST)
    kernel("scan", dim=dim, vectors=lanes // WIDTHS[query.flavour], flavour=query.flavour)(
        address(centroids),
        count,
        address(query.layout),
        address(query.centroid_factor),
        address(query.centroid_offset),
        address(scale),
        address(table),
        address(coarse),
        address(best),
    )
    return CentroidTable(table, coarse, best)


def probe(query: QueryPass, table: CentroidTable, wanted: int) -> Probes:
    """Return the ``wanted`` (at most all) nearest centroids of each lane."""
    count, lanes = table.similarities.shape
    wanted = min(wanted, count)
    chosen = np.empty((lanes, wanted), np.int32)
    values = np.empty((lanes, wanted), np.float32)
    counts = np.zeros(lanes, np.int32)
    lowest = np.empty(lanes, np.float32)
    kernel("probe", lanes=lanes)(
        address(table.similarities),
        address(table.group_best),
        count,
        len(table.group_best),
        query.tokens,
        wanted,
        address(chosen),
        address(values),
        address(counts),
        address(lowest),
    )
    return Probes(chosen, values, counts)


def gather(
    probes: Probes,
    tokens: int,
    offsets: NDArray[np.uint32],
    postings: NDArray[Any],
    stamps: NDArray[np.uint32],
    base: int,
    totals: Floats,
) -> NDArray[np.uint32]:
    """Add each document's gains over the thresholds into ``totals`` and return the documents met.

    ``stamps`` and ``totals`` have a number for each document; stamps above ``base`` are this query's.
    """
    found = np.zeros(1, np.int64)
    documents = np.empty(len(totals), np.uint32)
    kernel("gather", posting_bytes=postings.dtype.itemsize)(
        address(probes.centroids),
        address(probes.values),
        address(probes.counts),
        address(offsets),
        address(postings),
        address(stamps),
        tokens,
        probes.centroids.shape[1],
        base,
        address(totals),
        address(found),
        address(documents),
    )
    return documents[: found[0]]


def select(values: Floats, wanted: int) -> NDArray[np.int32]:
    """Return the positions, ascending, of about the largest values, ``wanted`` of them if there are.

    Values closer together than a thousandth of their whole range count as equal.
    """
    if len(values) <= wanted:
        return np.arange(len(values), dtype=np.int32)
    positions = np.empty(len(values), np.int32)
    histogram = np.empty(BINS, np.int64)
    kept = np.zeros(1, np.int64)
    kernel("select")(address(values), address(histogram), len(values), wanted, address(positions), address(kept))
    return positions[: kept[0]]


def interact(query: QueryPass, table: CentroidTable, codes: NDArray[Any], starts: Ints, stops: Ints) -> Floats:
    """Return MaxSim of documents (token ranges) with every token replaced by its centroid."""
    scores = np.empty(len(starts), np.float32)
    weights = query.norms / np.float32(127)
    best = np.empty(query.lanes, np.int8)
    kernel("interact", lanes=query.lanes, code_bytes=codes.dtype.itemsize)(
        address(codes),
        address(starts),
        address(stops),
        len(starts),
        address(table.coarse),
        address(weights),
        query.tokens,
        address(best),
        address(scores),
    )
    return scores


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
        address(payload),
        address(codes),
        address(scales),
        address(starts),
        address(stops),
        documents,
        address(query.layout),
        address(table.similarities),
        address(query.factor),
        address(query.bias),
        query.flush,
        query.tokens,
        address(scores),
        address(tokens),
    )
    return scores[:documents], tokens


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
    """Return float32 scores of documents, whose matched tokens are ``tokens[rows]``."""
    scores = np.empty(len(starts) + 16, np.float32)
    kernel("refine", bits=bits, dim=centroids.shape[1], code_bytes=codes.dtype.itemsize)(
        address(payload),
        address(codes),
        address(scales),
        address(starts),
        address(rows),
        address(tokens),
        len(starts),
        address(centroids),
        centroid_scale,
        address(query.rotated),
        address(query.sums),
        query.tokens,
        tokens.shape[1],
        address(scores),
    )
    return scores[: len(starts)]


def dense(query: Floats, payload: NDArray[np.float16], starts: Ints, stops: Ints) -> tuple[Floats, NDArray[np.int32]]:
    """Return MaxSim of documents from float16 vectors ``(tokens, dim)``, and the matched token of each lane.

    ``query`` is ``(tokens <= 32, dim)`` float32; ``dim`` is a multiple of 8.
    """
    used, dim = query.shape
    lanes = lanes_for(used, 8)
    across = np.zeros((dim, lanes), np.float32)
    across[:, :used] = query.T
    scores = np.empty(len(starts) + lanes, np.float32)
    tokens = np.empty((len(starts), lanes), np.int32)
    kernel("dense", dim=dim, vectors=lanes // 8)(
        address(payload),
        address(starts),
        address(stops),
        len(starts),
        address(across),
        used,
        address(scores),
        address(tokens),
    )
    return scores[: len(starts)], tokens


def assign(tokens: Floats, centroids: Bytes, use: str | None = None) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the nearest centroid of each token ``(tokens, dim)``, and the product that says how near."""
    chosen = use or flavour()
    dim = tokens.shape[1]
    rounded, layout = np.empty(dim, np.int8), np.empty(MOST_LANES * dim, np.int8)
    codes = np.empty(len(tokens) + MOST_LANES, np.int32)
    products = np.empty(len(tokens) + MOST_LANES, np.int32)
    kernel("assign", dim=dim, flavour=chosen)(
        address(tokens),
        address(centroids),
        len(tokens),
        len(centroids),
        address(rounded),
        address(layout),
        address(codes),
        address(products),
    )
    return codes[: len(tokens)], products[: len(tokens)]


def compress(
    tokens: Floats, centroids: Bytes, centroid_scale: float, codes: NDArray[np.int32], bits: int
) -> tuple[Bytes, Floats]:
    """Return residual codes ``(tokens, dim * bits / 8)`` uint8 and scales ``(tokens, 2)`` float32."""
    count, dim = tokens.shape
    payload = np.empty((count, dim * bits // 8), np.uint8)
    scales = np.empty((count, 2), np.float32)
    nearest, residual = np.empty((2, dim), np.float32)
    kernel("compress", bits=bits, dim=dim)(
        address(tokens),
        address(centroids),
        address(codes),
        centroid_scale,
        count,
        address(nearest),
        address(residual),
        address(payload),
        address(scales),
    )
    return payload, scales
