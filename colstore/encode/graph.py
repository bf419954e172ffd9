"""The modules of a pipeline as one ONNX graph: token ids and attention mask in, a vector for every token out."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colstore.encode.pipeline import transformer_of
from colstore.errors import EncoderError
from colstore.extras import require
from colstore.frozen import open_graph
from colstore.types import FloatMatrix

if TYPE_CHECKING:
    import torch
    from onnx import GraphProto
    from sentence_transformers import MultiVectorEncoder

OUTPUT = "vectors"
TOLERANCE = 1e-3
"""Largest difference of a component between graph and model, both in float32."""

_OPSET = 18
_SHAPES = ((1, 5), (3, 23))
"""Rows and tokens that a graph is checked with; it is made from another shape."""

_Inputs = dict[str, NDArray[np.int64]]


def export_graph(model: MultiVectorEncoder, inputs: Sequence[str]) -> bytes:
    """Return the ONNX graph of a pipeline's modules, in float32, weights inside.

    Two exporters are tried: the quick one, which records one run, then the one that reads the code. A graph that does
    not compute what the model does is refused.

    Parameters
    ----------
    model
        In evaluation mode; is not changed.
    inputs
        Names of the inputs, such as ``["input_ids", "attention_mask"]``.

    Raises
    ------
    EncoderError
        Neither exporter managed; says why.
    MissingDependencyError
        If the package ``onnx`` is not installed.
    """
    # Both exporters need it, and would say so in their own way.
    require("onnx", extra="encode", purpose="Exporting a model")
    wrapper = _wrapper(model, list(inputs))
    reasons = []
    for export in (_record, _read):
        try:
            with _quiet():
                graph = export(wrapper, _example(model, inputs, (2, 11)), list(inputs))
                difference = max(_difference(wrapper, graph, _example(model, inputs, shape)) for shape in _SHAPES)
        except Exception as error:  # exporters fail in ways of their own, all of which mean: not this way
            reasons.append(f"{type(error).__name__}: {_first_line(error)}")
            continue
        if difference <= TOLERANCE:
            return graph
        reasons.append(f"the graph differs from the model by {difference:.2g}")
    raise EncoderError(f"the model cannot be exported to ONNX ({'; '.join(reasons)})")


def _wrapper(model: MultiVectorEncoder, names: list[str]) -> torch.nn.Module:
    """Return a module that takes the inputs by position and gives vectors, on the CPU, in float32."""
    import copy

    import torch
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    class Wrapper(torch.nn.Module):
        def __init__(self, modules: list[torch.nn.Module]) -> None:
            super().__init__()
            self.steps = torch.nn.ModuleList(modules)

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            features: dict[str, Any] = {**dict(zip(names, tensors, strict=True)), "modality": "text"}
            for step in self.steps:
                features = step(features)
            vectors: torch.Tensor = features["token_embeddings"]
            return vectors

    # Which vectors count is decided outside of the graph, which gives all of them.
    wrapper = Wrapper([module for module in model if not isinstance(module, MultiVectorMask)])
    parameter = next(wrapper.parameters())
    if parameter.device.type != "cpu" or parameter.dtype != torch.float32:
        wrapper = copy.deepcopy(wrapper).to(device="cpu", dtype=torch.float32)
    # The exporters restore the training flag of what they are given, so it must say evaluation.
    return wrapper.eval()


def _record(wrapper: torch.nn.Module, example: _Inputs, names: list[str]) -> bytes:
    """Export by recording one run: seconds, and simpler graphs."""
    import torch

    axes = {name: {0: "rows", 1: "tokens"} for name in (*names, OUTPUT)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recorded.onnx"
        torch.onnx.export(
            wrapper,
            _tensors(example),
            path,
            input_names=names,
            output_names=[OUTPUT],
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
        return path.read_bytes()


def _read(wrapper: torch.nn.Module, example: _Inputs, names: list[str]) -> bytes:
    """Export by reading the code that would run: slower, and knows what a recording cannot."""
    import torch

    dynamic = torch.export.Dim.DYNAMIC
    # The wrapper takes *tensors: one entry for all of them together.
    shapes = (tuple({0: dynamic, 1: dynamic} for _ in names),)
    program = torch.onnx.export(
        wrapper,
        _tensors(example),
        input_names=names,
        output_names=[OUTPUT],
        dynamic_shapes=shapes,
        opset_version=_OPSET,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise EncoderError("the exporter gave nothing")
    graph: bytes = program.model_proto.SerializeToString()
    return graph


def _example(model: MultiVectorEncoder, names: Sequence[str], shape: tuple[int, int]) -> _Inputs:
    """Return inputs of ordinary token ids, the last row with two fillers at its end."""
    rows, tokens = shape
    limit = int(transformer_of(model).config.get_text_config().vocab_size)
    ids = np.random.default_rng(tokens).integers(0, limit, (rows, tokens), dtype=np.int64)
    mask = np.ones((rows, tokens), dtype=np.int64)
    mask[-1, tokens - 2 :] = 0
    made = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: made[name] for name in names}


def _tensors(example: _Inputs) -> tuple[torch.Tensor, ...]:
    import torch

    return tuple(torch.from_numpy(array) for array in example.values())


def _difference(wrapper: torch.nn.Module, graph: bytes, example: _Inputs) -> float:
    """Return the largest difference of a component; infinity where a value is none."""
    import torch

    with torch.inference_mode():
        expected = wrapper(*_tensors(example)).numpy()
    found = open_graph(graph, threads=1).run(None, example)[0]
    difference = float(np.abs(found - expected).max())
    return difference if np.isfinite(difference) else float("inf")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no details"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notices off the terminal; they concern those who wrote the model."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_LEAST = 1024
"""Weights of fewer numbers stay as they are: norms and biases need their precision, and weigh nothing."""


def with_projection(graph: bytes, axes: FloatMatrix) -> bytes:
    """Return the graph followed by a projection on axes, each vector brought to length 1.

    Parameters
    ----------
    graph
        With one output ``(rows, tokens, dim_in)``.
    axes
        Shape ``(dim_in, dim)``.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(graph)
    output = model.graph.output[0]
    before = output.name + "_before_axes"
    for node in model.graph.node:
        node.output[:] = [before if name == output.name else name for name in node.output]
        node.input[:] = [before if name == output.name else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(axes, np.float32), "projection_axes"))
    model.graph.node.extend(
        [
            helper.make_node("MatMul", [before, "projection_axes"], ["projection_rows"]),
            helper.make_node("LpNormalization", ["projection_rows"], [output.name], axis=-1, p=2),
        ]
    )
    output.type.tensor_type.shape.dim[-1].dim_value = axes.shape[1]
    del model.graph.value_info[:]  # shapes of before; they are derived again when needed
    return bytes(model.SerializeToString())


