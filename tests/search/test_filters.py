"""Filters: what they mean, against a loop written a second time, and what they refuse."""

from __future__ import annotations

import datetime
import enum
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from colstore.errors import QueryError
from colstore.search.columns import ColumnCache
from colstore.search.filter_grammar import (
    EVERYTHING,
    And,
    Comparison,
    Not,
    Or,
    parse_where,
    where_from_json,
    where_from_texts,
)
from colstore.search.filters import allowed_documents


@dataclass
class View:
    """What a filter sees of a segment."""

    metadata: Sequence[Mapping[str, Any]]
    first: int = 0
    gone: Sequence[int] = field(default=())

    def __post_init__(self) -> None:
        self.columns = ColumnCache(len(self.metadata))

    @property
    def segment(self) -> View:
        return self

    def iter_metadata(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.metadata)

    @property
    def documents(self) -> int:
        return len(self.metadata)

    @property
    def is_deleted(self) -> Any:
        mask = np.zeros(len(self.metadata), bool)
        mask[list(self.gone)] = True
        return mask


def allowed(where: Any, *documents: Mapping[str, Any]) -> list[int]:
    views: list[Any] = [View(documents)]
    numbers = allowed_documents(views, where, None)
    return list(range(len(documents))) if numbers is None else list(numbers.tolist())


def matches(where: Any, metadata: Mapping[str, Any]) -> bool:
    """Tell whether a filter allows a document, in an index where all its fields exist (and hold anything)."""
    fields = {key: {"exists": True} for key in ("a", "b", "tags")}
    return allowed({"and": [where, {"or": [fields, {"not": fields}]}]}, metadata) == [0]


# --- the same once more, as a loop over the written filter -------------------------------------------------------

FIELDS = ("a", "b", "or", "\\c")
WRITTEN = {"a": "a", "b": "b", "or": "\\or", "\\c": "\\\\c"}
READ = {key: name for name, key in WRITTEN.items()}
ORDERINGS = ("gt", "gte", "lt", "lte")


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(one: Any, two: Any) -> bool:
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(same(x, y) for x, y in zip(one, two, strict=True))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[name], two[name]) for name in one)
    if number(one) and number(two):
        return bool(one == two)
    if type(one) is not type(two):
        return False
    equal: bool = one == two
    return equal


def ordered(op: str, value: Any, operand: Any) -> bool:
    if not (number(value) and number(operand)) and not (isinstance(value, str) and isinstance(operand, str)):
        return False
    return bool({"gt": value > operand, "gte": value >= operand, "lt": value < operand, "lte": value <= operand}[op])


def one_test(op: str, there: bool, value: Any, operand: Any) -> bool:
    if op == "exists":
        return there is operand
    if op == "ne":
        return not (there and same(value, operand))
    if op == "nin":
        return not (there and any(same(value, option) for option in operand))
    if not there:
        return False
    if op == "eq":
        return same(value, operand)
    if op == "in":
        return any(same(value, option) for option in operand)
    if op == "contains":
        return isinstance(value, list) and any(same(item, operand) for item in value)
    return ordered(op, value, operand)


def operations_of(condition: Any) -> list[tuple[str, Any]]:
    if isinstance(condition, dict):
        return list(condition.items())
    return [("in", condition)] if isinstance(condition, list) else [("eq", condition)]


