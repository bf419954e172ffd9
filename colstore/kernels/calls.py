"""The kernels as functions of numpy arrays.

Arrays must be C-contiguous and have the stated dtypes and shapes. This is not checked here, but where the arrays come
from: queries in ``search/query.py``, files in ``store/segment_reader.py``. Each function has a twin of the same name
in ``twins.py``.
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
    """Rotate, round and lay out query tokens for the byte product.

    Parameters
    ----------
    query
        Query tokens, ``(tokens <= 32, dim_in)`` float32.
    rotation
        Rotation of the codec, ``(dim_in, dim)`` float32.
    bits
        Bits of a residual code: 1, 2, 4, 8, or 16 for float16 vectors.
    centroid_scale
        Value of one step of a centroid's bytes.
    use
        Flavour of the byte product; ``None`` chooses the fastest one.
    """
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
    """Return ``vectors (n, dim_in) @ matrix (dim_in, dim)``, ``(n, dim)`` float32; ``dim`` is a multiple of 8.

    Each row of the result depends only on the same row of ``vectors``, bit for bit, however many rows there are.
    """
    rotated = np.empty((len(vectors), matrix.shape[1]), np.float32)
    kernel("rotate")(address(vectors), len(vectors), address(matrix), *matrix.shape, address(rotated))
    return rotated


def scan(query: QueryPass, centroids: Bytes) -> CentroidTable:
    """Return the similarity of every centroid, ``(centroids, dim)`` uint8, with every lane of the query."""
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


def probe(query: QueryPass, table: CentroidTable, nprobe: int) -> Probes:
    """Return the ``nprobe`` nearest centroids of each lane, or all of them if there are fewer."""
    count, lanes = table.similarities.shape
    nprobe = min(nprobe, count)
    chosen = np.empty((lanes, nprobe), np.int32)
    values = np.empty((lanes, nprobe), np.float32)
    counts = np.zeros(lanes, np.int32)
    lowest = np.empty(lanes, np.float32)
    kernel("probe", lanes=lanes)(
        address(table.similarities),
        address(table.group_best),
        count,
        len(table.group_best),
        query.tokens,
        nprobe,
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
    """Return the documents with a token at one of the probed centroids, and write their totals.

    A document's total is the sum over lanes of its best similarity minus the lane's threshold, which is the similarity
    of the last probed centroid.

    Parameters
    ----------
    probes
        The probed centroids of each lane.
    tokens
        Number of query tokens.
    offsets, postings
        Postings of centroid ``c`` are ``postings[offsets[c] : offsets[c + 1]]``, which are document numbers.
    stamps, totals
        Scratch space, and the result; each has one element for each document.
    base
        Largest stamp of earlier queries. Stamps of this query are larger.

    Returns
    -------
    ndarray
        Document numbers, uint32, in the order in which they were first met.
    """
    count = np.zeros(1, np.int64)
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
        address(count),
        address(documents),
    )
    return documents[: count[0]]


def select(values: Floats, k: int) -> NDArray[np.int32]:
    """Return the positions of the ``k`` largest values (or of all, if there are fewer), ascending, int32.

    Values that differ by less than about a thousandth of the range of all values may count as equal.
    """
    if len(values) <= k:
        return np.arange(len(values), dtype=np.int32)
    positions = np.empty(len(values), np.int32)
    histogram = np.empty(BINS, np.int64)
    selected = np.zeros(1, np.int64)
    kernel("select")(address(values), address(histogram), len(values), k, address(positions), address(selected))
    return positions[: selected[0]]


def interact(query: QueryPass, table: CentroidTable, codes: NDArray[Any], starts: Ints, stops: Ints) -> Floats:
    """Return the MaxSim of documents with every token replaced by its centroid, ``(documents,)`` float32.

    The tokens of document ``i`` are ``starts[i] .. stops[i]``; ``codes`` has the centroid number of every token.
    """
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
    """Return the MaxSim of documents by their residual codes, and the token that each lane matched.

    Parameters
    ----------
    query, table
        The query, and the similarity of its lanes with the centroids.
    bits
        Bits of a residual code.
    payload, codes, scales
        Packed residual codes, ``(tokens, dim * bits / 8)`` uint8; centroid numbers, ``(tokens,)``; and scales, the bits
        of float16 numbers, ``(tokens, 2)`` uint16.
    starts, stops
        Token range of each document, ``(documents,)`` int64.

    Returns
    -------
    scores, tokens
        ``(documents,)`` float32, and ``(documents, lanes)`` int32, counted from the document's first token.
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
    """Return the scores of documents with the query in float32, ``(documents,)`` float32.

    The matched tokens of document ``i`` are ``tokens[rows[i]]``, as :func:`score` returned them. The other arguments
    are those of :func:`score`, and the codec's centroids and their scale.
    """
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
    """Return the MaxSim of documents by their float16 vectors, and the token that each lane matched.

    ``query`` is ``(tokens <= 32, dim)`` float32 and ``payload`` is ``(tokens, dim)`` float16; ``dim`` is a multiple of
    8. The results are those of :func:`score`.
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
    """Return the nearest centroid of each token.

    Parameters
    ----------
    tokens
        Rotated token vectors, ``(tokens, dim)`` float32.
    centroids
        Centroids, ``(centroids, dim)`` uint8.
    use
        Flavour of the byte product; ``None`` chooses the fastest one.

    Returns
    -------
    codes, products
        Centroid number of each token, and its integer product with that centroid; both ``(tokens,)`` int32.
    """
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
    """Return the packed residual codes, ``(tokens, dim * bits / 8)`` uint8, and scales, ``(tokens, 2)`` float32.

    Parameters
    ----------
    tokens
        Rotated token vectors, ``(tokens, dim)`` float32.
    centroids, centroid_scale
        Centroids, ``(centroids, dim)`` uint8, and the value of one step of their bytes.
    codes
        Centroid number of each token, ``(tokens,)`` int32.
    bits
        Bits of a residual code: 1, 2, 4 or 8.
    """
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
