"""Where figures were measured, in words: they mean little without it."""

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
    """Return processor, cores, Python and versions of what takes part."""
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
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8", errors="replace").splitlines() if known.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds a query.

    Parameters
    ----------
    median, p95
        The whole way from the question to ranked ids.
    encode
        Median of turning the question into vectors, which is a part of that; 0 where nothing is encoded.
    """

    median: float
    p95: float
    encode: float = 0.0


def latency(milliseconds: Sequence[float], encode: Sequence[float] = ()) -> Latency:
    """Return median and 95th percentile of milliseconds a query.

    Parameters
    ----------
    milliseconds
        Of each query, without encoding it.
    encode
        Of encoding each query, added query by query; empty where nothing is encoded.

    Examples
    --------
    >>> latency([1.0, 3.0, 2.0], [10.0, 10.0, 10.0])
    Latency(median=12.0, p95=12.9, encode=10.0)
    """
    whole = np.asarray(milliseconds, dtype=np.float64)
    if len(encode):
        whole = whole + np.asarray(encode)
    median, p95 = np.percentile(whole, [50, 95]) if len(whole) else (0.0, 0.0)
    return Latency(float(median), float(p95), float(np.median(encode)) if len(encode) else 0.0)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS, OpenMP and torch to one thread inside, and give back what they had."""
    from threadpoolctl import threadpool_limits

    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        torch = sys.modules.get("torch")  # never imported for this: what is not loaded has no threads
        if torch is not None:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        yield