def holds(where: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    for key, condition in where.items():
        if key == "and":
            good = all(holds(part, metadata) for part in condition)
        elif key == "or":
            good = any(holds(part, metadata) for part in condition)
        elif key == "not":
            good = not holds(condition, metadata)
        else:
            name = READ[key]
            good = all(
                one_test(op, name in metadata, metadata.get(name), operand) for op, operand in operations_of(condition)
            )
        if not good:
            return False
    return True


def all_tests(where: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    found = []
    for key, condition in where.items():
        if key == "not":
            found += all_tests(condition)
        elif key in ("and", "or"):
            found += [test for part in condition for test in all_tests(part)]
        else:
            found += [(READ[key], op, operand) for op, operand in operations_of(condition)]
    return found


def kind(value: Any) -> str:
    return "number" if number(value) else type(value).__name__


def comparable(op: str, value: Any, operand: Any) -> bool:
    options = operand if op in ("in", "nin") else [operand]
    kinds = {kind(option) for option in options}
    if op == "contains":
        items = value if isinstance(value, list) else None
        return items is not None and (not items or None in options or any(kind(item) in kinds for item in items))
    return not options or None in options or kind(value) in kinds


def is_mistaken(where: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> bool:
    tests = all_tests(where)
    exempt = {name for name, op, _ in tests if op == "exists"}
    return bool(documents) and any(
        not any(name in metadata and comparable(op, metadata[name], operand) for metadata in documents)
        for name, op, operand in tests
        if name not in exempt
    )


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, 1.0, 0.5, -2.0, 10**20, 1e20]),
    st.sampled_from(["", "1", "a", "b", "2020-01-01"]),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from("xy"), SCALARS, max_size=2),
    st.lists(st.lists(SCALARS, max_size=2), max_size=2),
)
METADATA = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)
ORDERABLE = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, -0.0]), st.sampled_from(["", "1", "a"]))
OPERATIONS = st.one_of(
    *(st.tuples(st.just(op), VALUES) for op in ("eq", "ne")),
    *(st.tuples(st.just(op), st.lists(VALUES, max_size=3)) for op in ("in", "nin")),
    *(st.tuples(st.just(op), ORDERABLE) for op in ORDERINGS),
    st.tuples(st.just("contains"), SCALARS),
    st.tuples(st.just("exists"), st.booleans()),
)
CONDITIONS = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.lists(OPERATIONS, min_size=1, max_size=2).map(dict))
LEAVES = st.dictionaries(st.sampled_from([WRITTEN[name] for name in FIELDS]), CONDITIONS, min_size=1, max_size=2)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
        st.tuples(LEAVES, st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=2)})).map(
            lambda two: {**two[0], **two[1]}
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=600, deadline=None)
@given(
    where=FILTERS,
    documents=st.lists(METADATA, max_size=8),
    gone=st.sets(st.integers(0, 7)),
    cut=st.integers(0, 8),
    limit=st.sampled_from([None, 0, 150]),
)
def test_a_filter_allows_what_a_plain_loop_allows(
    where: dict[str, Any], documents: list[dict[str, Any]], gone: set[int], cut: int, limit: int | None
) -> None:
    """Over two segments, with deleted documents, which neither match nor count as having a field.

    All values fit into columns, or none do, or some.
    """
    cut = min(cut, len(documents))
    views: list[Any] = [
        View(documents[:cut], 0, [i for i in gone if i < cut]),
        View(documents[cut:], cut, [i - cut for i in gone if cut <= i < len(documents)]),
    ]
    for view in views:
        view.columns.limit = view.columns.limit if limit is None else limit
    live = {i: metadata for i, metadata in enumerate(documents) if i not in gone}
    try:
        numbers = allowed_documents(views, where, None)
    except QueryError:
        assert is_mistaken(where, list(live.values()))
        return
    assert not is_mistaken(where, list(live.values()))
    assert numbers is not None
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [i for i, metadata in live.items() if holds(where, metadata)]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["a", "or", "and", "not", "in", "gt", "exists", "contains"]), st.text(max_size=3)
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)
STRANGE = st.one_of(
    st.binary(),
    st.complex_numbers(),
    st.dates(),
    st.datetimes(timezones=st.timezones()),
    st.decimals(),
    st.fractions(),
    st.builds(object),
    st.uuids(),
    st.times(),
    st.timedeltas(),
    st.sets(st.integers()),
    st.builds(range, st.integers()),
    st.just(np.array([1.5, np.nan])),
    st.just(np.datetime64("NaT")),
    st.just(np.longdouble(1)),
    st.just(iter([1])),
    st.just(np.zeros((2, 2))),
    st.just(np.array(3)),
    st.just(np.array([object()])),
    st.just(Decimal("1e999999")),
    st.just(np.void(b"x")),
    st.just(np.datetime64(2**62, "Y")),
)


