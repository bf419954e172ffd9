"""Which backend encodes documents: as asked for, or the fastest here on the user's own documents."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np

from colstore.config import Backend
from colstore.encode.runtimes import AUTO, check_backend, open_runtime
from colstore.encode.transformer import TransformerEncoder
from colstore.errors import ColstoreError, ConfigError
from colstore.threads import available_cores
from colstore.types import EncodedText, Json

PROBE_DOCUMENTS = 32
"""Documents of the self-test: enough for a few full batches, seconds on a slow processor."""

LEAST_COSINE = 0.999
"""A backend whose vectors stray further than this from torch's in float32, on average, is not chosen."""

_CPUINFO = Path("/proc/cpuinfo")


def with_backend(
    encoder: TransformerEncoder, backend: str, documents: Sequence[str] = (), *, threads: int | None = None
) -> TransformerEncoder:
    """Return an encoder that encodes documents with a backend; queries are encoded as before.

    Parameters
    ----------
    encoder
        On torch.
    backend
        ``"torch"``; ``"torch-bf16"`` (bfloat16); ``"onnx"`` (onnxruntime, float32); ``"onnx-int8"`` (products in
        bytes: the fastest on processors without bfloat16, a little less accurate, so only where asked for);
        ``"openvino"``, ``"openvino-bf16"``; or ``"auto"``: the fastest on the documents given, of those whose
        vectors are as good as torch's. On a GPU, and for models that are not in float32, only torch.
    documents
        A sample for ``"auto"``; without any it is ``"torch"``.
    threads
        That share a batch; ``None`` takes the cores that this process may use.

    Raises
    ------
    ConfigError
        No such backend, or none for this device and number type.
    EncoderError, MissingDependencyError
        The model cannot be exported, or the runtime is not there. With ``"auto"`` such backends are passed over.
    """
    check_backend(backend)
    elsewhere = encoder.settings["device"] != "cpu" or encoder.settings["dtype"] != "float32"
    if backend == AUTO:
        return encoder if elsewhere or not documents else _fastest(encoder, documents, threads)
    if backend == "torch":
        return encoder
    if elsewhere:
        raise ConfigError(
            f"backend {backend!r} runs models of dtype float32 on the CPU; this one is {encoder.settings['dtype']} "
            f"on {encoder.settings['device']}: use backend='torch' there"
        )
    return _switched(encoder, backend, threads or available_cores())


def candidates() -> list[Backend]:
    """Return the backends that may be the fastest here and lose nothing, torch first."""
    found: list[Backend] = ["torch", "onnx"]
    if find_spec("openvino") is not None:
        found.append("openvino")
    if has_bfloat16():
        found.append("torch-bf16")
        if "openvino" in found:
            found.append("openvino-bf16")
    return found


def has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16: without, it is slower than float32. Linux says so itself."""
    try:
        information = _CPUINFO.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any(flag in information.split() for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def _switched(encoder: TransformerEncoder, backend: str, threads: int) -> TransformerEncoder:
    settings: dict[str, Json] = {**encoder.settings, "backend": backend}
    if backend == "torch-bf16":
        import torch

        model = copy.deepcopy(encoder.model).to(torch.bfloat16)
        return TransformerEncoder(model, settings, token_budget=encoder.token_budget)
    runtime = open_runtime(backend, encoder.graph(), threads=threads)
    return encoder.on_runtime(settings, runtime)


def _fastest(encoder: TransformerEncoder, documents: Sequence[str], threads: int | None) -> TransformerEncoder:
    """Encode the documents with each candidate and return the quickest one that is accurate."""
    sample = list(documents[:PROBE_DOCUMENTS])
    expected, best_seconds = _timed(encoder, sample)
    best = encoder
    for backend in candidates()[1:]:
        try:
            candidate = _switched(encoder, backend, threads or available_cores())
            found, seconds = _timed(candidate, sample)
        except ColstoreError:  # cannot be exported, say: then not this one
            continue
        if seconds < best_seconds and _cosine(expected, found) >= LEAST_COSINE:
            best, best_seconds = candidate, seconds
    return best


def _timed(encoder: TransformerEncoder, documents: list[str]) -> tuple[list[EncodedText], float]:
    encoder.encode_documents(documents[:1])  # the first run allocates and compiles
    start = perf_counter()
    encoded = encoder.encode_documents(documents)
    return encoded, perf_counter() - start


def _cosine(expected: list[EncodedText], found: list[EncodedText]) -> float:
    """Return the mean cosine of corresponding vectors; -1 where their numbers differ."""
    sums = []
    for one, other in zip(expected, found, strict=True):
        if one.vectors.shape != other.vectors.shape:
            return -1.0
        lengths = np.linalg.norm(one.vectors, axis=1) * np.linalg.norm(other.vectors, axis=1)
        sums.append((one.vectors * other.vectors).sum(axis=1) / lengths)
    return float(np.concatenate(sums).mean())
