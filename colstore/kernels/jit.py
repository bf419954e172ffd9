"""Kernels: compiled once by numba, kept as machine code, loaded in milliseconds by ctypes.

A kernel is Python that numba compiles for this very processor (``colstore/kernels/sources``). Importing numba
takes some 0.4 s and compiling a kernel about one more, which is too much for a process that answers one
question. So the machine code is kept in a folder of the user's own (``cache.py``), and later processes load
it with llvmlite alone. Nothing of numba is imported when every kernel that a process needs is there.
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
"""By name and parameters, in whatever order they were given: one kernel may be there under several keys."""
_lock = threading.RLock()
_owners: list[object] = []  # of the machine code; functions live as long as these


def kernel(name: str, **parameters: int | str) -> Kernel:
    """Return the compiled kernel ``name``, specialised on ``parameters``.

    The function takes addresses (``ndarray.ctypes.data``) and sizes as
    :data:`colstore.kernels.signatures.SIGNATURES` lists them, holds no Python lock while it runs, keeps no
    state, and checks nothing: callers do.

    Raises
    ------
    ConfigError
        numba was told to compile for another processor than this one.
    """
    given = (name, *parameters.items())
    found = _loaded.get(given)
    if found is not None:
        return found
    key = name + "".join(f"-{k}={v}" for k, v in sorted(parameters.items()))
    with _lock:
        if given not in _loaded:
            _loaded[given] = _load_or_compile(key, name, parameters)
        return _loaded[given]


def _load_or_compile(key: str, name: str, parameters: Mapping[str, int | str]) -> Kernel:
    kept = cache.read(key)
    address = 0 if kept is None else _link(kept)
    if not address:
        address, code = _compile(name, parameters)
        if code is not None:
            cache.write(key, code)
    # numba's own calling convention: a place for the result (there is none), one for an error (neither), a status
    arguments = [_C_TYPES[letter] for letter in "pp" + SIGNATURES[name]]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, *arguments)
    return functools.partial(prototype(address), _NOWHERE, _NOWHERE)


def _compile(name: str, parameters: Mapping[str, int | str]) -> tuple[int, bytes | None]:
    """Return where the kernel lies, and what :func:`_link` takes.

    That is ``None`` where the kernel needs more of numba than itself, and so cannot be kept.
    """
    module = importlib.import_module(f"colstore.kernels.sources.{name}")
    from colstore.kernels.sources.compile import address, portable_object, symbol, target_features

    missing = NEEDS[str(parameters.get("flavour", "portable"))] - target_features()
    if missing:  # LLVM would end the process
        raise ConfigError(
            f"numba is set to compile without {', '.join(sorted(missing))}: unset NUMBA_CPU_NAME and its like"
        )
    with _jit_switched_on():
        compiled = module.build(**parameters)
    _owners.append(compiled)
    code = portable_object(compiled)
    return address(compiled), None if code is None else symbol(compiled).encode() + b"\n" + code


@contextmanager
def _jit_switched_on() -> Iterator[None]:
    """Compile even where ``NUMBA_DISABLE_JIT`` is set, which people do to debug functions of their own."""
    from numba.core import config

    before = config.DISABLE_JIT
    config.DISABLE_JIT = 0
    try:
        yield
    finally:
        config.DISABLE_JIT = before


def _link(kept: bytes) -> int:
    """Return where a kept kernel lies once linked, or 0 if it is not there."""
    import llvmlite.binding as llvm

    symbol, _, code = kept.partition(b"\n")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _owners.append(engine)
    return int(engine.get_function_address(symbol.decode()))
