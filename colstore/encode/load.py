"""A model's name or folder to an encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from colstore.encode.backends import with_backend
from colstore.encode.checkpoint import find_checkpoint
from colstore.encode.describe import KIND, check_same, describe, model_fingerprint
from colstore.encode.fake import FakeEncoder
from colstore.encode.forks import compute_alone_after_fork
from colstore.encode.hub import EMBEDDED, embedded_model_path
from colstore.encode.pipeline import load_pipeline, set_limits
from colstore.encode.projection import ProjectedEncoder, Projection
from colstore.encode.runtimes import check_backend
from colstore.encode.transformer import TransformerEncoder
from colstore.errors import ConfigError, EncoderError
from colstore.extras import require
from colstore.types import Encoder, Json

DTYPES = ("float32", "bfloat16", "float16")
TOKEN_BUDGET = 4096
"""Padded tokens a batch, on a CPU: products large enough for its cores, small enough for its caches."""
GPU_TOKEN_BUDGET = 65_536


def load_encoder(
    model: str | Path,
    *,
    dim: int | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    revision: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    max_tokens: int | None = None,
    query_length: int | None = None,
    token_budget: int | None = None,
    backend: str = "torch",
    documents: Sequence[str] = (),
    settings: Mapping[str, Json] | None = None,
) -> Encoder:
    """Load a model as an encoder of token vectors.

    Late-interaction checkpoints (Stanford, PyLate, sentence-transformers) bring their markers, lengths,
    query expansion and skip list. Ordinary encoders (all-MiniLM-L6-v2, bge) are used token by token: the
    last layer's vectors of all tokens, ``[CLS]`` and ``[SEP]`` included, each brought to length 1, with
    nothing added.

    Parameters
    ----------
    model
        A folder, a name on the hub, or ``"embedded"`` (all-MiniLM-L6-v2 from the extra ``demo``).
    dim
        The dimension that the vectors must have; ``None`` takes any. To reduce the model's own, see
        :func:`~colstore.encode.projection.fit_projection_from_texts`.
    trust_remote_code
        Run Python code that the model brings. Read it first.
    allow_pickle
        Load pickled weights (with torch's ``weights_only``) where there are no safetensors.
    revision
        Branch, tag or commit, for a name on the hub.
    device
        ``"cpu"``, ``"cuda"``, ...; ``None`` takes the fastest there is.
    dtype
        ``"float32"``, ``"bfloat16"`` or ``"float16"``: what the model computes in. The vectors are
        float32 always.
    max_tokens
        Most tokens of a document, special tokens and marker included; ``None`` takes the model's own limit.
    query_length
        The same for queries; with a fixed expansion, the length that every query is filled up to.
    token_budget
        Padded tokens a batch; ``None`` takes what suits the device.
    backend, documents
        What encodes documents, and a sample of them for ``"auto"``; see
        :func:`~colstore.encode.backends.with_backend`.
    settings
        Settings of an earlier encoder whose vectors this one's must match.

    Raises
    ------
    EncoderError
        If the model cannot be loaded, or gives other vectors than ``dim`` or ``settings`` ask for; the
        message says what to do.
    ConfigError
        An argument is invalid.
    MissingDependencyError
        The extra ``encode`` is not installed, or the model is ``"embedded"`` and the extra ``demo`` is not.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {DTYPES}, got {dtype!r}")
    check_backend(backend)
    if token_budget is not None and token_budget < 1:
        raise ConfigError(f"token_budget must be at least 1, got {token_budget}")
    if model == EMBEDDED:
        embedded_model_path()  # first, because its extra brings all the rest
    require("sentence_transformers", "torch", "transformers", extra="encode", purpose="Loading a model")
    checkpoint = find_checkpoint(
        model, revision=revision, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle
    )
    fingerprint = model_fingerprint(checkpoint.folder, (checkpoint.body, *checkpoint.dense), checkpoint.pickled)
    if settings is not None:  # before loading: other files may not even bear the settings
        check_same({"model": str(model), "fingerprint": fingerprint}, settings, only=("fingerprint",))
    compute_alone_after_fork()
    pipeline = load_pipeline(checkpoint, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    lengths = set_limits(pipeline, query_length=query_length, document_length=max_tokens)
    found = describe(checkpoint, pipeline) | lengths
    found |= {
        "dtype": dtype,
        "backend": "torch",
        "device": str(pipeline.device),
        "trust_remote_code": trust_remote_code,
        "allow_pickle": checkpoint.pickled,
        "fingerprint": fingerprint,
    }
    _check_dim(found, dim)
    budget = token_budget or (TOKEN_BUDGET if pipeline.device.type == "cpu" else GPU_TOKEN_BUDGET)
    encoder = with_backend(TransformerEncoder(pipeline, found, token_budget=budget), backend, documents)
    if settings is not None:
        check_same(encoder.settings, settings)
    return encoder


def _check_dim(found: Mapping[str, Json], dim: int | None) -> None:
    if dim is not None and found["dim"] != dim:
        raise EncoderError(
            f"model {found['model']!r} gives vectors of {found['dim']} dimensions, not {dim}; to reduce "
            "them, fit a projection on a sample of the corpus (fit_projection_from_texts)"
        )


LOADABLE_KINDS = ("fake", KIND)
"""Kinds of settings that :func:`load_encoder_from_settings` can make an encoder from."""
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
