"""Tables and mappings in memory, and values of Python, numpy and pandas as JSON."""

from __future__ import annotations

import datetime
import enum
import io
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colstore.corpus import FieldNames, Query, read_documents, read_queries
from colstore.corpus.json_values import as_json
from colstore.errors import CorpusError, DuplicateIdError
from colstore.types import Document

DAY = datetime.datetime(2020, 1, 2, 3, 4)
COLUMNS: dict[str, list[Any]] = {
    "docid": ["a", "b"],
    "contents": ["Bees dance.", "Wasps do not."],
    "title": ["Bees", None],
    "year": [2020, None],
    "day": [DAY, None],
    "price": [Decimal("1.50"), None],
}
EXPECTED = [
    Document("a", "Bees dance.", "Bees", {"year": 2020, "day": "2020-01-02T03:04:00", "price": 1.5}),
    Document("b", "Wasps do not.", "", {"year": None, "day": None, "price": None}),
]


def pandas_frame(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("pandas", reason="frames need pandas").DataFrame(columns)


def polars_frame(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("polars", reason="frames need polars").DataFrame(columns)


def polars_lazy(columns: dict[str, list[Any]]) -> Any:
    return polars_frame(columns).lazy()


def arrow_table(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("pyarrow", reason="tables need pyarrow").table(columns)


def arrow_batch(columns: dict[str, list[Any]]) -> Any:
    return arrow_table(columns).to_batches()[0]


def arrow_reader(columns: dict[str, list[Any]]) -> Any:
    return arrow_table(columns).to_reader()


def hub_dataset(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("datasets", reason="data sets need datasets").Dataset.from_dict(columns)


TABLES = [pandas_frame, polars_frame, polars_lazy, arrow_table, arrow_batch, arrow_reader, hub_dataset]


@pytest.mark.parametrize("table", TABLES)
def test_tables(table: Callable[[dict[str, list[Any]]], Any]) -> None:
    assert list(read_documents(table(COLUMNS))) == EXPECTED


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_chosen_and_named(table: Callable[[dict[str, list[Any]]], Any]) -> None:
    columns = {"key": ["a"], "summary": ["Bees."], "text": ["other"]}
    (document,) = read_documents(table(columns), fields=FieldNames(id="key", text="summary"))
    assert document == Document("a", "Bees.", metadata={"text": "other"})
    with pytest.raises(CorpusError, match="no column id; found 'key', 'summary', 'text'"):
        read_documents(table(columns))


@pytest.mark.parametrize("table", TABLES)
def test_vectors_in_tables(table: Callable[[dict[str, list[Any]]], Any]) -> None:
    vectors = [[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5]]]
    documents = list(read_documents(table({"id": ["a", "b"], "text": ["x", "y"], "vectors": vectors})))
    assert [document.vectors.tolist() for document in documents if document.vectors is not None] == vectors


def test_an_index_of_pandas_with_the_name_of_the_id() -> None:
    frame = pandas_frame({"id": ["a"], "text": ["x"]}).set_index("id")
    assert [document.id for document in read_documents(frame)] == ["a"]


def test_a_selection_of_a_hub_dataset() -> None:
    assert list(read_documents(hub_dataset(COLUMNS).select([1]))) == EXPECTED[1:]


def test_several_splits_are_refused() -> None:
    datasets = pytest.importorskip("datasets", reason="data sets need datasets")
    with pytest.raises(CorpusError, match=r"several splits: pass one of them \('train'"):
        read_documents(datasets.DatasetDict({"train": hub_dataset(COLUMNS)}))


def test_mappings_by_id() -> None:
    corpus = {
        "a": "Bees.",
        7: {"title": "Wasps", "text": "Not.", "year": np.int64(3)},
        "c": Document("c", "Ants."),
        "d": {"_id": "d", "contents": "Flies."},
    }
    assert list(read_documents(corpus)) == [
        Document("a", "Bees."),
        Document("7", "Not.", "Wasps", {"year": 3}),
        Document("c", "Ants."),
        Document("d", "Flies."),
    ]


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({"id": "a", "text": "x"}, "is one document, not a corpus: wrap it in a list"),
        ({"id": ["a"], "text": ["x"]}, "a dict of columns"),
        ({"a": ["x"]}, "the value under 'a' is a list"),
        ({"a": {"id": "b", "text": "x"}}, "has another id, 'b'"),
        ({"a": Document("b", "x")}, "has another id, 'b'"),
        ({"one", "two"}, "a set has no order"),
        (io.StringIO("{}"), "an open file is not a corpus"),
        (3, "an? int is not a corpus"),
        (b"x", "a bytes is not a corpus"),
    ],
)
def test_what_is_no_corpus_is_refused(corpus: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        list(read_documents(corpus))


def test_an_open_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_text("{}")
    with path.open() as stream, pytest.raises(CorpusError, match=r"pass its path, '.*docs.jsonl'"):
        read_documents(stream)


def test_an_unknown_kind_of_frame_is_refused() -> None:
    class Frame:
        columns = ("id", "text")

        def __iter__(self) -> Any:
            return iter(self.columns)

    with pytest.raises(CorpusError, match="a Frame is not a corpus: pass its rows"):
        read_documents(Frame())


def test_ids_of_mappings_can_collide() -> None:
    with pytest.raises(DuplicateIdError):
        list(read_documents({1: "x", "1": "y"}))


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int8(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.float64("nan"), None),
        (float("nan"), None),
        (np.datetime64("NaT"), None),
        (np.datetime64("2020-01-02"), "2020-01-02"),
        (np.timedelta64(90, "s"), 90.0),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), "2020-01-02T00:00:00+00:00"),
        (datetime.time(1, 2), "01:02:00"),
        (datetime.timedelta(minutes=1.5), 90.0),
        (Decimal("10"), 10),
        (Decimal("1E+2"), 100),
        (Decimal("0.1"), 0.1),
        (Decimal("NaN"), None),
        (Decimal("1E+1000000"), math.inf),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        ((1, np.int64(2)), [1, 2]),
        (np.array([1.0, np.nan]), [1.0, None]),
        ({"a": {"b": Decimal("2.5")}}, {"a": {"b": 2.5}}),
    ],
)
def test_values_become_json(value: object, expected: object) -> None:
    made = as_json(value)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize("value", [float("inf"), Decimal("Infinity"), b"x", object(), {1: 2}])
