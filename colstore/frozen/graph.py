"""What an ONNX graph may contain: all of its weights, and standard operators only.

onnxruntime follows names of files outside of a graph ("external data"), relative to the working directory for a graph
from memory. A hostile file could make it read anything. So the graph's outline (protobuf fields, without the weights)
is walked first; the numbers below are those of ``onnx.proto``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

from colstore.errors import CorruptIndexError
from colstore.extras import require

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_TENSOR = "tensor"
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    _TENSOR: {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_OPERATOR, _DOMAIN = 4, 7
_DOMAINS = (b"", b"ai.onnx", b"com.microsoft")
_WIDTHS = {1: 8, 5: 4}
_MAX_DEPTH = 32


def check_graph(data: bytes, name: str) -> None:
    """Refuse a file that is not an ONNX graph, names other files, or uses operators that are not standard.

    Parameters
    ----------
    data
        The ONNX file.
    name
        Name of the file, for messages.

    Raises
    ------
    CorruptIndexError
        The file is refused; says why.

    Examples
    --------
    >>> check_graph(b"not a graph", "query.onnx")
    Traceback (most recent call last):
        ...
    colstore.errors.CorruptIndexError: query.onnx: not an ONNX graph ...
    """
    _Walk(memoryview(data), name).message("model", 0, len(data), 0)


class _Walk:
    """One pass over the fields of a protobuf message, which skips the weights."""

    def __init__(self, data: memoryview, name: str) -> None:
        self._data, self._name = data, name

    def message(self, kind: str, at: int, end: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            self._refuse("it is nested too deeply")
        while at < end:
            key, at = self._number(at, end)
            field, wire = key >> 3, key & 7
            if wire == 2:
                size, at = self._number(at, end)
                if size > end - at:
                    self._refuse("a field ends beyond it")
                self._inside(kind, field, at, at + size, depth)
                at += size
            elif wire == 0:
                value, at = self._number(at, end)
                if kind == _TENSOR and field == _DATA_LOCATION and value:
                    self._refuse("weights in another file are refused")
            elif wire in _WIDTHS:
                at += _WIDTHS[wire]
            else:
                self._refuse("an unknown kind of field")
        if at > end:
            self._refuse("a field ends beyond it")

    def _inside(self, kind: str, field: int, at: int, end: int, depth: int) -> None:
        if kind == _TENSOR and field == _EXTERNAL_DATA:
            self._refuse("weights in another file are refused")
        if kind == "node":
            self._check_operator(field, bytes(self._data[at:end]) if end - at < 256 else b"?")
        child = _CHILDREN[kind].get(field)
        if child is not None:
            self.message(child, at, end, depth + 1)

    def _check_operator(self, field: int, value: bytes) -> None:
        if field == _DOMAIN and value not in _DOMAINS:
            self._refuse(f"an operator of the domain {value[:60]!r} is refused")
        if field == _OPERATOR and value == b"EPContext":  # names a file to load
            self._refuse("the operator EPContext is refused")

    def _number(self, at: int, end: int) -> tuple[int, int]:
        """Return the number of variable width at ``at``, and where it ends."""
        value = shift = 0
        while at < end and shift < 64:
            byte = self._data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
            shift += 7
        return self._refuse("a number is cut off")

    def _refuse(self, why: str) -> NoReturn:
        raise CorruptIndexError(
            f"not an ONNX graph that colstore runs: {why}; build the index again, or restore it from a copy",
            file=self._name,
        )


_ERRORS_ONLY = 3


def open_graph(data: bytes, *, threads: int, name: str = "query.onnx") -> InferenceSession:
    """Return a session over a graph on the CPU.

    Parameters
    ----------
    data
        The ONNX file, with all of its weights.
    threads
        Number of threads that share one run. With 1 no thread is started.
    name
        Name of the file, for messages.

    Raises
    ------
    CorruptIndexError
        The graph is refused, or onnxruntime cannot run it.
    MissingDependencyError
        onnxruntime is not installed.
    """
    require("onnxruntime", extra="", purpose="Encoding a query")
    import onnxruntime

    check_graph(data, name)
    if sys.platform == "win32":  # elsewhere it has none
        onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Threads that wait in a loop would take the cores of the search that follows.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # Without its fallback, which would print to standard output and try the same once more.
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime has a class for each kind of failure, none of them public
        raise CorruptIndexError(
            f"onnxruntime cannot run this graph ({str(error)[:300]}); build the index again with this version, or "
            "restore it from a copy",
            file=name,
        ) from error
