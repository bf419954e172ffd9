"""Compiling and loading kernels: numba compiles a kernel once, and later processes load its machine code by ctypes.

A kernel is Python code that numba compiles for the processor at hand (``colstore/kernels/sources``). Importing numba
takes about 0.4 s and compiling a kernel about 1 s, which is too long for a process that runs a single query. The
machine code is therefore stored in a cache folder of the user (``cache.py``), and later processes load it within
milliseconds with llvmlite alone. If every kernel that a process needs is in the cache, numba is not imported at all.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from colstore.errors import ConfigError
from colstore.kernels import cache
from colstore.kernels.processor import NEEDS
from colstore.kernels.signatures import SIGNATURES

Kernel = Callable[..., int]
_C_TYPES: Mapping[str, Any] = {"p": ctypes.c_void_p, "i": ctypes.c_ssize_t, "f": ctypes.c_float}
_NOWHERE = ctypes.addressof(_place := ctypes.c_void_p())
_loaded: dict[tuple[object, ...], Kernel] = {}
"""Loaded kernels by name and parameters. The parameters may come in any order, so a kernel can have several keys."""
_lock = threading.RLock()
_owners: list[object] = []  # owners of the machine code: the functions exist as long as these objects do


def kernel(name: str, **parameters: int | str) -> Kernel:
    """Return the compiled kernel ``name``, specialised for ``parameters``.

    The function takes addresses (``ndarray.ctypes.data``) and sizes as listed in
    :data:`colstore.kernels.signatures.SIGNATURES`. It releases the GIL while it runs, keeps no state, and does not
    check its arguments; the caller has to.

    Raises
    ------
    ConfigError
        numba is configured to compile for another processor than this one.
    """
    request = (name, *parameters.items())
    loaded = _loaded.get(request)
    if loaded is not None:
        return loaded
    key = name + "".join(f"-{k}={v}" for k, v in sorted(parameters.items()))
    with _lock:
        if request not in _loaded:
            _loaded[request] = _load_or_compile(key, name, parameters)
        return _loaded[request]


def _load_or_compile(key: str, name: str, parameters: Mapping[str, int | str]) -> Kernel:
    stored = cache.read(key)
    address = 0 if stored is None else _link(stored)
    if not address:
        address, code = _compile(name, parameters)
        if code is not None:
            cache.write(key, code)
    # numba's calling convention: pointers to a result and to an error (both unused here), and a status as the result
    arguments = [_C_TYPES[letter] for letter in "pp" + SIGNATURES[name]]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, *arguments)
    return functools.partial(prototype(address), _NOWHERE, _NOWHERE)


def _compile(name: str, parameters: Mapping[str, int | str]) -> tuple[int, bytes | None]:
    """Return the address of the kernel and the bytes that :func:`_link` takes.

    The bytes are ``None`` if the kernel calls functions of numba, because then it cannot be cached.
    """
    module = importlib.import_module(f"colstore.kernels.sources.{name}")
    from colstore.kernels.sources.compile import address, portable_object, symbol, target_features

    missing = NEEDS[str(parameters.get("flavour", "portable"))] - target_features()
    if missing:  # LLVM would abort the process
        raise ConfigError(
            f"numba is configured to compile without {', '.join(sorted(missing))}: unset NUMBA_CPU_NAME and "
            "NUMBA_CPU_FEATURES"
        )
    with _jit_switched_on():
        compiled = module.build(**parameters)
    _owners.append(compiled)
    code = portable_object(compiled)
    return address(compiled), None if code is None else symbol(compiled).encode() + b"\n" + code


@contextmanager
def _jit_switched_on() -> Iterator[None]:
    """Compile even if ``NUMBA_DISABLE_JIT`` is set, which users do to debug functions of their own."""
    from numba.core import config

    before = config.DISABLE_JIT
    config.DISABLE_JIT = 0
    try:
        yield
    finally:
        config.DISABLE_JIT = before


def _link(stored: bytes) -> int:
    """Link a cached kernel and return its address, or 0 if the machine code does not contain it."""
    import llvmlite.binding as llvm

    symbol, _, code = stored.partition(b"\n")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _owners.append(engine)
    return int(engine.get_function_address(symbol.decode()))
