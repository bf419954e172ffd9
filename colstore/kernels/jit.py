"""Kernels: compiled once by numba, kept as machine code, loaded in milliseconds by ctypes.

A kernel is Python that numba compiles for this very processor (``colstore/kernels/sources``). Importing numba takes some
0.4 s and compiling a kernel about one more, which is too much for a process that answers one question. So the machine
code is written to a cache folder of the user's own, and later processes load it with llvmlite alone. Nothing of numba
is imported when every kernel that a process needs is there.

The cache folder is ``$COLSTORE_CACHE``, else ``$XDG_CACHE_HOME/colstore``, else ``~/.cache/colstore``. A file there is
used only if it belongs to this user, nobody else may write to it, and its checksum is right; the name carries the
versions, the processor and the kernels' own source. Where the folder cannot be used, kernels are compiled in memory.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from colstore.kernels.signatures import SIGNATURES

Kernel = Callable[..., None]
_C_TYPES: Mapping[str, Any] = {"p": ctypes.c_void_p, "i": ctypes.c_ssize_t, "f": ctypes.c_float}
_loaded: dict[str, Kernel] = {}
_lock = threading.RLock()
_engines: list[Any] = []  # what owns the machine code; functions live as long as these


def kernel(name: str, **parameters: int | str) -> Kernel:
    """Return the compiled kernel ``name``, specialised on ``parameters``.

    The function takes addresses (``ndarray.ctypes.data``) and sizes as :data:`SIGNATURES` lists them, holds no Python
    lock while it runs, keeps no state, and checks nothing: callers do.
    """
    key = name + "".join(f"-{k}={v}" for k, v in sorted(parameters.items()))
    found = _loaded.get(key)
    if found is not None:
        return found
    with _lock:
        if key not in _loaded:
            _loaded[key] = _load_or_compile(key, name, parameters)
        return _loaded[key]


def _load_or_compile(key: str, name: str, parameters: Mapping[str, int | str]) -> Kernel:
    path = _cache_file(key)
    stored = None if path is None else _read_trusted(path)
    if stored is None:
        symbol, code, address, owner = _compile(name, parameters)
        _engines.append(owner)
        if path is not None and code is not None:
            _write_atomically(path, _seal(symbol, code))
    else:
        symbol, code = stored
        address = _link(symbol, code)
    arguments = [_C_TYPES[letter] for letter in SIGNATURES[name]]
    prototype: Callable[[int], Kernel] = ctypes.CFUNCTYPE(None, *arguments)
    return prototype(address)


def _compile(name: str, parameters: Mapping[str, int | str]) -> tuple[str, bytes | None, int, object]:
    """Compile with numba; the code is ``None`` where it needs more of numba than itself, and so cannot be kept."""
    module = importlib.import_module(f"colstore.kernels.sources.{name}")
    compiled = module.build(**parameters)
    from colstore.kernels.sources.build import portable_object

    return compiled._wrapper_name, portable_object(compiled), compiled.address, compiled


def _link(symbol: str, code: bytes) -> int:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(symbol))


# --- processor ------------------------------------------------------------------------------------------------


@functools.cache
def flavour() -> str:
    """Return the byte product this processor has: ``"vnni512"``, ``"vnni256"``, ``"avx2"`` or ``"portable"``.

    ``$COLSTORE_KERNELS`` chooses another one, which must be among those that the processor has.
    """
    available = available_flavours()
    wanted = os.environ.get("COLSTORE_KERNELS")
    return wanted if wanted in available else available[0]


@functools.cache
def available_flavours() -> tuple[str, ...]:
    """Return the flavours that this processor can run, fastest first."""
    features = _processor()[1]
    known = {
        "vnni512": ("avx512vnni", "avx512f", "avx512bw", "avx512vl"),
        "vnni256": ("avxvnni", "avx2"),
        "avx2": ("avx2",),
        "portable": (),
    }
    return tuple(name for name, needs in known.items() if all(features.get(need) for need in needs))


@functools.cache
def _processor() -> tuple[str, Mapping[str, bool]]:
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name(), dict(llvm.get_host_cpu_features())


# --- cache ----------------------------------------------------------------------------------------------------


@functools.cache
def _cache_folder() -> Path | None:
    base = os.environ.get("COLSTORE_CACHE")
    if base is None:
        xdg = os.environ.get("XDG_CACHE_HOME")
        base = str((Path(xdg) if xdg else Path.home() / ".cache") / "colstore")
    folder = Path(base) / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError):
        return None
    return folder


def _cache_file(key: str) -> Path | None:
    folder = _cache_folder()
    return None if folder is None else folder / f"{key}-{_fingerprint()}.o"


@functools.cache
def _fingerprint() -> str:
    """Hash whatever the machine code depends on."""
    from importlib.metadata import version

    cpu, features = _processor()
    digest = hashlib.sha256()
    for part in (version("numba"), version("llvmlite"), sys.platform, cpu, str(sorted(features.items()))):
        digest.update(part.encode())
    for source in sorted((Path(__file__).parent / "sources").glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:24]


def _seal(symbol: str, code: bytes) -> bytes:
    body = symbol.encode() + b"\n" + code
    return hashlib.sha256(body).digest() + body


def _read_trusted(path: Path) -> tuple[str, bytes] | None:
    try:
        state = path.stat()
        if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & 0o022):
            return None
        data = path.read_bytes()
    except OSError:
        return None
    body = data[32:]
    if hashlib.sha256(body).digest() != data[:32]:
        return None
    symbol, _, code = body.partition(b"\n")
    return symbol.decode(), code


def _write_atomically(path: Path, data: bytes) -> None:
    """Keep the code for the next process; a cache that cannot be written costs time, nothing else."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
    except OSError:
        return
