"""Several segments become one: live documents are copied as they are stored, and compared before anybody sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import xxhash
from numpy.typing import NDArray

from colstore.codec import Codec
from colstore.codec.checks import check_codes
from colstore.engine.sealing import Batch, Record
from colstore.errors import StorageError
from colstore.kernels.calls import Ints
from colstore.store import AddedRecord, Segment, SegmentRecord
from colstore.store.strict_json import canonical

BATCH_TOKENS = 16_384
NOTHING = np.zeros(0, np.int64)


@dataclass(slots=True)
class Source:
    """A segment as a change sees it: what is stored, and what of it is deleted by now.

    Parameters
    ----------
    segment
        Open.
    deleted
        Local numbers, ascending.
    changed
        Whether more is deleted than the segment's record says.
    """

    segment: Segment
    deleted: Ints = field(default_factory=lambda: NOTHING)
    changed: bool = False

    @property
    def record(self) -> SegmentRecord:
        """What the manifest says, or will say, of the segment itself."""
        return self.segment.entry

    @property
    def documents(self) -> int:
        """Live documents."""
        return self.segment.documents - len(self.deleted)

    @property
    def tokens(self) -> int:
        """Live tokens."""
        return self.segment.tokens - self.deleted_tokens

    @property
    def deleted_tokens(self) -> int:
        """Tokens of deleted documents."""
        offsets = self.segment.doc_offsets()
        return int((offsets[self.deleted + 1].astype(np.int64) - offsets[self.deleted].astype(np.int64)).sum())

    @property
    def deleted_share(self) -> float:
        """Share of documents or tokens that is deleted, whichever is more."""
        if not len(self.deleted):
            return 0.0
        return max(len(self.deleted) / self.segment.documents, self.deleted_tokens / max(1, self.segment.tokens))

    @property
    def live(self) -> NDArray[np.bool_]:
        """For each document whether it is there still."""
        mask = np.ones(self.segment.documents, bool)
        mask[self.deleted] = False
        return mask

    def find(self, ids: Sequence[str]) -> Ints:
        """Return local numbers of live documents, -1 where there is none of this id."""
        found = self.segment.ids.find_many(ids)
        if len(self.deleted):
            found[(found >= 0) & np.isin(found, self.deleted)] = -1
        return found

    def delete(self, numbers: Ints) -> None:
        """Mark documents as deleted."""
        self.deleted = np.union1d(self.deleted, numbers).astype(np.int64)
        self.changed = True


def live_batches(source: Source, codec: Codec) -> Iterator[Batch]:
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
            later = None if added is None else AddedRecord(round(share * int(rows.sum())), added.error)
            yield Batch(segment.ids.many(numbers), counts[live[start:stop]], arrays, _records(segment, numbers), later)
        start = stop


def live_of(sources: Sequence[Source]) -> tuple[int, int]:
    """Return live documents and tokens of some segments together."""
    return sum(source.documents for source in sources), sum(source.tokens for source in sources)


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
            "index is what it was; check the disk and run `colstore verify`"
        )
