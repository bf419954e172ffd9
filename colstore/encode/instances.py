"""Models that the caller has made: an encoder is used as it is, a ``MultiVectorEncoder`` is wrapped."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from colstore.encode.checkpoint import Checkpoint
from colstore.encode.describe import describe
from colstore.encode.forks import compute_alone_after_fork
from colstore.encode.hub import is_hub_name
from colstore.encode.load import GPU_TOKEN_BUDGET, TOKEN_BUDGET, load_encoder
from colstore.encode.pipeline import set_limits, tokenizer_of, transformer_of
from colstore.encode.transformer import TransformerEncoder
from colstore.errors import ColstoreError, ConfigError
from colstore.types import Encoder, Json

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

PROBES = ("bees dance in the dark hive", "Do statins lower CRP? [MASK] 3.14", "")
"""Texts by which a model in memory is compared with the one at its path."""
SAME = 1e-3
"""Largest difference of a component between the two; number types of less precision differ in the third digit."""
IN_MEMORY = "MultiVectorEncoder in memory"


def as_encoder(model: object, *, name: str = "model") -> Encoder:
    """Return an encoder as it is, and a ``MultiVectorEncoder`` of sentence-transformers as an encoder.

    The settings of a wrapped model name the path or hub name that it was loaded from, provided that the model at that
    place still makes the same vectors; an index can then load it again. Otherwise they describe a model in memory,
    which only the caller can bring again.

    Parameters
    ----------
    model
        What the caller passed.
    name
        Name of the argument, for messages.

    Raises
    ------
    ConfigError
        It is something else; the message says what to pass.
    EncoderError
        The model cannot be used, such as one for images.
    """
    if isinstance(model, Encoder) and not isinstance(model, type):
        return model
    library = sys.modules.get("sentence_transformers")
    if library is not None and isinstance(model, getattr(library, "MultiVectorEncoder", ())):
        return wrapped(cast("MultiVectorEncoder", model))
    raise ConfigError(f"{name} must be {_accepted(name)}, got {_kind(model)}{_remedy(model)}")


def wrapped(model: MultiVectorEncoder) -> TransformerEncoder:
    """Return an encoder over a model of sentence-transformers; the model itself keeps its settings."""
    import torch

    compute_alone_after_fork()
    own = _apart(model)
    own.eval()
    lengths = set_limits(own, query_length=None, document_length=None)
    dtype = str(next(own.parameters()).dtype).removeprefix("torch.")
    settings: dict[str, Json] = {
        **describe(Checkpoint(IN_MEMORY, Path(), "native", None, "", (), pickled=False), own),
        **lengths,
        "dtype": dtype,
        "backend": "torch",
        "device": str(own.device),
        "trust_remote_code": False,
        "allow_pickle": False,
    }
    budget = TOKEN_BUDGET if own.device.type == "cpu" else GPU_TOKEN_BUDGET
    with torch.random.fork_rng(devices=[]):
        source = _source_settings(own, settings, budget)
    return TransformerEncoder(own, source or {**settings, "fingerprint": _fingerprint(own)}, token_budget=budget)


def _apart(model: MultiVectorEncoder) -> MultiVectorEncoder:
    """Return a model with the same weights whose limits can be set without changing the caller's."""
    own = copy.copy(model)
    own._modules = dict(model._modules)
    own._modules[next(iter(own._modules))] = copy.copy(transformer_of(model))
    return own


def _source_settings(model: MultiVectorEncoder, settings: Mapping[str, Json], budget: int) -> Mapping[str, Json] | None:
    """Return the settings of the model at the place that a model was loaded from; ``None`` where it is another."""
    place = str(getattr(transformer_of(model).model, "name_or_path", ""))
    if not place or not (Path(place).is_dir() or is_hub_name(place)):
        return None
    query_length, document_length = settings["query_length"], settings["document_length"]
    try:
        stored = load_encoder(
            place,
            device=str(model.device),
            dtype=str(settings["dtype"]),
            query_length=query_length if isinstance(query_length, int) else None,
            max_tokens=document_length if isinstance(document_length, int) else None,
        )
    except (ColstoreError, OSError):
        return None
    return stored.settings if _same(TransformerEncoder(model, settings, token_budget=budget), stored) else None


def _same(one: Encoder, other: Encoder) -> bool:
    pairs = list(zip(one.encode_queries(PROBES), other.encode_queries(PROBES), strict=True))
    documents = zip(one.encode_documents(PROBES), other.encode_documents(PROBES), strict=True)
    pairs += [(first.vectors, second.vectors) for first, second in documents]
    return all(first.shape == second.shape and np.allclose(first, second, atol=SAME) for first, second in pairs)


def _fingerprint(model: MultiVectorEncoder) -> str:
    """Return a hash of the weights and the tokenizer of a model in memory."""
    import torch
    import xxhash

    digest = xxhash.xxh3_128(tokenizer_of(model).backend_tokenizer.to_str().encode("utf-8", "surrogatepass"))
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"memory-{digest.hexdigest()}"


def _accepted(name: str) -> str:
    objects = "an Encoder, or a MultiVectorEncoder of sentence-transformers"
    return f"a name, a folder, {objects}" if name == "model" else objects


def _kind(model: object) -> str:
    return repr(model) if isinstance(model, str | Path | int) or model is None else type(model).__name__


def _remedy(model: object) -> str:
    if isinstance(model, str | Path):
        return f"; to load a model, pass colstore.load_encoder({str(model)!r})"
    if isinstance(model, type):
        return f"; pass an object of the class, such as {model.__name__}(...)"
    if type(model).__name__ == "SentenceTransformer":
        return "; it makes one vector for each text: pass its name or folder, and colstore takes its token vectors"
    return ": an encoder has dim, settings, encode_queries and encode_documents (see colstore.Encoder)"
