"""``verify``: what the store can check of files, and what only codec and engine know of their content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from colstore.codec import Codec
from colstore.codec.base import is_trained
from colstore.errors import CorruptIndexError
from colstore.indexing.segments import build_postings
from colstore.snapshot.document_encoder import stored_projection
from colstore.snapshot.snapshot import Snapshot
from colstore.store import FileEntry, Level, Manifest, Problem, Segment, check_checksum, latest
from colstore.store import verify as verify_store
from colstore.types import Json
from colstore.updating.change import Change
from colstore.updating.compact import derived_is_bad, rebuilt
from colstore.updating.merge import BATCH_TOKENS


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked, and what is wrong.

    Parameters
    ----------
    path, level
        As asked.
    generation
        That was checked; ``None`` where its manifest cannot be read.
    documents, files, bytes
        In it; 0 where its manifest cannot be read.
    problems
        Empty if all is well.
    repaired
        Derived files that were made anew.
    """

    path: str
    level: Level
    generation: int | None
    documents: int = 0
    files: int = 0
    bytes: int = 0
    problems: tuple[Problem, ...] = ()
    repaired: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def nothing_lost(self) -> bool:
        """Whether all that is wrong can be made again (``repair``): no document is affected."""
        return all(problem.derived for problem in self.problems)

    def to_json(self) -> dict[str, Json]:
        """Return plain data."""
        return {
            "path": self.path,
            "level": self.level,
            "generation": self.generation,
            "documents": self.documents,
            "files": self.files,
            "bytes": self.bytes,
            "ok": self.ok,
            "nothing_lost": self.nothing_lost,
            "problems": [{"file": p.file, "message": p.message, "derived": p.derived} for p in self.problems],
            "repaired": list(self.repaired),
        }


def verify(path: Path, level: Level = "full", *, repair: bool = False, wait: float = 0.0) -> VerifyReport:
    """Check the newest generation of an index.

    Parameters
    ----------
    path
        Of the index.
    level
        ``"quick"``: the manifest, and the presence and size of each file. ``"full"``: also every checksum.
        ``"deep"``: also that every document decodes to finite vectors of some length, that codes, offsets, ids, texts
        and lists of deleted documents are consistent, and that the postings are complete and right.
    repair
        Make damaged derived files (the FAISS index over the centroids) anew, as a new generation. Nothing else can be
        made again from the index itself.
    wait
        Seconds to wait for another writer, to repair.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError, FormatVersionError
        There is no index that could be checked.
    """
    problems = verify_store(path, level)
    try:
        manifest = latest(path)
    except CorruptIndexError:
        return VerifyReport(str(path), level, None, problems=tuple(problems))
    if level == "deep" and all(problem.derived for problem in problems):
        problems += _content_problems(path, manifest)
    repaired: tuple[str, ...] = ()
    if repair and any(problem.derived for problem in problems):
        repaired = _repaired(path, wait)
        problems = [problem for problem in problems if not problem.derived]
    records = manifest.files
    return VerifyReport(
        str(path),
        level,
        manifest.generation,
        manifest.live_documents,
        len(records) + 1,
        sum(record.bytes for record in records),
        tuple(problems),
        repaired,
    )


def _repaired(path: Path, wait: float) -> tuple[str, ...]:
    with Change(path, wait) as change:
        changes: dict[str, Any] = {}
        repaired: tuple[str, ...] = ()
        if derived_is_bad(change):
            changes["centroids"] = rebuilt(change, change.codec)
            repaired = (changes["centroids"].path,)
        lexical = change.snapshot.manifest.lexical
        if lexical is not None and any(_is_bad(path, record) for record in lexical.files):
            changes["lexical"] = replace(lexical, files=())  # making it needs an extra, and texts: on request only
            repaired += tuple(record.path for record in lexical.files)
        if changes:  # else somebody was faster
            change.commit(**changes)
        return repaired


def _is_bad(path: Path, record: FileEntry) -> bool:
    try:
        check_checksum(path, record)
    except CorruptIndexError:
        return True
    return False


def _content_problems(path: Path, manifest: Manifest) -> list[Problem]:
    """Return what is inconsistent in files that are each as they were written."""
    try:
        snapshot = Snapshot.of(path, manifest)
    except CorruptIndexError as error:
        return [Problem(Path(error.file or "").name, str(error))]
    try:
        problems = [Problem("manifest", text) for text in _setting_problems(path, snapshot)]
        for segment in snapshot.segments:
            file = segment.entry.files[0].path
            problems += [Problem(file, text) for text in _segment_problems(segment, snapshot.codec)]
        return problems
    finally:
        snapshot.close()


def _setting_problems(path: Path, snapshot: Snapshot) -> Iterator[str]:
    for read in (lambda: snapshot.config, lambda: snapshot.params, lambda: stored_projection(path, snapshot.manifest)):
        try:
            read()
        except CorruptIndexError as error:
            yield str(error)
    codec, bits = snapshot.codec, snapshot.manifest.config.get("bits")
    if not is_trained(snapshot.manifest.codec.settings):
        if codec.bits != 16 or len(codec.centroids.values) != 1:
            yield f"it says that the codec is not trained, but the codec has {codec.bits} bits and centroids"
    elif bits != codec.bits:
        yield f"it says {bits} bits, the codec has {codec.bits}"


def _segment_problems(segment: Segment, codec: Codec) -> Iterator[str]:
    try:
        for name, (dtype, row) in codec.token_arrays.items():
            segment.expect(name, dtype, (segment.tokens, *row))
        offsets = segment.doc_offsets()
        if (np.diff(offsets.astype(np.int64)) < 1).any():
            yield "a document has no tokens"
        codes = segment.rows("codes")
        if int(codes.max(initial=0)) >= len(codec.centroids.values):
            yield "a token names a centroid that is not there"
            return
        yield from _vector_problems(segment, codec)
        for name, array in build_postings(codes, offsets, len(codec.centroids.values)).items():
            if not np.array_equal(segment.expect(name, array.dtype.str, (None,)), array):
                yield f"{name!r} are not those of the documents' tokens"
    except CorruptIndexError as error:
        yield str(error)


def _vector_problems(segment: Segment, codec: Codec) -> Iterator[str]:
    """Decode everything, some thousand tokens at a time."""
    infinite = nothing = 0
    for start in range(0, segment.tokens, BATCH_TOKENS):
        stop = min(start + BATCH_TOKENS, segment.tokens)
        vectors = codec.decode({name: segment.rows(name, start, stop) for name in codec.token_arrays})
        finite = np.isfinite(vectors).all(axis=1)
        infinite += int((~finite).sum())
        nothing += int((~vectors[finite].any(axis=1)).sum())
    if infinite:
        yield f"{infinite:,} tokens decode to NaN or infinite values"
    if nothing:
        yield f"{nothing:,} tokens decode to vectors of length 0"
