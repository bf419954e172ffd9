"""Where figures were measured, in words: they mean little without it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from colstore.types import Json

_PACKAGES = ("colstore", "numpy", "faiss-cpu", "bm25s", "ir-measures", "torch", "onnxruntime", "sentence-transformers")


def machine() -> dict[str, Json]:
    """Return processor, cores, Python and versions of what takes part."""
    versions: dict[str, Json] = {}
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
