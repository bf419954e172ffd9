"""The values of one metadata field in one segment, as arrays: what filters compare with.

Metadata are stored as JSON, a document after the other. The first filter on a field reads them once, block by block,
and what stays in memory is the column of that field: a small number for each document, and each distinct value once.
Filters are then evaluated on the distinct values (:mod:`colstore.search.column_tests`). Columns of a segment take at
most :data:`FLOOR_BYTES` and :data:`DOCUMENT_BYTES` for each document; those used least recently are dropped first. A
field whose values need more than that by themselves has no column, and is read again at each filter.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.search.predicates import KINDS, MISSING, Metadata
from colstore.types import Json

FLOOR_BYTES = 1 << 20
"""Bytes that the columns of any segment may take."""
DOCUMENT_BYTES = 512
"""Bytes that they may take in addition for each document."""
FIXED = ("missing", "null", "false", "true")
"""The first codes, which every column has."""
_VALUE_BYTES = 64
"""Estimate of what a distinct value takes beside its text while a column is made."""
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Column:
    """The values of a field. Codes count :data:`FIXED`, then numbers, texts, lists and objects.

    Parameters
    ----------
    codes
        Code of each document's value, ``(documents,)``, an unsigned type.
    numbers
        The distinct numbers, ascending: float64 where that holds each of them exactly, else object.
    texts
        The distinct texts.
    lists
        The distinct lists.
    objects
        The distinct objects, as JSON.
    """

    codes: NDArray[np.unsignedinteger]
    numbers: NDArray[Any]
    texts: Texts
    lists: Lists | None
    objects: tuple[str, ...]

    @property
    def starts(self) -> dict[str, slice]:
        """The codes of each kind of values."""
        sizes = (len(self.numbers), len(self.texts), 0 if self.lists is None else len(self.lists), len(self.objects))
        ends = np.cumsum((len(FIXED), *sizes)).tolist()
        kinds = ("number", "text", "list", "object")
        slices = {kind: slice(ends[i], ends[i + 1]) for i, kind in enumerate(kinds)}
        return {"null": slice(1, 2), "boolean": slice(2, 4), **slices}

    @property
    def size(self) -> int:
        """Number of codes."""
        return int(self.starts["object"].stop)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, about."""
        numbers = self.numbers.nbytes * (1 if self.numbers.dtype == np.float64 else 5)
        lists = 0 if self.lists is None else self.lists.nbytes
        return self.codes.nbytes + numbers + self.texts.nbytes + lists + sum(map(len, self.objects))


@dataclass(frozen=True, slots=True)
class Texts:
    """Distinct texts in ascending order of their UTF-8 bytes, which is the order of their code points.

    Parameters
    ----------
    data
        The bytes, one text after the other.
    offsets
        Where each begins, and the end: ``(texts + 1,)`` int64.
    """

    data: bytes
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> bytes:
        return self.data[self.offsets[number] : self.offsets[number + 1]]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return len(self.data) + self.offsets.nbytes

    @classmethod
    def of(cls, encoded: Collection[bytes]) -> Texts:
        """Return texts that are in order already."""
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
        return cls(b"".join(encoded), offsets)


@dataclass(frozen=True, slots=True)
class Lists:
    """Distinct lists.

    Parameters
    ----------
    offsets
        Where each list begins among the items, and the end: ``(lists + 1,)`` int64.
    items
        The items of all lists, one list after the other.
    """

    offsets: NDArray[np.int64]
    items: Column

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.offsets.nbytes + self.items.nbytes


class ColumnCache:
    """The columns of a segment that filters have needed. Safe to share between threads and snapshots.

    Parameters
    ----------
    documents
        Number of documents in the segment.
    """

    def __init__(self, documents: int) -> None:
        self.limit = FLOOR_BYTES + DOCUMENT_BYTES * documents
        self._columns: dict[str, Column] = {}  # the one used last comes last; replaced as a whole, never changed
        self._too_large: frozenset[str] = frozenset()

    @property
    def nbytes(self) -> int:
        """Bytes that the columns take."""
        return sum(column.nbytes for column in self._columns.values())

    def get(self, read: Callable[[], Iterable[Metadata]], fields: Collection[str]) -> dict[str, Column]:
        """Return the columns of fields. A field is left out if its values are too large for one.

        Parameters
        ----------
        read
            Returns the metadata of all documents, in order; called only if a column must be made.
        fields
            Names of the fields.
        """
        columns = {field: self._columns[field] for field in fields if field in self._columns}
        new = [field for field in fields if field not in columns and field not in self._too_large]
        if new:
            made = make_columns(read(), new, self.limit)
            self._too_large |= set(new) - made.keys()
            columns |= made
        self._keep(columns)
        return columns

    def _keep(self, used: Mapping[str, Column]) -> None:
        kept = {field: column for field, column in self._columns.items() if field not in used} | dict(used)
        excess = sum(column.nbytes for column in kept.values()) - self.limit
        for field in list(kept):
            if excess <= 0:
                break
            excess -= kept.pop(field).nbytes
        self._columns = kept