def test_what_has_no_json_is_refused(value: object) -> None:
    with pytest.raises(CorpusError, match="metadata"):
        list(read_documents([{"id": "a", "text": "x", "n": value}]))


def test_vectors_of_torch() -> None:
    torch = pytest.importorskip("torch", reason="tensors need torch")
    tensor = torch.eye(2, requires_grad=True)
    half = torch.eye(2, dtype=torch.bfloat16)
    items = [
        {"id": "a", "vectors": tensor},
        Document("b", vectors=half),
        {"id": "c", "vectors": [half[0], half[1]]},
        {"id": "d", "vectors": np.array([np.eye(2)[0], None], dtype=object)[:1]},
    ]
    shapes = [
        (document.id, document.vectors.shape) for document in read_documents(items) if document.vectors is not None
    ]
    assert shapes == [("a", (2, 2)), ("b", (2, 2)), ("c", (2, 2)), ("d", (1, 2))]


def test_vectors_of_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 needs ml_dtypes")
    (document,) = read_documents([{"id": "a", "vectors": np.eye(2, dtype=ml_dtypes.bfloat16)}])
    assert document.vectors is not None
    assert document.vectors.dtype == np.float32


def test_queries_by_id() -> None:
    assert list(read_queries({"q1": "do bees dance?", "q2": "and wasps?"})) == [
        Query("q1", "do bees dance?"),
        Query("q2", "and wasps?"),
    ]
    with pytest.raises(CorpusError, match="query 'q1' is blank"):
        list(read_queries({"q1": " "}))
    with pytest.raises(CorpusError, match="an open file"):
        read_queries(io.StringIO("{}"))  # type: ignore[arg-type]  # a mistake