@settings(max_examples=500, deadline=None)
@given(
    where=st.one_of(JSON, st.dictionaries(st.sampled_from(["a", "or", "not"]), st.one_of(JSON, STRANGE), min_size=1))
)
@example(where={"a": {"gt": "NaN"}})
@example(where={"a": Decimal("sNaN")})
def test_anything_else_is_a_query_error(where: Any) -> None:
    with suppress(QueryError):
        allowed(where, {"a": 1, "in": "x"}, {"a": "x", "not": [1], "or": {"a": []}})


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=20), st.from_regex(r"\{?[a\"]+[=!<>~:]+[0-9\"\[{]*", fullmatch=True)))
def test_any_text_is_a_filter_or_a_query_error(text: str) -> None:
    with suppress(QueryError):
        parse_where(where_from_texts([text]))


# --- meaning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "missing", "null", "truth", "one", "text", "items"),
    [
        ({"eq": 1}, False, False, False, True, False, False),
        ({"ne": 1}, True, True, True, False, True, True),
        ({"in": [1, "1"]}, False, False, False, True, True, False),
        ({"nin": [1, "1"]}, True, True, True, False, False, True),
        ({"gte": 1}, False, False, False, True, False, False),
        ({"gte": "1"}, False, False, False, False, True, False),
        ({"lt": 2}, False, False, False, True, False, False),
        ({"exists": True}, False, True, True, True, True, True),
        ({"exists": False}, True, False, False, False, False, False),
        ({"contains": 1}, False, False, False, False, False, True),
        ({"contains": "1"}, False, False, False, False, False, False),
        (None, False, True, False, False, False, False),
        (True, False, False, True, False, False, False),
        ({"eq": [1, 2]}, False, False, False, False, False, True),
        ([1, 2], False, False, False, True, False, False),
        ([], False, False, False, False, False, False),
        ({"nin": []}, True, True, True, True, True, True),
    ],
)
def test_each_operator_on_each_kind_of_value(
    condition: Any, missing: bool, null: bool, truth: bool, one: bool, text: bool, items: bool
) -> None:
    values: list[dict[str, Any]] = [{}, {"a": None}, {"a": True}, {"a": 1.0}, {"a": "1"}, {"a": [1, 2]}]
    assert [matches({"a": condition}, metadata) for metadata in values] == [missing, null, truth, one, text, items]


def test_not_is_the_exact_opposite_also_where_the_field_is_missing() -> None:
    documents: list[dict[str, Any]] = [{"a": 1}, {"a": 2}, {"a": "x"}, {}]
    assert allowed({"a": {"gt": 1}}, *documents) == [1]
    assert allowed({"not": {"a": {"gt": 1}}}, *documents) == [0, 2, 3]


def test_fields_together_and_nested() -> None:
    documents = [{"a": i, "b": "even" if i % 2 == 0 else "odd"} for i in range(6)]
    assert allowed({"a": {"gte": 2, "lt": 5}, "b": "even"}, *documents) == [2, 4]
    assert allowed({"or": [{"a": 0}, {"a": {"gt": 3}}], "b": "even"}, *documents) == [0, 4]
    assert allowed({"not": {"a": {"gte": 2}, "b": "even"}}, *documents) == [0, 1, 3, 5]
    assert allowed({"and": [{"a": {"ne": 0}}, {"not": {"or": [{"a": 1}, {"b": "odd"}]}}]}, *documents) == [2, 4]
    assert allowed({}, *documents) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["or", "and", "not", "\\or", "$or", "eq"])
