"""What runs the modules over documents: torch itself, onnxruntime, OpenVINO; in float32, bfloat16 or bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from colstore.config import BACKENDS
from colstore.encode.graph import quantised
from colstore.errors import ConfigError, EncoderError
from colstore.extras import require
from colstore.frozen import open_graph
from colstore.types import FloatMatrix

AUTO = "auto"


class Runtime(Protocol):
    """Runs a graph over one batch."""

    @property
    def exact(self) -> bool:
        """Whether vectors that the graph brings to length 1 have it to the last digits."""
        ...

    def run(self, inputs: dict[str, NDArray[np.int64]]) -> FloatMatrix:
        """Return a vector for every token, shape ``(rows, tokens, dim)``; valid until the next call."""
        ...


def check_backend(backend: str) -> None:
    """Refuse a name that is none.

    Raises
    ------
    ConfigError
        Says which there are.
    """
    if backend not in (AUTO, *BACKENDS):
        raise ConfigError(f"backend must be one of {(AUTO, *BACKENDS)}, got {backend!r}")


def open_runtime(backend: str, graph: bytes, *, threads: int) -> Runtime:
    """Return the runtime of a backend other than torch's.

    Parameters
    ----------
    backend
        ``"onnx"``, ``"onnx-int8"``, ``"openvino"`` or ``"openvino-bf16"``.
    graph
        In float32.
    threads
        That share a batch.

    Raises
    ------
    MissingDependencyError
        If the runtime is not installed.
    EncoderError
        If it cannot run the graph.
    """
    if backend == "onnx":
        return _OnnxRuntime(open_graph(graph, threads=threads), exact=True)
    if backend == "onnx-int8":
        return _OnnxRuntime(open_graph(quantised(graph), threads=threads), exact=False)
    if backend in ("openvino", "openvino-bf16"):
        return _open_vino(graph, threads=threads, precision="bf16" if backend.endswith("bf16") else "f32")
    raise ConfigError(f"{backend!r} is no runtime of its own")


@dataclass(frozen=True, slots=True)
class _OnnxRuntime:
    session: Any
    exact: bool

    def run(self, inputs: dict[str, NDArray[np.int64]]) -> FloatMatrix:
        vectors: FloatMatrix = self.session.run(None, inputs)[0]
        return vectors


@dataclass(frozen=True, slots=True)
class _OpenVino:
    request: Any
    exact: bool

    def run(self, inputs: dict[str, NDArray[np.int64]]) -> FloatMatrix:
        # Shared memory: nothing is copied in or out.
        vectors: FloatMatrix = self.request.infer(inputs, share_inputs=True, share_outputs=True)[0]
        return vectors


def _open_vino(graph: bytes, *, threads: int, precision: str) -> _OpenVino:
    require("openvino", extra="openvino", purpose="This backend")
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,  # left alone, it takes bfloat16 where the processor has it
    }
    try:
        core = openvino.Core()
        request = core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()
    except Exception as error:  # it raises bare RuntimeErrors
        raise EncoderError(f"OpenVINO cannot run this model ({str(error)[:300]}); choose another backend") from error
    return _OpenVino(request, exact=precision == "f32")
