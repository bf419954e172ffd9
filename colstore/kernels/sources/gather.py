"""Kernel ``gather``: walk the postings of the probed centroids, adding up for each document each lane's best.

A lane's centroids come best first, so the first time a document turns up is its best: a stamp per document
tells whether this lane has seen it. What a lane did not find counts as its threshold, the similarity of the
last centroid probed, for every document alike; totals are therefore kept above the sum of the thresholds.
"""

from __future__ import annotations

from typing import Any

from colstore.kernels.sources.compile import UNSIGNED, compiled


def build(*, posting_bytes: int) -> Any:
    """Compile for postings of 2 or 4 bytes."""

    @compiled(f"i32 f32 i32 u32 {UNSIGNED[posting_bytes]} u32 int int int f32 i64 u32")
    def gather(
        chosen: Any,
        values: Any,
        counts: Any,
        offsets: Any,
        postings: Any,
        stamps: Any,
        used: Any,
        wanted: Any,
        base: Any,
        totals: Any,
        found: Any,
        documents: Any,
    ) -> None:
        # stamps: one number a document, at most ``base`` where this query has not seen it
        seen = 0
        for lane in range(used):
            stamp = base + 1 + lane
            threshold = values[lane * wanted + counts[lane] - 1]
            for rank in range(counts[lane]):
                gain = values[lane * wanted + rank] - threshold
                centroid = chosen[lane * wanted + rank]
                for place in range(offsets[centroid], offsets[centroid + 1]):
                    document = postings[place]
                    last = stamps[document]
                    if last <= base:
                        documents[seen] = document
                        seen += 1
                        totals[document] = gain
                        stamps[document] = stamp
                    elif last < stamp:
                        totals[document] += gain
                        stamps[document] = stamp
        found[0] = seen

    return gather
