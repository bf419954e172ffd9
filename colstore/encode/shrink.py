"""Graphs to other graphs: with a projection at the end, with smaller weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colstore.types import FloatMatrix

if TYPE_CHECKING:
    from onnx import GraphProto

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
