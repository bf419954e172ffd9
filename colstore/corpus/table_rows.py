"""Rows of a table that is not text: which column is the id, the text and the title, and what the cells become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from colstore.corpus.columns import FieldNames, check_columns, with_metadata_apart
from colstore.corpus.json_values import as_json, as_vectors
from colstore.corpus.record import excerpt
from colstore.errors import CorpusError

VECTORS = "vectors"


@dataclass(frozen=True, slots=True)
class TableRows:
    """The columns of a table, in order, and how its rows become fields of a record.

    Parameters
    ----------
    columns
        Names of the columns.
    names
        Names of the columns that the caller chose for id, text and title.
    """

    columns: tuple[str, ...]
    names: FieldNames | None

    @classmethod
    def of(cls, columns: Sequence[Any], names: FieldNames | None, source: str) -> TableRows:
        """Return the rows of a table with these columns.

        Raises
        ------
        CorpusError
            A name is not a string, occurs twice, or there is no column for the id or the text.
        """
        for column in columns:
            if not isinstance(column, str):
                message = f"the names of columns must be strings, and {excerpt(column)} is not one: rename the column"
                raise CorpusError(message, source=source)
        check_columns(list(columns), source, None, names)
        return cls(tuple(columns), names)

    def fields(self, cells: Sequence[object]) -> dict[str, object]:
        """Return the fields of a record: id, title, text and vectors, and all others under ``metadata``."""
        row = dict(zip(self.columns, cells, strict=True))
        vectors = {VECTORS: row.pop(VECTORS)} if VECTORS in row else {}
        return {**with_metadata_apart(row, self.names), **vectors}

    def foreign_fields(self, cells: Sequence[object]) -> dict[str, object]:
        """Return the fields of a record whose cells are values of pandas or polars; they become values of JSON."""
        values = [
            as_vectors(cell) if name == VECTORS else as_json(cell)
            for name, cell in zip(self.columns, cells, strict=True)
        ]
        return self.fields(values)
