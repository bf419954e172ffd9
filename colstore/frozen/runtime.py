"""An ONNX graph in onnxruntime."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from colstore.errors import CorruptIndexError, MissingDependencyError
from colstore.frozen.graph import check_graph

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_ERRORS_ONLY = 3


def open_graph(data: bytes, *, threads: int, name: str = "query.onnx") -> InferenceSession:
    """Return a session over a graph on the CPU.

    Parameters
    ----------
    data
        The ONNX file; complete in itself.
    threads
        That share one run. With 1 no thread is started.
    name
        Of the file, for messages.

    Raises
    ------
    CorruptIndexError
        It is no graph that may be run.
    MissingDependencyError
        If onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "encoding a question needs onnxruntime, which is not installed; run: pip install onnxruntime"
        ) from error
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