# --- making columns -------------------------------------------------------------------------------------------


def make_columns(metadata: Iterable[Metadata], fields: Collection[str], limit: int) -> dict[str, Column]:
    """Return the columns of fields, without those of more than about ``limit`` bytes."""
    builders = {field: _Builder() for field in fields}
    for values in metadata:
        for field, builder in list(builders.items()):
            builder.add(values.get(field, MISSING))
            if builder.nbytes > limit:
                del builders[field]
    return {field: builder.column() for field, builder in builders.items()}


class _Builder:
    """Collects the values of a field."""

    def __init__(self) -> None:
        self.nbytes = 0  # about, of the distinct values
        self._kinds = array("B")
        self._codes = array("I")
        self._values: dict[str, dict[Any, int]] = {kind: {} for kind in ("number", "text", "list", "object")}

    def add(self, value: object) -> None:
        """Add the value of the next document."""
        kind = "fixed" if value is MISSING else KINDS[type(value)]
        if kind not in self._values:  # missing, null and booleans
            self._kinds.append(0)
            self._codes.append(0 if value is MISSING else 1 if value is None else 3 if value else 2)
            return
        key = value if kind in ("number", "text") else _to_json(value)
        known = self._values[kind]
        code = known.get(key)
        if code is None:
            code = known[key] = len(known)
            self.nbytes += _VALUE_BYTES + (len(key) if isinstance(key, str) else 0)
        self._kinds.append(_KIND_NUMBERS[kind])
        self._codes.append(code)

    def column(self) -> Column:
        """Return the column; the builder must not be used afterwards."""
        numbers, number_order = _sorted_numbers(list(self._values["number"]))
        encoded = [text.encode("utf-8", "surrogatepass") for text in self._values["text"]]
        text_order = np.array(sorted(range(len(encoded)), key=encoded.__getitem__), np.int64)
        texts = Texts.of([encoded[i] for i in text_order.tolist()])
        lists = _lists(list(self._values["list"])) if self._values["list"] else None
        objects = tuple(self._values["object"])
        orders = (number_order, text_order, np.arange(0 if lists is None else len(lists)), np.arange(len(objects)))
        return Column(self._final_codes(orders), numbers, texts, lists, objects)

    def _final_codes(self, orders: tuple[NDArray[np.int64], ...]) -> NDArray[np.unsignedinteger]:
        kinds = np.frombuffer(self._kinds, np.uint8)
        codes = np.frombuffer(self._codes, np.uintc).astype(np.int64)
        start = len(FIXED)
        for number, order in enumerate(orders, 1):
            places = np.empty(len(order), np.int64)
            places[order] = np.arange(start, start + len(order))
            chosen = kinds == number
            codes[chosen] = places[codes[chosen]]
            start += len(order)
        return codes.astype(np.min_scalar_type(start))


_KIND_NUMBERS = {"number": 1, "text": 2, "list": 3, "object": 4}


def _sorted_numbers(numbers: list[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return distinct numbers in order, and their order: float64 if it holds each of them exactly."""
    if all(is_exact(number) for number in numbers):
        values = np.array(numbers, np.float64)
        order = np.argsort(values, kind="stable")
    else:
        values = np.empty(len(numbers), object)
        values[:] = numbers
        order = np.array(sorted(range(len(numbers)), key=numbers.__getitem__), np.int64)
    return values[order], order


def is_exact(number: float) -> bool:
    """Tell whether float64 holds a number, which may be an integer of any size, exactly."""
    try:
        return float(number) == number
    except OverflowError:
        return False


def _lists(encoded: list[str]) -> Lists:
    items, offsets = _Builder(), [0]
    for text in encoded:
        values: list[Json] = json.loads(text)
        for value in values:
            items.add(value)
        offsets.append(offsets[-1] + len(values))
    return Lists(np.array(offsets, np.int64), items.column())
