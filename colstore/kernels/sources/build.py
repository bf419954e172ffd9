"""What kernel sources share: typed pointers that index like arrays, and the way from Python to machine code."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic, overload

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


def compiled(signature: str) -> Callable[[Callable[..., None]], Any]:
    """Compile a function of pointers and sizes; ``signature`` names their types, as in ``"u8 i64 f32 int"``."""
    arguments = [POINTERS[word] for word in signature.split()]
    decorate: Callable[[Callable[..., None]], Any] = cfunc(types.void(*arguments), nopython=True, error_model="numpy")
    return decorate


def portable_object(function: Any) -> bytes | None:  # noqa: ANN401 - a numba object, which has no types
    """Return the machine code of a compiled function, or ``None`` if it calls anything but itself and libc."""
    library = function._library
    module = llvm.parse_assembly(library.get_llvm_str())
    outside = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    if outside - {"memset", "memcpy", "memmove"}:
        return None
    _, kind, (code, _) = library.serialize_using_object_code()
    return code if kind == "object" or code else None


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def _load(_context: Any, pointer: Any, index: Any) -> Any:  # noqa: ANN401
    def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        where = builder.gep(arguments[0], [arguments[1]])
        loaded = builder.load(where)
        loaded.align = 1
        return context.data_model_manager[pointer.dtype].from_data(builder, loaded)

    return pointer.dtype(pointer, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def _store(_context: Any, pointer: Any, index: Any, value: Any) -> Any:  # noqa: ANN401
    def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        where = builder.gep(arguments[0], [arguments[1]])
        stored = builder.store(context.data_model_manager[pointer.dtype].as_data(builder, arguments[2]), where)
        stored.align = 1
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer.dtype), codegen


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def shifted(_context: Any, pointer: Any, count: Any) -> Any:  # noqa: ANN401
    """Return the pointer ``count`` elements further on."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def half_to_float(_context: Any, half: Any) -> Any:  # noqa: ANN401
    """Return the float32 of a float16's bits (finite values only)."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        i32, f32 = ir.IntType(32), ir.FloatType()
        bits = builder.zext(arguments[0], i32)
        magnitude = builder.shl(builder.and_(bits, ir.Constant(i32, 0x7FFF)), ir.Constant(i32, 13))
        value = builder.fmul(builder.bitcast(magnitude, f32), ir.Constant(f32, 2.0**112))
        sign = builder.shl(builder.and_(bits, ir.Constant(i32, 0x8000)), ir.Constant(i32, 16))
        return builder.bitcast(builder.or_(builder.bitcast(value, i32), sign), f32)

    return types.float32(types.uint16), codegen


@overload(operator.getitem)  # type: ignore[untyped-decorator]  # numba ships no types
def _pointer_getitem(pointer: Any, index: Any) -> Any:  # noqa: ANN401, ARG001
    if isinstance(pointer, types.CPointer):
        return lambda pointer, index: _load(pointer, index)
    return None


@overload(operator.setitem)  # type: ignore[untyped-decorator]  # numba ships no types
def _pointer_setitem(pointer: Any, index: Any, value: Any) -> Any:  # noqa: ANN401, ARG001
    if isinstance(pointer, types.CPointer):
        return lambda pointer, index, value: _store(pointer, index, value)
    return None
