"""``verify``: checks the files of an index, and what only the codec and the search structures can tell about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from colstore.codec import Codec
from colstore.codec.base import is_trained
from colstore.errors import CorruptIndexError, FormatVersionError, StorageError
from colstore.indexing.segments import build_postings
from colstore.snapshot.document_encoder import stored_projection
from colstore.snapshot.snapshot import Snapshot
from colstore.store import (
    FileEntry,
    Level,
    Manifest,
    Problem,
    Segment,
    check_checksum,
    check_size,
    generations,
    highest,
    latest,
    load,
    verify_manifest,
)
from colstore.store import verify as verify_store
from colstore.store.format import kind_of, manifest_name
from colstore.types import Json
from colstore.updating.change import Change
from colstore.updating.compact import derived_is_bad, rebuilt
from colstore.updating.merge import BATCH_TOKENS


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of checking an index.

    Parameters
    ----------
    path
        The directory of the index.
    level
        How thoroughly it was checked.
    generation
        Number of the checked generation; ``None`` where its manifest cannot be read.
    documents
        Number of live documents; 0 where the manifest cannot be read.
    files, bytes
        Number of checked files and their bytes; 0 where the manifest cannot be read.
    problems
        The problems found; empty if the index is sound.
    repaired
        Derived files that were rebuilt, as paths relative to the index.
    older
        The older generations that are kept, newest first, where they were checked. A file that an older generation
        shares with a newer one is counted, and its problems are listed, for both.
    """

    path: str
    level: Level
    generation: int | None
    documents: int = 0
    files: int = 0
    bytes: int = 0
    problems: tuple[Problem, ...] = ()
    repaired: tuple[str, ...] = field(default=())
    older: tuple[VerifyReport, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether everything that was checked is sound."""
        return not self.problems and all(report.ok for report in self.older)

    @property
    def nothing_lost(self) -> bool:
        """Whether only derived files are damaged, so that no document is lost; ``repair=True`` mends the newest."""
        return all(problem.derived for problem in self.problems) and all(report.nothing_lost for report in self.older)

    def to_json(self) -> dict[str, Json]:
        """Return the fields as data that ``json`` can write."""
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
            "older": [report.to_json() for report in self.older],
        }


def verify(
    path: Path,
    level: Level = "full",
    *,
    repair: bool = False,
    all_generations: bool = False,
    wait: float = 0.0,
) -> VerifyReport:
    """Check the newest generation of an index, or all that are kept.

    Parameters
    ----------
    path
        The directory of the index.
    level
        ``"quick"`` checks the manifest, and that each file is present and has the right size. ``"full"`` also checks
        every checksum. ``"deep"`` also checks that every document decodes to finite vectors other than zero, that
        codes, offsets, ids, texts and tombstones are consistent, and that the postings are complete and correct.
    repair
        Repair damaged derived files in a new generation: the FAISS index over the centroids is rebuilt, and a damaged
        BM25 index is dropped. Nothing else can be restored from the index itself.
    all_generations
        Also check the older generations that are kept. They are never repaired.
    wait
        Seconds to wait for another writer to finish before repairing.

    Raises
    ------
    IndexNotFoundError, NotAnIndexError, FormatVersionError
        There is no index at this path, or this version cannot read its format.
    """
    report = _newest(path, level, repair=repair, wait=wait)
    return replace(report, older=tuple(_older(path, level, report.generation))) if all_generations else report


def _newest(path: Path, level: Level, *, repair: bool, wait: float) -> VerifyReport:
    """Check, and repair on request, the newest generation."""
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
    return replace(_report(path, level, manifest, problems), repaired=repaired)


def _report(path: Path, level: Level, manifest: Manifest, problems: Sequence[Problem]) -> VerifyReport:
    size = sum(file.bytes for file in manifest.files)
    return VerifyReport(
        str(path),
        level,
        manifest.generation,
        manifest.live_documents,
        len(manifest.files) + 1,
        size,
        tuple(problems),
    )


def _older(path: Path, level: Level, newest: int | None) -> Iterator[VerifyReport]:
    """Check each generation before the newest one, which is the one that could not be read where it is ``None``."""
    known: dict[tuple[str, str], str | None] = {}
    present = generations(path)
    for number in reversed([n for n in present if n < (newest or highest(path))]):
        try:
            manifest = load(path, number)
        except (FormatVersionError, CorruptIndexError) as error:
            if number in generations(path):  # otherwise a writer has cleaned up meanwhile
                yield VerifyReport(str(path), level, number, problems=(Problem(manifest_name(number), str(error)),))
            continue
        problems = _shared_file_problems(path, manifest, level, known)
        if level == "deep":
            problems = verify_manifest(path, manifest, level)
            if all(problem.derived for problem in problems):
                problems += _content_problems(path, manifest)
        if not problems or number in generations(path):
            yield _report(path, level, manifest, problems)


def _shared_file_problems(
    path: Path, manifest: Manifest, level: Level, known: dict[tuple[str, str], str | None]
) -> list[Problem]:
    """Check the files of a generation; ``known`` holds what was found about those that it shares with newer ones."""
    problems = []
    for entry in manifest.files:
        key = (entry.path, entry.checksum)
        if key not in known:
            known[key] = _message_about(path, entry, level)
        message = known[key]
        if message is not None:
            problems.append(Problem(entry.path, message, derived=kind_of(entry.path) in ("centroids", "lexical")))
    return problems


def _message_about(path: Path, entry: FileEntry, level: Level) -> str | None:
    """Return what is wrong with a file; ``None`` where it is sound."""
    try:
        (check_size if level == "quick" else check_checksum)(path, entry)
    except (CorruptIndexError, StorageError) as error:
        return str(error)
    return None


def _repaired(path: Path, wait: float) -> tuple[str, ...]:
    """Commit a generation with rebuilt derived files, and return the paths of those rebuilt or dropped."""
    with Change(path, wait) as change:
        changes: dict[str, Any] = {}
        repaired: tuple[str, ...] = ()
        if derived_is_bad(change):
            changes["centroids"] = rebuilt(change, change.codec)
            repaired = (changes["centroids"].path,)
        lexical = change.snapshot.manifest.lexical
        if lexical is not None and any(_is_bad(path, file) for file in lexical.files):
            changes["lexical"] = replace(lexical, files=())  # rebuilding needs packages and texts: only on request
            repaired += tuple(file.path for file in lexical.files)
        if changes:  # otherwise another writer has repaired the index meanwhile
            change.commit(**changes)
        return repaired


def _is_bad(path: Path, entry: FileEntry) -> bool:
    """Tell whether a file is missing or damaged."""
    try:
        check_checksum(path, entry)
    except CorruptIndexError:
        return True
    return False


def _content_problems(path: Path, manifest: Manifest) -> list[Problem]:
    """Return the inconsistencies in and between files whose checksums are correct."""
    try:
        snapshot = Snapshot.from_manifest(path, manifest)
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
    """Yield the inconsistencies in the stored settings."""
    for read in (lambda: snapshot.config, lambda: snapshot.params, lambda: stored_projection(path, snapshot.manifest)):
        try:
            read()
        except CorruptIndexError as error:
            yield str(error)
    codec, bits = snapshot.codec, snapshot.manifest.config.get("bits")
    if not is_trained(snapshot.manifest.codec.settings):
        if codec.bits != 16 or len(codec.centroids.values) != 1:
            yield f"it states that the codec is not trained, but the codec has {codec.bits} bits and centroids"
    elif bits != codec.bits:
        yield f"it states {bits} bits, but the codec has {codec.bits}"


def _segment_problems(segment: Segment, codec: Codec) -> Iterator[str]:
    """Yield the inconsistencies in the arrays of a segment."""
    try:
        for name, (dtype, row) in codec.token_arrays.items():
            segment.expect(name, dtype, (segment.tokens, *row))
        offsets = segment.doc_offsets()
        if (np.diff(offsets.astype(np.int64)) < 1).any():
            yield "a document has no tokens"
        codes = segment.rows("codes")
        if int(codes.max(initial=0)) >= len(codec.centroids.values):
            yield "a token refers to a centroid that does not exist"
            return
        yield from _vector_problems(segment, codec)
        for name, array in build_postings(codes, segment.passage_tables()[1], len(codec.centroids.values)).items():
            if not np.array_equal(segment.expect(name, array.dtype.str, (None,)), array):
                yield f"{name!r} does not match the documents' tokens"
    except CorruptIndexError as error:
        yield str(error)


def _vector_problems(segment: Segment, codec: Codec) -> Iterator[str]:
    """Decode every token, a batch at a time, and yield what is wrong with the vectors."""
    infinite = zero = 0
    for start in range(0, segment.tokens, BATCH_TOKENS):
        stop = min(start + BATCH_TOKENS, segment.tokens)
        vectors = codec.decode({name: segment.rows(name, start, stop) for name in codec.token_arrays})
        finite = np.isfinite(vectors).all(axis=1)
        infinite += int((~finite).sum())
        zero += int((~vectors[finite].any(axis=1)).sum())
    if infinite:
        yield f"{infinite:,} tokens decode to NaN or infinite values"
    if zero:
        yield f"{zero:,} tokens decode to vectors of length 0"