def smaller(graph: bytes, dtype: str) -> bytes:
    """Return the graph with its weights kept as ``"float32"`` (as it is), ``"float16"`` or ``"int8"``."""
    if dtype == "float16":
        return _as_float16(graph)
    return quantised(graph) if dtype == "int8" else graph


def quantised(graph: bytes) -> bytes:
    """Return the graph with products in bytes: weights rounded once for each column, inputs as they come.

    Weights use seven of the eight bits: without VNNI, processors add pairs of products in 16 bits, which overflow
    otherwise, silently.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(_marked(graph))
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return target.read_bytes()


def _marked(graph: bytes) -> bytes:
    """Return the graph marked as prepared: else the quantiser advises so on the root logger, and sets that up."""
    import onnx
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load_from_string(graph)
    add_pre_process_metadata(model)
    return bytes(model.SerializeToString())


def _as_float16(graph: bytes) -> bytes:
    """Keep large weights as float16; the runtime turns them back once, when it loads them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(graph)
    casts = []
    for tensor in _large_floats(model.graph):
        values: NDArray[Any] = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name, stored = tensor.name, tensor.name + "_float16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _large_floats(graph: GraphProto) -> list[Any]:
    from onnx import TensorProto

    return [
        tensor
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) >= _LEAST
    ]