def test_a_field_may_have_the_name_of_an_operator(name: str) -> None:
    (where,) = [where_from_texts([f"{name}=x"])]
    assert allowed(where, {name: "x"}, {name: "y"}, {}) == [0]
    key = name if name == "eq" else "\\" + name
    assert where == {key: "x"}


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (np.int64(2020), [2]),
        (np.float32(2020), [2]),
        ({"gte": np.uint16(2020)}, [2, 3]),
        ({"gte": Decimal("2019.5")}, [2, 3]),
        (Decimal("2020.0"), [2]),
        ({"lt": Fraction(4039, 2)}, [0, 1]),
        (range(2019, 2021), [1, 2]),
        ({"in": range(2018, 10**18, 3)}, [0, 3]),
        ({"nin": range(2018, 2021)}, [3]),
        (np.array([2018, 2021]), [0, 3]),
        ({2018: "x", 2020: "y"}.keys(), [0, 2]),
        ({2018, 2019}, [0, 1]),
        (frozenset({2018}), [0]),
        (deque([2018]), [0]),
        ((2018, 2021), [0, 3]),
        (np.array(2021), [3]),
        ({"lt": float("inf")}, [0, 1, 2, 3]),
        ({"gte": np.longdouble(2021)}, [3]),
    ],
)
def test_numbers_of_every_kind(condition: Any, expected: list[int]) -> None:
    documents: list[dict[str, Any]] = [{"a": 2018}, {"a": 2019.0}, {"a": 2020}, {"a": 2021}]
    assert allowed({"a": condition}, *documents) == expected


def test_a_decimal_means_the_number_that_it_shows() -> None:
    assert allowed({"a": Decimal("0.1")}, {"a": 0.1}, {"a": 0.2}) == [0]
    assert allowed({"a": Decimal(10**30 + 1)}, {"a": 10**30 + 1}, {"a": 10**30}) == [0]


UTC_NOON = datetime.datetime(2020, 6, 1, 12, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"gte": datetime.date(2020, 6, 1)}, [1, 2, 3]),
        ({"gt": datetime.datetime(2020, 6, 1, 11)}, [2, 3]),
        ({"lt": np.datetime64("2020-06-01")}, [0]),
        (datetime.date(2020, 6, 1), [1]),
        ([np.datetime64("2020-06-01T12:00:00"), datetime.date(2019, 1, 1)], [0, 2]),
        (np.array(["2019-01-01", "2020-06-01"], "datetime64[D]"), [0, 1]),
        (np.array(["2020-06-01T12:00:00"], "datetime64[ns]"), [2]),
        (UTC_NOON, [3]),
        (UTC_NOON.astimezone(datetime.timezone(datetime.timedelta(hours=9))), [3]),
        ({"lt": datetime.datetime(2020, 6, 1, 12, 0, 0)}, [0, 1]),
    ],
)
def test_dates_compare_as_iso_text(condition: Any, expected: list[int]) -> None:
    stored = ["2019-01-01", "2020-06-01", "2020-06-01T12:00:00", "2020-06-01T12:00:00+00:00"]
    assert allowed({"a": condition}, *({"a": text} for text in stored)) == expected


def test_an_enumeration_of_texts_is_its_text() -> None:
    assert allowed({"a": Colour.RED}, {"a": "red"}, {"a": "blue"}) == [0]
    assert parse_where({"a": np.str_("red")}) == parse_where({"a": Colour.RED}) == Comparison("a", "eq", "red")


