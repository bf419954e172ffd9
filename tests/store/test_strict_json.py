"""JSON that is not exactly what colstore writes is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.errors import CorruptIndexError
from colstore.store.strict_json import Fields, canonical, parse_object


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "Expecting value"),
        (b"[]", "not an object"),
        (b'{"a": 1, "a": 1}', "twice"),
        (b'{"a": {"b": 1, "b": 2}}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b'{"a": "\xff"}', "utf-8"),
        (b'{"a":' * 100_000, "recursion"),
        (b'{"a": 1} x', "Extra data"),
    ],
)
def test_bad_json_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(CorruptIndexError, match=message):
        parse_object(text)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,01e-.Naftu \\', max_size=60).map(str.encode))
def test_any_bytes_parse_or_are_refused_by_name(data: bytes) -> None:
    try:
        parsed = parse_object(data)
    except CorruptIndexError:
        return
    assert parsed == json.loads(data)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: dict[str, float]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))
    assert json.loads(canonical(value)) == value


def test_fields_are_typed() -> None:
    fields = Fields({"n": 3, "s": "x", "l": [1], "o": {}, "none": None}, "thing")
    assert fields.count("n", least=3, most=3) == 3
    assert fields.text("s", "[a-z]") == "x"
    assert fields.items("l") == [1]
    assert fields.optional_mapping("none") is None
    with pytest.raises(CorruptIndexError, match="unknown field 'o'"):
        fields.finish()
    assert fields.mapping("o") == {}
    fields.finish()
    with pytest.raises(CorruptIndexError, match="thing: 'n' is missing"):
        fields.count("n")


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 11, [1]])
def test_only_whole_numbers_in_range_are_counts(value: object) -> None:
    with pytest.raises(CorruptIndexError, match="'n' must be"):
        Fields({"n": value}, "thing").count("n", most=10)


@pytest.mark.parametrize(
    ("method", "value"),
    [("text", 1), ("items", {}), ("mapping", []), ("optional_mapping", 0), ("mapping", None)],
)
def test_other_types_are_refused(method: str, value: object) -> None:
    with pytest.raises(CorruptIndexError, match="thing"):
        getattr(Fields({"x": value}, "thing"), method)("x")


@pytest.mark.parametrize("value", [None, 1, "a" * 1000, []])
def test_what_is_no_object_has_no_fields(value: object) -> None:
    with pytest.raises(CorruptIndexError, match="thing must be an object"):
        Fields(value, "thing")
