"""Several segments become one: live documents are copied as they are stored, and compared before anybody sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import xxhash

from colstore.codec import Codec
from colstore.codec.checks import check_codes
from colstore.errors import StorageError
from colstore.indexing.segments import Batch, Record
from colstore.kernels.calls import Ints
from colstore.snapshot.live_segment import LiveSegment
from colstore.store import AddedTokens, Segment
from colstore.store.strict_json import canonical

BATCH_TOKENS = 16_384


def live_batches(source: LiveSegment, codec: Codec) -> Iterator[Batch]:
    """Yield the live documents of a segment in order, as they are stored, some 16,384 tokens at a time."""
    segment, live = source.segment, source.live
    offsets = segment.doc_offsets().astype(np.int64)
    added = segment.entry.added
    share = 0.0 if added is None else added.tokens / segment.tokens
    start = 0
    while start < segment.documents:
        stop = int(np.searchsorted(offsets, offsets[start] + BATCH_TOKENS, side="right")) - 1
        stop = min(max(stop, start + 1), segment.documents)
        numbers = start + np.flatnonzero(live[start:stop])
        if len(numbers):
            counts = np.diff(offsets[start : stop + 1])
            rows = np.repeat(live[start:stop], counts)
            first, last = int(offsets[start]), int(offsets[stop])
            arrays = {name: segment.rows(name, first, last)[rows] for name in codec.token_arrays}
            check_codes(arrays["codes"], len(codec.centroids.values))
            # Which of the tokens came later is not known one by one: as many as in the whole segment, by share.
            later = None if added is None else AddedTokens(round(share * int(rows.sum())), added.error)
            yield Batch(segment.ids.many(numbers), counts[live[start:stop]], arrays, _records(segment, numbers), later)
        start = stop


def _records(segment: Segment, numbers: Ints) -> list[Record] | None:
    if not segment.has_texts:
        return None
    pairs = [segment.record(int(i)) or ("", "") for i in numbers]
    return [(*pair, segment.metadata(int(i))) for i, pair in zip(numbers, pairs, strict=True)]


@dataclass(frozen=True, slots=True)
class Content:
    """What some documents come to: counts, and a checksum of each kind of content, in order.

    Parameters
    ----------
    documents, tokens
        How many.
    checksums
        Of ids, token counts, records and each token array.
    """

    documents: int
    tokens: int
    checksums: dict[str, str]


def content(batches: Iterable[Batch], without: frozenset[str] = frozenset()) -> Content:
    """Return what documents come to, however they are batched.

    Parameters
    ----------
    without
        Names of token arrays to leave out.
    """
    digests = {name: xxhash.xxh3_128() for name in ("ids", "counts", "records")}
    documents = tokens = 0
    for batch in batches:
        documents += len(batch.ids)
        tokens += int(batch.counts.sum())
        for name in batch.ids:
            data = name.encode()
            digests["ids"].update(len(data).to_bytes(8, "little") + data)
        digests["counts"].update(batch.counts.astype("<i8").tobytes())
        for title, text, metadata in batch.records or ():
            digests["records"].update(canonical([title, text, dict(metadata)]) + b"\n")
        for name in batch.arrays.keys() - without:
            digests.setdefault(f"array {name}", xxhash.xxh3_128()).update(batch.arrays[name].tobytes())
    return Content(documents, tokens, {name: digest.hexdigest() for name, digest in digests.items()})


def compare(before: Content, after: Content, expected: tuple[int, int]) -> None:
    """Refuse a merge that is not equal to what it was made from.

    Parameters
    ----------
    expected
        Live documents and tokens, counted from the lists of what is deleted.

    Raises
    ------
    StorageError
        Something differs; nothing has been committed.
    """
    names = before.checksums.keys() | after.checksums.keys()
    different = sorted(name for name in names if before.checksums.get(name) != after.checksums.get(name))
    if different or (before.documents, before.tokens) != expected or (after.documents, after.tokens) != expected:
        raise StorageError(
            f"merged segments read back differently ({', '.join(different) or 'counts'}): nothing was committed, the "
            "index is what it was; check the disk and run `colstore.verify(path)`"
        )