def test_the_tree_of_a_filter() -> None:
    assert parse_where({}) == EVERYTHING
    assert parse_where({"a": 1, "b": {"nin": [2]}}) == And((Comparison("a", "eq", 1), Not(Comparison("b", "in", (2,)))))
    assert parse_where({"or": [{"a": {"exists": False}}, {"a": {"gt": 1, "lt": 3}}]}) == Or(
        (
            Not(Comparison("a", "exists", True)),
            And((Comparison("a", "gt", 1), Comparison("a", "lt", 3))),
        )
    )


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("a=1", "where must map"),
        ([{"a": 1}], "where must map"),
        ({1: 2}, "named by a string"),
        ({"a": {}}, "condition on 'a' is empty"),
        ({"a": {"above": 1}}, "'above' is not an operator.*eq, ne, gt, gte, lt, lte, in, nin, exists, contains"),
        ({"a": {"$gte": 1}}, "write 'gte' for"),
        ({"a": {1: 1}}, "not an operator"),
        ({"$or": [{"a": 1}]}, "write 'or' for"),
        ({"or": []}, "'or' takes a list of filters"),
        ({"or": {"a": 1}}, "'or' takes a list of filters"),
        ({"or": "x"}, r"a metadata field of this name is written '\\\\or'"),
        ({"and": [{}]}, "not empty"),
        ({"and": [1]}, "'and' takes filters"),
        ({"not": {}}, "not empty"),
        ({"not": [{"a": 1}]}, "'not' takes filters"),
        ({"a": {"gt": [1]}}, "'gt' on 'a' takes a number, a text or a date"),
        ({"a": {"lt": None}}, "'lt' on 'a'"),
        ({"a": {"lte": True}}, "'lte' on 'a'"),
        ({"a": {"gte": {"x": 1}}}, "'gte' on 'a'"),
        ({"a": {"in": 3}}, "take a list of values"),
        ({"a": {"in": "abc"}}, "take a list of values"),
        ({"a": {"nin": {"x": 1}}}, "take a list of values"),
        ({"a": {"in": iter([1])}}, "no iterator"),
        ({"a": {"contains": [1]}}, "takes one value"),
        ({"a": {"exists": 1}}, "takes true or false"),
        ({"a": float("nan")}, "NaN"),
        ({"a": np.float32("nan")}, "NaN"),
        ({"a": Decimal("nan")}, "NaN"),
        ({"a": [1, float("nan")]}, "NaN"),
        ({"a": {"gt": float("nan")}}, "NaN"),
        ({"a": b"x"}, r"cannot compare with b'x' \(bytes\)"),
        ({"a": 1j}, "complex"),
        ({"a": object()}, "cannot compare"),
        ({"a": datetime.timedelta(1)}, "timedelta"),
        ({"a": {"eq": range(3)}}, "range"),
    ],
)
def test_what_is_no_filter_is_named(where: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        allowed(where, {"a": 1})


def test_nesting_without_end_is_refused() -> None:
    where: dict[str, Any] = {"a": 1}
    for _ in range(90):
        where = {"not": where}
    assert allowed(where, {"a": 1}) == [0]
    endless: dict[str, Any] = {}
    endless["or"] = [endless, endless]
    value: list[Any] = []
    value.append(value)
    for bad in ({"not": {"not": {"not": endless}}}, {"a": {"eq": value}}):
        with pytest.raises(QueryError, match="nested deeper"):
            allowed(bad, {"a": 1})


def test_a_field_that_no_document_has_is_an_error_unless_exists_is_tested_too() -> None:
    documents: list[dict[str, Any]] = [{"a": 1}, {"a": 2, "b": 3}]
    with pytest.raises(QueryError, match="no document has the metadata field 'year'; there are a, b"):
        allowed({"year": 2020}, *documents)
    with pytest.raises(QueryError, match="'year'"):
        allowed({"or": [{"a": 1}, {"not": {"year": {"nin": [1]}}}]}, *documents)
    assert allowed({"year": {"exists": True, "gte": 2020}}, *documents) == []
    assert allowed({"year": {"exists": False}}, *documents) == [0, 1]
    assert allowed({"or": [{"year": {"exists": False}}, {"year": {"ne": 5}}], "a": 2}, *documents) == [1]
    assert allowed({"b": {"gt": 2}}, *documents) == [1]


def test_a_comparison_with_a_kind_that_the_field_never_holds_is_an_error() -> None:
    documents: list[dict[str, Any]] = [{"year": None}, {"year": "2020", "tags": ["a"], "n": 1, "flag": True}]
    for where, message in (
        ({"year": 2020}, "with a number.*it holds text, such as '2020'.*in quotes"),
        ({"year": {"gte": 2020}}, "with a number"),
        ({"year": {"ne": 2020}}, "with a number"),
        ({"year": [2020, 2021]}, "with a number"),
        ({"year": range(3)}, "with a number"),
        ({"year": [2020, True]}, "with true or false or a number"),
        ({"n": "1"}, "with text.*it holds a number, such as 1. .*without quotes"),
        ({"n": {"lt": "1"}}, "with text"),
        ({"tags": "a"}, r"it holds a list, such as \['a'\]. .*use 'contains'"),
        ({"tags": {"contains": 1}}, "with a list with a number in it"),
        ({"year": {"contains": "20"}}, "'contains' looks for an element of a list"),
        ({"flag": 1}, "it holds true or false"),
    ):
        with pytest.raises(QueryError, match=message):
            allowed(where, *documents)
    assert allowed({"year": [2020, "2020"]}, *documents) == [1]
    assert allowed({"n": None}, *documents) == []
    assert allowed({"year": {"gte": 2020, "exists": True}}, *documents) == []


def test_an_empty_index_takes_every_filter() -> None:
    assert allowed({"year": 2020}) == []
    views: list[Any] = [View([{"a": 1}], gone=[0])]
    numbers = allowed_documents(views, {"year": "x"}, None)
    assert numbers is not None
    assert numbers.tolist() == []


# --- the short form -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "where"),
    [
        (["lang=en"], {"lang": "en"}),
        (["year=2020"], {"year": [2020, "2020"]}),
        (['year="2020"'], {"year": "2020"}),
        (["version=1.10"], {"version": [1.1, "1.10"]}),
        (["flag=true", "x=null"], {"flag": [True, "true"], "x": [None, "null"]}),
        (["lang=en", "lang=de"], {"lang": ["en", "de"]}),
        (["a=", "b=[1]"], {"a": "", "b": "[1]"}),
        (["x=NaN"], {"x": "NaN"}),
        (["year>=2020", "year<2022"], {"and": [{"year": {"gte": 2020}}, {"year": {"lt": 2022}}]}),
        ([" year > 1900 "], {"year": {"gt": 1900}}),
        (["day<=2020-06-01"], {"day": {"lte": "2020-06-01"}}),
        (['year>"2020"'], {"year": {"gt": "2020"}}),
        (["lang!=en"], {"lang": {"nin": ["en"]}}),
        (["year!=2020"], {"year": {"nin": [2020, "2020"]}}),
        (["tags~a"], {"tags": {"contains": "a"}}),
        (["tags~1"], {"or": [{"tags": {"contains": 1}}, {"tags": {"contains": "1"}}]}),
        (["url=https://x.org/?a=b"], {"url": "https://x.org/?a=b"}),
        (["or=x"], {"\\or": "x"}),
        (['{"year": {"gte": 2020}}'], {"year": {"gte": 2020}}),
        (['{"year": 2020}', "lang=en"], {"lang": "en", "and": [{"year": 2020}]}),
        (["{}"], {}),
        (["{}", "lang=en"], {"lang": "en"}),
    ],
)
def test_the_short_form_stands_for_a_filter(texts: list[str], where: dict[str, Any]) -> None:
    assert where_from_texts(texts) == where
    parse_where(where)


@pytest.mark.parametrize("text", ["year", "=2020", "", " ", "~a", "{", '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1} x'])
def test_what_is_no_short_form_is_named(text: str) -> None:
    with pytest.raises(QueryError):
        where_from_texts([text])


def test_json_that_is_no_object() -> None:
    with pytest.raises(QueryError, match="is an object"):
        where_from_json("[1]")
    with pytest.raises(QueryError, match="not valid JSON"):
        where_from_json('{"a":' * 100_000)
