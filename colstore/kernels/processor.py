"""Features of this processor, and a fingerprint of everything that machine code for it depends on."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from colstore.kernels.layout import WIDTHS

NEEDS: Mapping[str, frozenset[str]] = {
    "vnni512": frozenset({"avx512vnni", "avx512f", "avx512bw", "avx512vl"}),
    "vnni256": frozenset({"avxvnni", "avx2"}),
    "avx2": frozenset({"avx2"}),
    "portable": frozenset(),
}
"""Processor features, by their names in LLVM, that each flavour of the byte product needs; fastest first."""

_NUMBA_SETTINGS = ("CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE")


@functools.cache
def processor() -> tuple[str, frozenset[str]]:
    """Return the name of this processor and its features, as LLVM names them."""
    import llvmlite.binding as llvm

    features: Mapping[str, bool] = llvm.get_host_cpu_features()
    return llvm.get_host_cpu_name(), frozenset(name for name, present in features.items() if present)


@functools.cache
def available_flavours() -> tuple[str, ...]:
    """Return the flavours of the byte product that this processor can run, fastest first."""
    features = processor()[1]
    return tuple(name for name in WIDTHS if NEEDS[name] <= features)


@functools.cache
def fingerprint() -> str:
    """Return a hash of everything that the machine code depends on."""
    name, features = processor()
    settings = (os.environ.get(f"NUMBA_{setting}", "") for setting in _NUMBA_SETTINGS)
    digest = hashlib.sha256()
    for part in (_version("numba"), _version("llvmlite"), sys.platform, name, *sorted(features), *settings):
        digest.update(part.encode() + b"\0")
    here = Path(__file__).parent
    for source in (
        here / "jit.py",
        here / "layout.py",
        here / "signatures.py",
        *sorted((here / "sources").glob("*.py")),
    ):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:24]


def _version(package: str) -> str:
    """Return a package's version without importing it: the content of its ``_version.py``, if it has one.

    ``importlib.metadata`` is used only as a fallback, because importing it takes longer than everything else here.
    """
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin).parent / "_version.py"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    from importlib.metadata import version

    return version(package)
