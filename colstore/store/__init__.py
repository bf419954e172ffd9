"""Storage: files, checksums, segments, manifests and the writer lock. This room does not know what vectors mean.

To write, :class:`SegmentWriter`, :func:`write_arrays_file` and :func:`write_whole` create files, and
:func:`commit` makes them part of an index. To read, :func:`latest` returns the manifest, and
:meth:`Segment.open` maps a segment. ``docs/FORMAT.md`` specifies the files on disk.
"""

from colstore.store.build_state import building_folder, read_state, write_state
from colstore.store.cleanup import discard, referenced_files, remove_unreferenced
from colstore.store.committed import says_what_is_committed
from colstore.store.entries import AddedTokens, ArraySpec, DeletedEntry, FileEntry, SegmentEntry
from colstore.store.format import FORMAT_VERSION, centroids_name, codec_name, encoder_name
from colstore.store.history import (
    check_folder,
    commit,
    generations,
    highest,
    latest,
    load,
    missing_manifest_error,
    newest,
)
from colstore.store.lock import WriterLock
from colstore.store.manifest import Manifest, Part
from colstore.store.passages import Passages
from colstore.store.segment_reader import Segment, segments_folder
from colstore.store.segment_writer import SegmentWriter
from colstore.store.tombstones import read_tombstones, write_tombstones
from colstore.store.verification import LEVELS, Level, Problem, verify, verify_manifest
from colstore.store.whole_files import (
    ArraysFile,
    check_checksum,
    check_size,
    read_arrays_file,
    read_whole,
    write_arrays_file,
    write_whole,
)

__all__ = [
    "FORMAT_VERSION",
    "LEVELS",
    "AddedTokens",
    "ArraySpec",
    "ArraysFile",
    "DeletedEntry",
    "FileEntry",
    "Level",
    "Manifest",
    "Part",
    "Passages",
    "Problem",
    "Segment",
    "SegmentEntry",
    "SegmentWriter",
    "WriterLock",
    "building_folder",
    "centroids_name",
    "check_checksum",
    "check_folder",
    "check_size",
    "codec_name",
    "commit",
    "discard",
    "encoder_name",
    "generations",
    "highest",
    "latest",
    "load",
    "missing_manifest_error",
    "newest",
    "read_arrays_file",
    "read_state",
    "read_tombstones",
    "read_whole",
    "referenced_files",
    "remove_unreferenced",
    "says_what_is_committed",
    "segments_folder",
    "verify",
    "verify_manifest",
    "write_arrays_file",
    "write_state",
    "write_tombstones",
    "write_whole",
]
