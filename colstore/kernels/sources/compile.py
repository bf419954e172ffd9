"""Compilation of kernel sources: typed pointers that can be indexed like arrays, and access to the machine code."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic, overload

from colstore.kernels.sources.emit import Emitter

POINTERS: dict[str, Any] = {
    "u8": types.CPointer(types.uint8),
    "i8": types.CPointer(types.int8),
    "u16": types.CPointer(types.uint16),
    "u32": types.CPointer(types.uint32),
    "i32": types.CPointer(types.int32),
    "i64": types.CPointer(types.int64),
    "f32": types.CPointer(types.float32),
    "int": types.intp,
    "float": types.float32,
}
UNSIGNED = {1: "u8", 2: "u16", 4: "u32"}
"""Names of the unsigned types by their size in bytes. Codes and postings use the narrowest type that fits."""

REASSOCIATE = {"reassoc", "contract", "nsz"}
"""Flags that let LLVM vectorise sums. LLVM then chooses the order of a sum, but it is the same for every row."""


def compiled(signature: str, fastmath: set[str] | bool = False) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator that compiles a function of pointers and sizes.

    Parameters
    ----------
    signature
        Types of the arguments, as keys of :data:`POINTERS`, such as ``"u8 i64 f32 int"``.
    fastmath
        Flags of LLVM's fast-math mode.
    """
    arguments = [POINTERS[word] for word in signature.split()]
    options = {"error_model": "numpy", "fastmath": fastmath, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

    def compile_now(function: Callable[..., None]) -> Any:
        (overload,) = njit(types.void(*arguments), **options)(function).overloads.values()
        return overload

    return compile_now


def target_features() -> frozenset[str]:
    """Return the features that numba compiles for: those of the processor, unless numba is configured otherwise."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(word[1:] for word in features.split(",") if word.startswith("+"))


def symbol(function: Any) -> str:
    """Return the name of a compiled function in its machine code."""
    name: str = function.fndesc.llvm_func_name
    return name


def address(function: Any) -> int:
    """Return the address of a compiled function."""
    return int(function.library.get_pointer_to_function(symbol(function)))


def portable_object(function: Any) -> bytes | None:
    """Return the machine code of a compiled function, or ``None`` if it calls functions other than those of libc."""
    module = llvm.parse_assembly(function.library.get_llvm_str())
    outside = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    if outside - {"memset", "memcpy", "memmove"}:
        return None
    _, kind, (code, _) = function.library.serialize_using_object_code()
    return code if kind == "object" else None


@intrinsic
def _load(_context: Any, pointer: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        loaded = builder.load(builder.gep(arguments[0], [arguments[1]]))
        loaded.align = 1
        return context.data_model_manager[pointer.dtype].from_data(builder, loaded)

    return pointer.dtype(pointer, types.intp), codegen


@intrinsic
def _store(_context: Any, pointer: Any, index: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target = builder.gep(arguments[0], [arguments[1]])
        stored = builder.store(context.data_model_manager[pointer.dtype].as_data(builder, arguments[2]), target)
        stored.align = 1
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer.dtype), codegen


@intrinsic
def shifted(_context: Any, pointer: Any, count: Any) -> Any:
    """Return the pointer advanced by ``count`` elements."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), codegen


@intrinsic
def half_to_float(_context: Any, half: Any) -> Any:
    """Return the float32 of the bits of a float16, which must be finite."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return Emitter(builder).half_to_float(arguments[0])

    return types.float32(types.uint16), codegen


@intrinsic
def root(_context: Any, value: Any) -> Any:
    """Return the square root of a float32 by the processor's instruction, because ``numpy.sqrt`` calls a library."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return Emitter(builder).call("llvm.sqrt.f32", ir.FloatType(), arguments)

    return types.float32(types.float32), codegen


@overload(operator.getitem)
def _pointer_getitem(pointer: Any, index: Any) -> Any:
    if isinstance(pointer, types.CPointer):
        return lambda pointer, index: _load(pointer, index)
    return None


@overload(operator.setitem)
def _pointer_setitem(pointer: Any, index: Any, value: Any) -> Any:
    if isinstance(pointer, types.CPointer):
        return lambda pointer, index, value: _store(pointer, index, value)
    return None
