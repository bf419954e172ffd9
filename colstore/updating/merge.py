"""Merging segments: the live documents are copied as stored, and the copy is checked before it is committed."""

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
from colstore.store import AddedTokens, Passages, Segment
from colstore.store.strict_json import canonical

BATCH_TOKENS = 16_384


def live_batches(source: LiveSegment, codec: Codec) -> Iterator[Batch]:
    """Yield the live documents of a segment in order and as they are stored, about 16,384 tokens at a time."""
    segment, live_mask = source.segment, source.live_mask
    offsets = segment.doc_offsets().astype(np.int64)
    added = segment.entry.added
    share = 0.0 if added is None else added.tokens / segment.tokens
    start = 0
    while start < segment.documents:
        stop = int(np.searchsorted(offsets, offsets[start] + BATCH_TOKENS, side="right")) - 1
        stop = min(max(stop, start + 1), segment.documents)
        numbers = start + np.flatnonzero(live_mask[start:stop])
        if len(numbers):
            counts = np.diff(offsets[start : stop + 1])
            rows = np.repeat(live_mask[start:stop], counts)
            first, last = int(offsets[start]), int(offsets[stop])
            arrays = {name: segment.rows(name, first, last)[rows] for name in codec.token_arrays}
            check_codes(arrays["codes"], len(codec.centroids.values))
            # Which tokens were added later is not stored, so each batch gets the share of the whole segment.
            added_tokens = None if added is None else AddedTokens(round(share * int(rows.sum())), added.error)
            ids, records = segment.ids.many(numbers), _records(segment, numbers)
            passages = segment.passages_of(start, stop)
            if passages is not None:
                passages = passages.only(live_mask[start:stop])
            yield Batch(ids, counts[live_mask[start:stop]], arrays, records, added_tokens, passages)
        start = stop


def _records(segment: Segment, numbers: Ints) -> list[Record] | None:
    if not segment.has_texts:
        return None
    pairs = [segment.title_and_text(int(i)) or ("", "") for i in numbers]
    return [(*pair, segment.metadata(int(i))) for i, pair in zip(numbers, pairs, strict=True)]


@dataclass(frozen=True, slots=True)
class Content:
    """Counts and checksums of a sequence of documents, by which two copies are compared.

    Parameters
    ----------
    documents, tokens
        Number of documents and of their tokens.
    checksums
        The checksum of the ids, of the token counts, of the passages, of texts with metadata, and of each token
        array, by name.
    """

    documents: int
    tokens: int
    checksums: dict[str, str]


def content(batches: Iterable[Batch], without: frozenset[str] = frozenset()) -> Content:
    """Return the counts and checksums of documents; how they are batched makes no difference.

    Parameters
    ----------
    batches
        The documents, in order.
    without
        Names of token arrays to leave out.
    """
    digests = {name: xxhash.xxh3_128() for name in ("ids", "counts", "passages", "records")}
    documents = tokens = 0
    for batch in batches:
        documents += len(batch.ids)
        tokens += int(batch.counts.sum())
        for name in batch.ids:
            data = name.encode()
            digests["ids"].update(len(data).to_bytes(8, "little") + data)
        digests["counts"].update(batch.counts.astype("<i8").tobytes())
        digests["passages"].update((batch.passages or Passages.whole(batch.counts)).table().astype("<i8").tobytes())
        for title, text, metadata in batch.records or ():
            digests["records"].update(canonical([title, text, dict(metadata)]) + b"\n")
        for name in batch.arrays.keys() - without:
            digests.setdefault(f"array {name}", xxhash.xxh3_128()).update(batch.arrays[name].tobytes())
    return Content(documents, tokens, {name: digest.hexdigest() for name, digest in digests.items()})


def check_same_content(before: Content, after: Content, expected: tuple[int, int]) -> None:
    """Refuse a merge whose result does not hold the documents that went into it.

    Parameters
    ----------
    before
        The live documents of the merged segments.
    after
        The documents of the new segments, read back.
    expected
        Number of live documents and of their tokens, counted from the tombstones.

    Raises
    ------
    StorageError
        The two differ; nothing has been committed.
    """
    names = before.checksums.keys() | after.checksums.keys()
    different = sorted(name for name in names if before.checksums.get(name) != after.checksums.get(name))
    if different or (before.documents, before.tokens) != expected or (after.documents, after.tokens) != expected:
        raise StorageError(
            f"merged segments read back differently ({', '.join(different) or 'counts'}): nothing was committed, and "
            "the index is unchanged; check the disk and run `colstore.verify(path)`"
        )
