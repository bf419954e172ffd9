"""Verify finds every damage, at the level that promises it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.errors import ChecksumError, ConfigError, CorruptIndexError, MissingFileError, NotAnIndexError
from colstore.store import (
    LEVELS,
    FileEntry,
    Part,
    Problem,
    Segment,
    SegmentEntry,
    centroids_name,
    codec_name,
    commit,
    latest,
    read_arrays_file,
    read_whole,
    segments_folder,
    verify,
    write_arrays_file,
    write_whole,
)
from colstore.store.hdf5 import layout_problems
from colstore.store.verification import content_problems


@pytest.mark.parametrize("level", LEVELS)
def test_a_sound_index_has_no_problems(index: Path, level: Any) -> None:
    assert verify(index, level) == []


def test_unknown_levels_and_other_folders_are_refused(index: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="level must be one of"):
        verify(index, "thorough")  # type: ignore[arg-type]
    with pytest.raises(NotAnIndexError):
        verify(tmp_path)


def test_each_file_that_is_damaged_is_found(index: Path, flip: Any) -> None:
    for entry in latest(index).files:
        path = index / entry.path
        good = path.read_bytes()
        for position in range(0, entry.bytes, max(entry.bytes // 7, 1)):
            flip(path, position)
            assert verify(index, "quick") == []
            assert {problem.file for problem in verify(index)} == {entry.path}
            assert {problem.file for problem in verify(index, "deep")} >= {entry.path}
            path.write_bytes(good)
        for content, message in ((good[:-1], "bytes, where"), (good + b"x", "bytes, where")):
            path.write_bytes(content)
            (problem,) = verify(index, "quick")
            assert problem.file == entry.path
            assert message in problem.message
        path.unlink()
        for level in LEVELS:
            assert entry.path in {problem.file for problem in verify(index, level)}
        path.write_bytes(good)
    assert verify(index, "deep") == []


def test_a_damaged_manifest_is_a_problem(index: Path, flip: Any) -> None:
    flip(index / "manifest-000000000001.json", 99)
    (problem,) = verify(index, "quick")
    assert problem.file == "manifest-000000000001.json"
    assert "colstore.history(path)" in problem.message


def test_damage_to_derived_files_is_marked(index: Path) -> None:
    centroids = write_whole(index, centroids_name(1), b"faiss bytes")
    commit(index, replace(latest(index), generation=2, centroids=centroids))
    assert read_whole(index, centroids) == b"faiss bytes"
    (index / centroids.path).write_bytes(b"faiss BYTES")
    assert [(problem.file, problem.derived) for problem in verify(index)] == [(centroids.path, True)]
    with pytest.raises(ChecksumError):
        read_whole(index, centroids)


def test_the_same_id_in_two_segments_is_found_by_deep(tmp_path: Path, make_index: Any, make_segment: Any) -> None:
    segments = [
        make_segment(segments_folder(tmp_path), f"00000{n}", ids=ids)
        for n, ids in enumerate((["a", "b"], ["c"], ["d", "b"]))
    ]
    make_index(tmp_path, segments=segments)
    assert verify(tmp_path) == []
    assert verify(tmp_path, "deep") == [Problem("segments/000002.h5", "id 'b' is also in segment 000000")]


def changed(entry: SegmentEntry, folder: Path, name: str, values: Any) -> Segment:
    """Return the segment with other values in an array and right checksums: a bug's or an enemy's work."""
    from colstore.store.checksums import checksum, file_sums

    path = folder / f"{entry.id}.h5"
    spec = entry.arrays[name]
    data = bytearray(path.read_bytes())
    data[spec.offset : spec.offset + spec.nbytes] = np.array(values, spec.dtype).tobytes()
    path.write_bytes(bytes(data))
    whole, sums = file_sums(path)
    (folder / f"{entry.id}.sums").write_bytes(sums.tobytes())
    return Segment.open(folder, replace(entry, checksum=whole, sums_checksum=checksum(sums.tobytes())))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("doc_offsets", [0, 4, 3, 6], "'doc_offsets' runs backwards"),
        ("id_offsets", [0, 3, 1, 4], "'id_offsets' runs backwards"),
        ("id_order", [0, 1, 2], "does not sort"),
        ("id_order", [0, 0, 2], "permutation"),
        ("id_order", [0, 1, 9], "permutation"),
        ("id_hash_order", [0, 0, 1], "permutation"),
        ("id_hashes", [1, 2, 3], "do not match the ids"),
        ("id_bytes", list(b"aa\xc3\xbc"), "occurs twice"),
    ],
)
def test_inconsistent_content_is_found(
    tmp_path: Path, make_segment: Any, name: str, values: list[int], message: str
) -> None:
    segment = changed(make_segment(tmp_path), tmp_path, name, values)
    segment.ensure_all()
    assert any(message in problem for problem in content_problems(segment))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("id_bytes", list(b"ba\xff\xff")),
        ("texts_sizes", [5]),
        ("metadata_sizes", [2**32 - 1]),
    ],
)
def test_unreadable_content_is_an_error(tmp_path: Path, make_segment: Any, name: str, values: list[int]) -> None:
    segment = changed(make_segment(tmp_path), tmp_path, name, values)
    with pytest.raises(CorruptIndexError):
        list(content_problems(segment))


def test_lookups_in_a_forged_segment_do_not_leave_it(tmp_path: Path, make_segment: Any) -> None:
    segment = changed(make_segment(tmp_path), tmp_path, "id_hash_order", [7, 8, 2**32 - 1])
    with pytest.raises(CorruptIndexError, match="id_hash_order"):
        segment.ids.find("a")
    shutil.rmtree(tmp_path)
    segment = changed(make_segment(tmp_path), tmp_path, "doc_offsets", [0, 2**32 - 1, 3, 6])
    with pytest.raises(CorruptIndexError, match="runs backwards"):
        segment.doc_offsets()
    shutil.rmtree(tmp_path)
    segment = changed(make_segment(tmp_path), tmp_path, "id_offsets", [0, 2**32 - 1, 3, 4])
    with pytest.raises(CorruptIndexError, match="id_offsets"):
        segment.ids.all()


def hostile(path: Path, kind: str) -> None:
    """Write an HDF5 file that reaches for more than its own contiguous bytes."""
    data = np.arange(12, dtype="<f4").reshape(3, 4)
    with h5py.File(path, "w") as file:
        if kind == "filter":
            file.create_dataset("x", data=data, chunks=(1, 4), compression="gzip")
        elif kind == "external":
            file.create_dataset("x", data=data, external=[(str(path) + ".raw", 0, h5py.h5f.UNLIMITED)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3, 4), "<f4")
            layout[:] = h5py.VirtualSource(str(path) + ".other", "x", (3, 4))
            file.create_virtual_dataset("x", layout)
        elif kind == "link":
            file["x"] = h5py.ExternalLink("elsewhere.h5", "x")
        elif kind == "soft link":
            file["y"] = data
            file["x"] = h5py.SoftLink("/y")
        elif kind == "group":
            file.create_group("x")
        else:
            file["x"] = data


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("filter", "not contiguous"),
        ("virtual", "not contiguous"),
        ("external", "external storage"),
        ("link", "link to somewhere else"),
        ("soft link", "link to somewhere else"),
        ("group", "not a dataset"),
        ("plain", "lies at byte"),
    ],
)
def test_hdf5_that_reaches_elsewhere_is_a_problem(tmp_path: Path, kind: str, message: str) -> None:
    hostile(tmp_path / "f.h5", kind)
    spec = FileEntry.from_json(
        {
            "path": "codec-000001.h5",
            "bytes": 10_000,
            "checksum": "0" * 32,
            "arrays": {"x": {"offset": 8, "dtype": "<f4", "shape": [3, 4]}},
        }
    ).arrays
    assert any(message in problem for problem in layout_problems(tmp_path / "f.h5", spec))


def test_hdf5_of_other_arrays_or_none_is_a_problem(tmp_path: Path, make_segment: Any, flip: Any) -> None:
    entry = make_segment(tmp_path)
    fewer = {name: spec for name, spec in entry.arrays.items() if name != "vectors"}
    assert layout_problems(tmp_path / "000001.h5", fewer) == ["'vectors' is not in the manifest"]
    more = {**entry.arrays, "codes": entry.arrays["vectors"]}
    assert layout_problems(tmp_path / "000001.h5", more) == ["array 'codes' is missing"]
    other = {**entry.arrays, "vectors": replace(entry.arrays["vectors"], dtype="<u2")}
    assert "is <f2 (6, 4), not <u2 (6, 4)" in layout_problems(tmp_path / "000001.h5", other)[0]
    flip(tmp_path / "000001.h5", 0)
    assert "libhdf5 cannot read it" in layout_problems(tmp_path / "000001.h5", entry.arrays)[0]


def test_files_of_arrays_come_back_and_damage_is_found(tmp_path: Path, flip: Any) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "centroids": np.random.default_rng(0).random((300, 128), dtype=np.float32),
        "rotation": np.eye(3),
        "none": np.zeros((0, 4), np.uint8),
    }
    entry = write_arrays_file(tmp_path, codec_name(2), arrays, {"bits": 4, "name": "ü"})
    assert FileEntry.from_json(entry.to_json()) == entry
    loaded = read_arrays_file(tmp_path, entry)
    assert loaded.attributes == {"bits": 4, "name": "ü"}
    assert set(loaded.arrays) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].dtype == array.dtype
    flip(tmp_path / entry.path, entry.arrays["centroids"].offset + 5)
    with pytest.raises(ChecksumError, match="codec-000002"):
        read_arrays_file(tmp_path, entry)
    (tmp_path / entry.path).unlink()
    with pytest.raises(MissingFileError):
        read_arrays_file(tmp_path, entry)


def test_files_are_only_written_under_names_of_the_format(tmp_path: Path) -> None:
    for path in ("../x.h5", "x.h5", "encoder/..", "segments/.h5"):
        with pytest.raises(ConfigError, match="not a file name"):
            write_arrays_file(tmp_path, path, {}, {})
        with pytest.raises(ConfigError, match="not a file name"):
            write_whole(tmp_path, path, b"")
    for name in ("attributes", "A", "a/b"):
        with pytest.raises(ConfigError, match="invalid array names"):
            write_arrays_file(tmp_path, codec_name(1), {name: np.zeros(2)}, {})
    with pytest.raises(CorruptIndexError, match="no attributes"):
        read_arrays_file(tmp_path, write_whole(tmp_path, codec_name(1), b"bytes"))
    assert Part({}).files == ()
