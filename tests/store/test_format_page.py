"""The reader printed in docs/FORMAT.md reads what colstore writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from colstore.store import Segment, segments_folder, write_tombstones
from colstore.store import format as names

PAGE = (Path(__file__).resolve().parents[2] / "docs/FORMAT.md").read_text("utf-8")


def printed_reader() -> str:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)


def read(directory: Path) -> list[tuple[str, str | None, str | None, Any]]:
    scope: dict[str, Any] = {"directory": str(directory)}
    exec(printed_reader(), scope)
    found: list[tuple[str, str | None, str | None, Any]] = scope["documents"]
    return found


def test_it_shares_no_code_with_colstore() -> None:
    assert not re.search(r"import colstore|from colstore", printed_reader())
    assert len(printed_reader().splitlines()) < 40


def test_it_lists_ids_texts_and_vectors(tmp_path: Path, make_index: Any, make_segment: Any) -> None:
    ids = [f"dökument {i}" for i in range(70)]
    segments = [
        make_segment(segments_folder(tmp_path), "000001", ids=ids[:40]),
        make_segment(segments_folder(tmp_path), "000002", ids=ids[40:]),
    ]
    make_index(tmp_path, segments=segments)
    found = read(tmp_path)
    assert [document[:3] for document in found] == [(x, f"title {x}", f"text of {x}") for x in ids]
    vectors = np.concatenate([document[3] for document in found])
    expected = [Segment.open(segments_folder(tmp_path), entry).rows("vectors") for entry in segments]
    np.testing.assert_array_equal(vectors, np.concatenate(expected))


def test_it_leaves_out_deleted_documents(tmp_path: Path, make_index: Any, make_segment: Any) -> None:
    entry = make_segment(segments_folder(tmp_path), ids=["a", "b", "c"], counts=[1, 2, 3])
    make_index(tmp_path, segments=[write_tombstones(tmp_path, entry, 1, np.array([0, 2]), 4)])
    assert [document[0] for document in read(tmp_path)] == ["b"]


def test_it_reads_an_index_without_texts(tmp_path: Path, make_index: Any, make_segment: Any) -> None:
    make_index(tmp_path, segments=[make_segment(segments_folder(tmp_path), store_texts=False)])
    assert [document[:3] for document in read(tmp_path)] == [
        ("b", None, None),
        ("a", None, None),
        ("ü", None, None),
    ]


def test_the_page_describes_this_version() -> None:
    assert PAGE.startswith(f"# The colstore format, version {names.FORMAT_VERSION}\n")


def test_the_page_names_every_array_of_the_store() -> None:
    from colstore.store.token_streams import RESERVED

    table = PAGE.split("### Datasets of a segment")[1].split("## Codecs")[0]
    assert {name for name in RESERVED if f"`{name}`" not in table} == set()
