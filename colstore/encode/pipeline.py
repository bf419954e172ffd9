"""Making a sentence-transformers pipeline of a checkpoint, with weights only from its files and never random ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from colstore.encode.checkpoint import Checkpoint
from colstore.errors import ColstoreError, ConfigError, EncoderError
from colstore.types import Json

if TYPE_CHECKING:
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Transformer
    from transformers import PreTrainedTokenizerBase

_LIBRARIES = ("sentence_transformers", "transformers")


def load_pipeline(
    checkpoint: Checkpoint, *, device: str | None, dtype: str, trust_remote_code: bool
) -> MultiVectorEncoder:
    """Return the checkpoint's modules in evaluation mode, on the device and in the number type.

    A late-interaction checkpoint is loaded by ``MultiVectorEncoder``, which knows its three layouts. For an ordinary
    encoder, the pipeline (transformer, then normalisation of every token) is assembled here, because
    ``MultiVectorEncoder`` would add a random projection.

    The caller's random state is not changed.

    Parameters
    ----------
    checkpoint
        The examined model folder.
    device
        Device of torch; ``None`` lets the library choose.
    dtype
        Name of a torch dtype, such as ``"float32"``.
    trust_remote_code
        Whether the model may run Python code of its own.

    Raises
    ------
    EncoderError
        The library refuses the checkpoint, or its files lack some of the weights.
    """
    import torch

    with _quiet(), torch.random.fork_rng(devices=[]):
        try:
            model = _build(checkpoint, device, getattr(torch, dtype), trust_remote_code=trust_remote_code)
        except ColstoreError:
            raise
        except Exception as error:  # the boundary at which the libraries' exceptions are mapped
            raise _mapped(checkpoint, error) from error
        missing = _missing_weights(checkpoint, model, trust_remote_code=trust_remote_code)
    if missing:
        raise EncoderError(
            f"model {checkpoint.name!r}: its files have no weights for {', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}, so the vectors would be random; fetch or save the model again"
        )
    model.to(getattr(torch, dtype))  # the projection is loaded with the number type of its file
    return model.eval().requires_grad_(False)


def transformer_of(model: MultiVectorEncoder) -> Transformer:
    """Return the pipeline's first module.

    Raises
    ------
    EncoderError
        The first module is not a transformer.
    """
    from sentence_transformers.base import modules

    first: Any = model[0]
    if not isinstance(first, modules.Transformer):
        raise EncoderError(f"the model starts with {type(first).__name__}, not with a transformer")
    transformer: Transformer = first
    return transformer


def tokenizer_of(model: MultiVectorEncoder) -> PreTrainedTokenizerBase:
    """Return the pipeline's tokenizer.

    Raises
    ------
    EncoderError
        The model has no fast tokenizer. Other tokenizers do not report whether they truncated a text.
    """
    tokenizer = transformer_of(model).tokenizer
    if tokenizer is None or not tokenizer.is_fast:
        raise EncoderError("the model has no fast tokenizer (tokenizer.json); convert its tokenizer to that format")
    return tokenizer


def _build(
    checkpoint: Checkpoint, device: str | None, dtype: torch.dtype, *, trust_remote_code: bool
) -> MultiVectorEncoder:
    from sentence_transformers import MultiVectorEncoder

    arguments: dict[str, Any] = {
        "trust_remote_code": trust_remote_code,
        # All files are local, except that code of another repository, if allowed, may have to be downloaded.
        "local_files_only": not trust_remote_code,
        "model_kwargs": {
            "dtype": dtype,
            "use_safetensors": not checkpoint.pickled or None,
            "weights_only": True,
        },
    }
    if checkpoint.layout == "plain":
        return _plain(checkpoint, device, arguments)
    model = MultiVectorEncoder(str(checkpoint.folder), device=device, **arguments)
    _check_modules(checkpoint, model)
    return model


def _plain(checkpoint: Checkpoint, device: str | None, arguments: dict[str, Any]) -> MultiVectorEncoder:
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer

    transformer = Transformer.load(str(checkpoint.folder), subfolder=checkpoint.body, **arguments)
    return MultiVectorEncoder(modules=[transformer, Normalize(module_input_name="token_embeddings")], device=device)


def _check_modules(checkpoint: Checkpoint, model: MultiVectorEncoder) -> None:
    from sentence_transformers.base.modules import Dense

    loaded = sum(isinstance(module, Dense) for module in model)
    expected = 1 if checkpoint.layout == "stanford" else len(checkpoint.dense)
    if loaded != expected:
        raise EncoderError(
            f"model {checkpoint.name!r} ({checkpoint.layout}) has {expected} projections in its files, but the library "
            f"created {loaded}, those without a file with random weights; save the model with its projection"
        )


def _missing_weights(checkpoint: Checkpoint, model: MultiVectorEncoder, *, trust_remote_code: bool) -> list[str]:
    """Return the transformer's parameters that are in no file, except those of a pooler, whose output is not used."""
    body = transformer_of(model).model
    names = {name for name, _ in body.named_parameters() if "pooler" not in name}
    if not checkpoint.pickled and not _unmatched(names, checkpoint):
        return []
    # In some architectures the names differ from those in the file. Then the loader reports what is missing, at the
    # cost of loading the weights twice.
    loader: Any = type(body)
    _, report = loader.from_pretrained(
        str(checkpoint.folder / checkpoint.body),
        output_loading_info=True,
        config=body.config,
        trust_remote_code=trust_remote_code,
        use_safetensors=not checkpoint.pickled or None,
        weights_only=True,
    )
    return sorted(name for name in report["missing_keys"] if name in names)


