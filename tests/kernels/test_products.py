"""The byte product: which instructions it becomes on processors that this machine need not have."""

from __future__ import annotations

import re

import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from colstore.kernels.processor import NEEDS
from colstore.kernels.sources.byte_products import ByteProducts
from colstore.kernels.sources.emit import I8, I64, Emitter, size

TARGET = "x86_64-unknown-linux-gnu"


def module_of(flavour: str, *, wide: bool = False) -> llvm.ModuleRef:
    """Return a function of pointers to codes, query and sums that is one byte product."""
    module = ir.Module("product")
    pointer = I8.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, pointer, pointer, I64]), "product")
    codes, query, out, flush = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    emitter = Emitter(builder)
    product = ByteProducts(emitter, flavour, rows=1, vectors=1, wide=wide)
    for (value,) in product.run([codes], query, 8, flush):
        emitter.store(value, out, size(0))
    builder.ret_void()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return parsed


def assembly(module: llvm.ModuleRef, features: frozenset[str]) -> str:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    try:
        target = llvm.Target.from_triple(TARGET)
    except RuntimeError:
        pytest.skip("NEEDS an LLVM that compiles for x86: this one does not, so this test did not run")
    wanted = ",".join(f"+{feature}" for feature in sorted(features | {"64bit"}))
    return str(target.create_target_machine(cpu="x86-64", features=wanted, opt=2).emit_assembly(module))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("flavour", "instruction"),
    [("vnni512", r"vpdpbusd\s.*%zmm"), ("vnni256", r"\{vex\}\s+vpdpbusd\s.*%ymm"), ("avx2", r"vpmaddubsw\s.*%ymm")],
)
def test_flavours_become_their_instructions(flavour: str, instruction: str, wide: bool) -> None:
    text = assembly(module_of(flavour, wide=wide), NEEDS[flavour])
    assert re.search(instruction, text), text


@pytest.mark.parametrize("wide", [False, True])
def test_the_portable_flavour_needs_nothing_special(wide: bool) -> None:
    text = assembly(module_of("portable", wide=wide), frozenset())
    assert not re.search(r"vpdpbusd|pmaddubsw|[yz]mm", text)


def test_codes_are_the_unsigned_operand() -> None:
    """The instruction multiplies its second operand, unsigned, by its third, signed."""
    module = ir.Module("one")
    vector = ir.VectorType(ir.IntType(32), 16)
    wide = ir.VectorType(I8, 64)
    function = ir.Function(module, ir.FunctionType(vector, [vector, wide, wide]), "one")
    builder = ir.IRBuilder(function.append_basic_block())
    product = ByteProducts(Emitter(builder), "vnni512", rows=1, vectors=1)
    builder.ret(product._accumulate(*function.args))
    text = assembly(llvm.parse_assembly(str(module)), NEEDS["vnni512"])
    assert re.search(r"vpdpbusd\s+%zmm2, %zmm1, %zmm0", text), text  # AT&T order: signed, unsigned, total
