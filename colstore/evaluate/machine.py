"""Latency, and the machine and package versions that it was measured with."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from colstore._version import __version__
from colstore.types import Json

_PACKAGES = ("numpy", "faiss-cpu", "bm25s", "ir-measures", "torch", "onnxruntime", "sentence-transformers")


def machine() -> dict[str, Json]:
    """Return the processor, the number of cores, and the versions of Python and of the packages that take part."""
    versions: dict[str, Json] = {"colstore": __version__}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds per query.

    Parameters
    ----------
    median, p95
        Median and 95th percentile from the query to the ranked ids, including encoding.
    encode
        Median of encoding the query; 0 where nothing is encoded.
    """

    median: float
    p95: float
    encode: float = 0.0


def latency(milliseconds: Sequence[float], encode: Sequence[float] = ()) -> Latency:
    """Return the median and 95th percentile of the time per query.

    Parameters
    ----------
    milliseconds
        Milliseconds of each query, without encoding it.
    encode
        Milliseconds of encoding each query, in the same order; empty where nothing is encoded.

    Examples
    --------
    >>> latency([1.0, 3.0, 2.0], [10.0, 10.0, 10.0])
    Latency(median=12.0, p95=12.9, encode=10.0)
    """
    total = np.asarray(milliseconds, dtype=np.float64)
    if len(encode):
        total = total + np.asarray(encode)
    median, p95 = np.percentile(total, [50, 95]) if len(total) else (0.0, 0.0)
    return Latency(float(median), float(p95), float(np.median(encode)) if len(encode) else 0.0)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to one thread, and restore their settings at the end."""
    from threadpoolctl import threadpool_limits

    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        torch = sys.modules.get("torch")  # not imported just for this: without torch there are no threads to limit
        if torch is not None:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        yield