def _unmatched(names: set[str], checkpoint: Checkpoint) -> set[str]:
    """Return the names with which no key of the weight files ends (keys may have prefixes such as ``bert.``)."""
    from safetensors import safe_open

    keys: set[str] = set()
    for path in (checkpoint.folder / checkpoint.body).glob("model*.safetensors"):
        with safe_open(str(path), framework="pt") as file:
            keys.update(file.keys())
    suffixes = {part for key in keys for part in _suffixes(key)}
    return names - suffixes


def _suffixes(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _mapped(checkpoint: Checkpoint, error: Exception) -> EncoderError:
    if "trust_remote_code" in str(error):
        return EncoderError(
            f"model {checkpoint.name!r} brings its own Python code; read it, then allow it with trust_remote_code=True"
        )
    return EncoderError(
        f"model {checkpoint.name!r} ({checkpoint.layout} layout) could not be loaded: "
        f"{type(error).__name__}: {error}; check the folder's files, or fetch the model again"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the libraries' progress bars and log messages while loading."""
    from transformers.utils import logging as notices

    bars = notices.is_progress_bar_enabled()
    levels = {name: logging.getLogger(name).level for name in _LIBRARIES}
    notices.disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if bars:
            notices.enable_progress_bar()  # type: ignore[no-untyped-call]


_UNLIMITED = 512
"""Limit in tokens for models that state none and have no position embeddings."""


def set_limits(model: MultiVectorEncoder, *, query_length: int | None, document_length: int | None) -> dict[str, Json]:
    """Set the token limits of queries and documents in the pipeline, and return them as settings.

    A limit includes the special tokens and the marker token. With a fixed expansion, every query has exactly as many
    tokens as its limit.

    Parameters
    ----------
    model
        The pipeline.
    query_length, document_length
        Limits in tokens; ``None`` uses the model's own.

    Raises
    ------
    ConfigError
        The limit is larger than the model supports, or leaves no token for the text.
    """
    transformer = transformer_of(model)
    if query_length is not None:
        _check(model, "query_length", query_length, task="query")
    if document_length is not None:
        _check(model, "max_tokens", document_length, task="document")
    stated = min(transformer.max_seq_length or _UNLIMITED, position_limit(transformer))
    transformer.document_length = document_length or min(transformer.document_length or stated, stated)
    _set_query_length(transformer, query_length, stated)
    return {"query_length": transformer.query_length, "document_length": transformer.document_length}


def position_limit(transformer: Transformer) -> int:
    """Return the number of tokens in the longest sequence that the model has positions for."""
    positions = getattr(transformer.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:  # XLNet has -1 here, and T5 has nothing
        return 1 << 20
    return positions - _first_position(transformer)


def _set_query_length(transformer: Transformer, requested: int | None, stated: int) -> None:
    expansion = transformer.query_expansion
    if expansion is None:
        transformer.query_length = requested or min(transformer.query_length or stated, stated)
        return
    length = expansion["length"]
    if expansion["strategy"] == "fixed":
        length = transformer.query_length = requested or min(length, stated)
    else:
        transformer.query_length = requested or min(transformer.query_length or stated, stated)
        length = min(length, transformer.query_length)
    transformer.query_expansion = {**expansion, "length": length}


def _first_position(transformer: Transformer) -> int:
    """Return the first position in use: RoBERTa and similar models count from the padding id + 1, not from 0."""
    from torch.nn import Embedding

    for module in transformer.model.modules():
        padding = getattr(module, "padding_idx", None)
        if isinstance(padding, int) and isinstance(getattr(module, "position_embeddings", None), Embedding):
            return padding + 1
    return 0


def _check(model: MultiVectorEncoder, setting: str, requested: int, *, task: str) -> None:
    maximum = position_limit(transformer_of(model))
    # An empty text has only the prefix and the special tokens.
    minimum = len(tokenizer_of(model)(model.prompts.get(task) or "")["input_ids"]) + 1
    if not minimum <= requested <= maximum:
        raise ConfigError(f"{setting} must lie in {minimum}..{maximum} for this model, got {requested}")
