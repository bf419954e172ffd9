"""Cross-encoders of sentence-transformers as rerankers. Torch is imported when one is loaded, not before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from colstore.encode.forks import compute_alone_after_fork
from colstore.encode.hub import hub_folder, is_hub_name
from colstore.encode.tokens import token_budget_batches
from colstore.errors import ConfigError, EncoderError, RerankerError
from colstore.extras import require
from colstore.rerank.rerankers import Pairs, checked_name

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer

Dtype = Literal["float32", "bfloat16", "float16", "auto"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
TOKEN_BUDGET, GPU_TOKEN_BUDGET = 4096, 65_536
"""Padded tokens per batch: on a CPU, products large enough for its cores and small enough for its caches."""
LETTERS_A_TOKEN = 4
MAX_TOKENS = 512
"""Limit of a pair, for models that state none of their own or a larger one."""


class CrossEncoderReranker:
    """A cross-encoder as a :class:`colstore.Reranker`.

    Models of the sequence-classification kind (ms-marco-MiniLM, bge-reranker, jina-reranker-v2, mxbai-rerank v1) score
    with their one logit; generative ones (mxbai-rerank-v2, Qwen3-Reranker) with the logit of "yes" minus that of "no",
    or as their own modules define. No sigmoid is applied: it would keep the order, but make the best scores equal.

    Parameters
    ----------
    model
        A model folder, or a name on the hub.
    device
        ``"cpu"``, ``"cuda"``, ...; ``None`` takes the fastest available.
    dtype
        Number type of the model's arithmetic. ``"auto"`` takes bfloat16 where the processor or GPU is fast at it, and
        float32 elsewhere.
    max_tokens
        Largest number of tokens of a pair; longer passages are cut off. ``None`` takes the model's limit, at most 512.
    token_budget
        Padded tokens per batch; pairs of similar length share a batch. ``None`` takes what suits the device.
    trust_remote_code
        Whether to run Python code that the model brings. Read it first.
    allow_pickle
        Whether to load pickled weights (with torch's ``weights_only``) where there are no safetensors.
    revision
        Branch, tag or commit, for a name on the hub.

    Raises
    ------
    RerankerError
        The model cannot be loaded, or is not a cross-encoder with a single score (but a classifier of several labels).
    ConfigError
        An argument is invalid.
    MissingDependencyError
        The extra ``encode`` is not installed.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | None = None,
        dtype: Dtype = "auto",
        max_tokens: int | None = None,
        token_budget: int | None = None,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
        revision: str | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise ConfigError(f"dtype must be one of {DTYPES}, got {dtype!r}")
        if (token_budget is not None and token_budget < 1) or (max_tokens is not None and max_tokens < 4):
            raise ConfigError("token_budget must be at least 1, and max_tokens at least 4")
        require("sentence_transformers", "torch", extra="encode", purpose="A cross-encoder")
        folder = _folder(model, revision, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle)
        self.model = _load(folder, device, dtype, trust_remote_code=trust_remote_code)
        _check_labels(self.model, str(model))
        self.model.max_seq_length = _limit(self.model, max_tokens)
        on_cpu = self.model.device.type == "cpu"
        self.token_budget = token_budget or (TOKEN_BUDGET if on_cpu else GPU_TOKEN_BUDGET)
        self._name = checked_name("-".join(Path(str(model)).name.split()) or "cross-encoder")

    @property
    def name(self) -> str:
        """The model's name without its owner or folder."""
        return self._name

    def score(self, pairs: Pairs) -> NDArray[np.float32]:
        """Return the logit of each pair, ``(len(pairs),)`` float32, computed in batches of similar length."""
        from torch.nn import Identity

        scores = np.empty(len(pairs), np.float32)
        most = int(self.model.max_seq_length or MAX_TOKENS)
        lengths = [min(most, (len(query) + len(text)) // LETTERS_A_TOKEN + 4) for query, text in pairs]
        for batch in token_budget_batches(lengths, self.token_budget):
            texts = [list(pairs[i]) for i in batch.tolist()]
            logits: Any = self.model.predict(
                texts, batch_size=len(texts), activation_fn=Identity(), show_progress_bar=False
            )
            scores[batch] = np.asarray(logits, np.float32).reshape(len(texts))
        return scores


def _folder(model: str | Path, revision: str | None, *, trust_remote_code: bool, allow_pickle: bool) -> Path:
    """Return the folder of a model whose weights may be loaded; a model of the hub is downloaded."""
    folder = Path(model).expanduser()
    if isinstance(model, str) and not folder.exists() and is_hub_name(model):
        try:
            folder = hub_folder(model, revision, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle)
        except EncoderError as error:
            raise RerankerError(f"cross-encoder {model!r}: {error}") from error
    elif revision is not None:
        raise ConfigError(f"a revision applies to models of the hub; {str(model)!r} is a folder")
    if not folder.is_dir():
        raise RerankerError(f"cross-encoder {str(model)!r}: there is no such folder")
    if not any(folder.rglob("*.safetensors")) and not allow_pickle:
        raise RerankerError(
            f"cross-encoder {str(model)!r} has no safetensors, and pickled weights can carry code: convert them, or "
            "allow them with allow_pickle=True (loaded with weights_only)"
        )
    return folder


def _load(folder: Path, device: str | None, dtype: Dtype, *, trust_remote_code: bool) -> CrossEncoder:
    import torch
    from sentence_transformers import CrossEncoder as Model

    compute_alone_after_fork()
    target = device or ("cuda" if torch.cuda.is_available() else "cpu")
    chosen = _fast_dtype(target) if dtype == "auto" else dtype
    try:
        # a missing classification head is initialised at random, even where torch's own seed is the caller's
        with torch.random.fork_rng(devices=[]):
            model: CrossEncoder = Model(
                str(folder),
                device=device,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                model_kwargs={"dtype": getattr(torch, chosen)},
            )
    except Exception as error:
        raise RerankerError(f"cross-encoder {str(folder)!r} cannot be loaded: {error}") from error
    model.eval()
    return model


def _fast_dtype(device: str) -> str:
    import torch

    from colstore.encode.backends import has_bfloat16

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "bfloat16" if has_bfloat16() else "float32"


def _check_labels(model: CrossEncoder, name: str) -> None:
    labels = int(model.num_labels)
    if labels != 1:
        raise RerankerError(
            f"cross-encoder {name!r} returns {labels} labels for a pair, not one score: choose a reranker (a model "
            "with one label), or wrap it in CallableReranker with the label that you mean"
        )


def _limit(model: CrossEncoder, max_tokens: int | None) -> int:
    from colstore.encode.pipeline import position_limit

    own = model.max_seq_length
    stated = own if isinstance(own, int) and 0 < own < 1 << 20 else MAX_TOKENS
    most = min(stated, position_limit(cast("Transformer", model[0])))
    if max_tokens is not None and max_tokens > most:
        raise ConfigError(f"this cross-encoder takes at most {most} tokens, got max_tokens={max_tokens}")
    return max_tokens or min(most, MAX_TOKENS)
