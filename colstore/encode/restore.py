"""The settings of an index to the encoder that made them, or to an error that says what is different."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from colstore.encode.describe import KIND
from colstore.encode.fake import FakeEncoder
from colstore.encode.load import load_encoder
from colstore.encode.projection import ProjectedEncoder, Projection
from colstore.errors import EncoderError
from colstore.types import Encoder, Json

_T = TypeVar("_T", int, str)


def load_encoder_from_settings(
    settings: Mapping[str, Json],
    model_override: str | Path | None = None,
    *,
    projection: Projection | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    device: str | None = None,
    token_budget: int | None = None,
) -> Encoder:
    """Load the encoder that some settings describe, and make sure that it is the same.

    Settings come from files, and a file does not get to say whose code runs: ``trust_remote_code`` and
    ``allow_pickle`` count as given here, not as recorded.

    Parameters
    ----------
    settings
        :attr:`~colstore.types.Encoder.settings` of the encoder to load again.
    model_override
        Where the model is now, if no longer where it was.
    projection
        The projection that the settings mention, if they do.
    trust_remote_code, allow_pickle, device, token_budget
        As for :func:`~colstore.encode.load.load_encoder`.

    Raises
    ------
    EncoderError
        If the settings are of no known kind, the model cannot be loaded or encodes differently (the
        message names the difference), or the projection is missing or another.

    Examples
    --------
    >>> load_encoder_from_settings(FakeEncoder(dim=8, seed=3).settings).settings["seed"]
    3
    """
    kind = settings.get("kind")
    if kind == "fake":
        encoder: Encoder = FakeEncoder(
            _given(settings, "dim", int) if settings.get("projection") is None else _dim_before(settings),
            _given(settings, "seed", int),
            max_tokens=_optional(settings, "max_tokens", int),
        )
    elif kind == KIND:
        _check_allowed(settings, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle)
        encoder = _load_again(
            settings,
            model_override,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            device=device,
            token_budget=token_budget,
        )
    else:
        raise EncoderError(f"an encoder of kind {kind!r} cannot be loaded from its settings; hand over the encoder")
    return encoder if settings.get("projection") is None else _project(encoder, settings, projection)


def _load_again(
    settings: Mapping[str, Json],
    model_override: str | Path | None,
    *,
    trust_remote_code: bool,
    allow_pickle: bool,
    device: str | None,
    token_budget: int | None,
) -> Encoder:
    expected = dict(settings)
    if settings.get("projection") is not None:
        expected["dim"] = _dim_before(settings)
    return load_encoder(
        _given(settings, "model", str) if model_override is None else model_override,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
        revision=_optional(settings, "revision", str) if model_override is None else None,
        device=device,
        dtype=_given(settings, "dtype", str),
        backend=_optional(settings, "backend", str) or "torch",
        max_tokens=_given(settings, "document_length", int),
        query_length=_given(settings, "query_length", int),
        token_budget=token_budget,
        settings=expected,
    )


def _project(encoder: Encoder, settings: Mapping[str, Json], projection: Projection | None) -> Encoder:
    if projection is None:
        raise EncoderError("these settings include a projection, which is stored beside them; hand it over, too")
    projected = ProjectedEncoder(encoder, projection)
    if projected.settings["projection"] != settings["projection"]:
        raise EncoderError(
            "the projection is not the one that these settings were made with; use that of the same index"
        )
    return projected


def _check_allowed(settings: Mapping[str, Json], *, trust_remote_code: bool, allow_pickle: bool) -> None:
    for name, allowed in (("trust_remote_code", trust_remote_code), ("allow_pickle", allow_pickle)):
        if settings.get(name) and not allowed:
            raise EncoderError(
                f"model {settings.get('model')!r} was loaded with {name}=True; to allow it, give {name}=True"
            )


def _dim_before(settings: Mapping[str, Json]) -> int:
    projection = settings["projection"]
    if not isinstance(projection, dict):
        raise EncoderError("the encoder's settings are damaged: projection is no object")
    return _given(projection, "dim_in", int)


def _given(settings: Mapping[str, Json], name: str, kind: type[_T]) -> _T:
    value = _optional(settings, name, kind)
    if value is None:
        raise EncoderError(f"the encoder's settings are damaged: {name} is missing")
    return value


def _optional(settings: Mapping[str, Json], name: str, kind: type[_T]) -> _T | None:
    value = settings.get(name)
    if value is not None and not isinstance(value, kind):
        raise EncoderError(f"the encoder's settings are damaged: {name} is {value!r}")
    return value
