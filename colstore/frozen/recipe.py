"""How a query becomes the inputs of the graph, and a document its tokens: ``encoder.json``, read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NoReturn

from colstore.errors import CorruptIndexError, FormatVersionError
from colstore.extras import upgrade_command
from colstore.types import Json

TOKENIZER = "tokenizer.json"
GRAPH = "query.onnx"
RECIPE = "encoder.json"
FILES = (TOKENIZER, GRAPH, RECIPE)
"""The files of a frozen encoder."""

VERSION = 1
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Inputs that a graph may have, int64 of shape ``(1, tokens)``."""
STORAGE = ("float32", "float16", "int8")
_MAX_LENGTH = 1 << 20
_MAX_ID = 1 << 31
_MAX_DIM = 1 << 16
_MAX_BYTES = 16 << 20

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Expansion:
    """How short queries are filled up.

    Parameters
    ----------
    token
        Id of the token that fills them up.
    length
        Number of tokens that every query has at least.
    attend
        Whether the model attends to the added tokens.
    scored
        Whether the vectors of the added tokens count.
    """

    token: int
    length: int
    attend: bool
    scored: bool


@dataclass(frozen=True, slots=True)
class DocumentSide:
    """How a document was cut into tokens, and which of them have a vector. Documents are never filled up.

    Parameters
    ----------
    prefix
        Marker or prompt before the text.
    length
        Largest number of tokens, prefix and special tokens included.
    skip
        Ids of tokens without a vector.
    only
        If not empty, the ids of the only tokens that have a vector.
    """

    prefix: str
    length: int
    skip: tuple[int, ...] = ()
    only: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything between a query and its vectors that is neither tokenizer nor graph.

    Parameters
    ----------
    prefix
        Marker or prompt before the text.
    length
        Largest number of tokens, prefix and special tokens included.
    truncation
        The side on which queries and documents that are too long are cut.
    padding
        The side on which short queries are filled up.
    expansion
        How short queries are filled up; ``None`` leaves them short.
    skip
        Ids of tokens whose vectors are dropped. Most models drop only tokens of documents: then none.
    document
        The same for documents. They are encoded by the full model; this says which token a vector belongs to.
    inputs
        Inputs of the graph.
    dim
        Number of components of a vector.
    storage
        How the graph stores its weights: ``"float32"``, ``"float16"`` or ``"int8"``.
    settings
        Settings of the encoder that was frozen.
    """

    prefix: str
    length: int
    truncation: Side
    padding: Side
    expansion: Expansion | None
    skip: tuple[int, ...]
    document: DocumentSide
    inputs: tuple[str, ...]
    dim: int
    storage: str
    settings: Mapping[str, Json]

    def to_bytes(self) -> bytes:
        """Return the content of ``encoder.json``."""
        body = {"version": VERSION, **asdict(self), "settings": dict(self.settings)}
        return json.dumps(body, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Recipe:
        """Read the content of ``encoder.json``.

        Raises
        ------
        FormatVersionError
            A newer colstore wrote it.
        CorruptIndexError
            A field is missing, unknown, of another type, or out of range.
        """
        fields = _Fields(_parse(data))
        fields.version()
        recipe = cls(
            prefix=fields.text("prefix"),
            length=fields.count("length", 1, _MAX_LENGTH),
            truncation=fields.choice("truncation", ("left", "right")),
            padding=fields.choice("padding", ("left", "right")),
            expansion=fields.expansion("expansion"),
            skip=fields.ids("skip"),
            document=fields.document("document"),
            inputs=fields.inputs("inputs"),
            dim=fields.count("dim", 1, _MAX_DIM),
            storage=fields.choice("storage", STORAGE),
            settings=fields.mapping("settings"),
        )
        fields.finish()
        return recipe


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > _MAX_BYTES:
        _refuse(f"{len(data)} bytes are too many")
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptIndexError(f"not valid JSON: {error}", file=RECIPE) from error
    if not isinstance(value, dict):
        _refuse("not an object")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _refuse(message: str) -> NoReturn:
    raise CorruptIndexError(message + "; build the index again, or restore it from a copy", file=RECIPE)


class _Fields:
    """Takes fields out of an object, each as the type and size it must have."""

    def __init__(self, left: dict[str, Any]) -> None:
        self._left = left

    def take(self, name: str) -> Any:  # noqa: ANN401 - JSON
        if name not in self._left:
            _refuse(f"{name!r} is missing")
        return self._left.pop(name)

    def version(self) -> None:
        found = self.take("version")
        if type(found) is int and found > VERSION:
            raise FormatVersionError(
                f"the frozen encoder has version {found}; this colstore reads {VERSION}. Upgrade: {upgrade_command()}"
            )
        if type(found) is not int or found != VERSION:
            _refuse(f"version {found!r} does not exist")

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or len(value) > 1 << 16:
            _refuse(f"{name!r} is no text of sensible length")
        return value

    def count(self, name: str, least: int, most: int) -> int:
        return _count(self.take(name), name, least, most)

    def choice(self, name: str, choices: tuple[str, ...]) -> Any:  # noqa: ANN401 - one of the choices
        value = self.take(name)
        if value not in choices:
            _refuse(f"{name!r} must be one of {choices}")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.take(name)
        if not isinstance(value, dict):
            _refuse(f"{name!r} must be an object")
        return value

    def ids(self, name: str) -> tuple[int, ...]:
        value = self.take(name)
        if not isinstance(value, list) or len(value) > 1 << 16:
            _refuse(f"{name!r} must be a list of token ids")
        return tuple(_count(item, name, 0, _MAX_ID) for item in value)

    def inputs(self, name: str) -> tuple[str, ...]:
        value = self.take(name)
        known = isinstance(value, list) and all(item in INPUTS for item in value)
        if not known or len(set(value)) < len(value) or "input_ids" not in value:
            _refuse(f"{name!r} must be some of {INPUTS}, input_ids among them")
        return tuple(value)

    def expansion(self, name: str) -> Expansion | None:
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, dict) or set(value) != {"token", "length", "attend", "scored"}:
            _refuse(f"{name!r} must be null, or have token, length, attend and scored")
        if not all(isinstance(value[flag], bool) for flag in ("attend", "scored")):
            _refuse(f"{name!r}: attend and scored must be true or false")
        return Expansion(
            token=_count(value["token"], name, 0, _MAX_ID),
            length=_count(value["length"], name, 1, _MAX_LENGTH),
            attend=value["attend"],
            scored=value["scored"],
        )

    def document(self, name: str) -> DocumentSide:
        inner = _Fields(self.mapping(name))
        side = DocumentSide(
            prefix=inner.text("prefix"),
            length=inner.count("length", 1, _MAX_LENGTH),
            skip=inner.ids("skip"),
            only=inner.ids("only"),
        )
        inner.finish()
        return side

    def finish(self) -> None:
        if self._left:
            _refuse(f"unknown field {next(iter(self._left))!r}")


def _count(value: object, name: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        _refuse(f"{name!r} must be a whole number in {least}..{most}")
    return value
