"""Kernel ``gather``: walk the postings of the probed centroids, and add up the best similarity of each lane.

The centroids of a lane come best first, so the first time that a lane meets a document is its best match there. A
stamp for each document tells whether the lane has met it already. A document that a lane does not meet counts with
the lane's threshold, the similarity of the last probed centroid. The totals therefore count only the gains over these
thresholds, whose sum is the same for all documents.
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
        nprobe: Any,
        base: Any,
        totals: Any,
        document_count: Any,
        documents: Any,
    ) -> None:
        # stamps has one number for each document, at most ``base`` if this query has not met the document yet
        seen = 0
        for lane in range(used):
            stamp = base + 1 + lane
            threshold = values[lane * nprobe + counts[lane] - 1]
            for rank in range(counts[lane]):
                gain = values[lane * nprobe + rank] - threshold
                centroid = chosen[lane * nprobe + rank]
                for position in range(offsets[centroid], offsets[centroid + 1]):
                    document = postings[position]
                    last = stamps[document]
                    if last <= base:
                        documents[seen] = document
                        seen += 1
                        totals[document] = gain
                        stamps[document] = stamp
                    elif last < stamp:
                        totals[document] += gain
                        stamps[document] = stamp
        document_count[0] = seen

    return gather
