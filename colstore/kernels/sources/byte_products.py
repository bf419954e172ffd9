"""The byte product, on which all integer kernels are based, and the unpacking of codes for it.

The product multiplies unsigned codes by signed query bytes, four dimensions at a time for all query lanes at once. Its
operands have these layouts:

- codes: one byte for each dimension, in order;
- query: ``[groups of 4 dimensions][lanes][4 dimensions]``, int8.

Four flavours compute the same integers: AVX512-VNNI, AVX-VNNI, AVX2 (``vpmaddubsw``), and portable vector arithmetic
that LLVM lowers for any processor. AVX2 and the portable flavour add in 16 bits, which can overflow. The caller
therefore states after how many groups (``flush``) the sums must be widened, a bound that ``prepare`` computes for each
query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from colstore.kernels.layout import WIDTHS
from colstore.kernels.sources.emit import I8, I16, I32, Emitter, filled, size


class ByteProducts:
    """Integer products of ``rows`` rows of codes with the query lanes.

    Parameters
    ----------
    emitter
        Emitter of the instructions.
    flavour
        One of :data:`colstore.kernels.layout.WIDTHS`.
    rows, vectors
        Number of code rows at a time, and of vectors of query lanes. There are ``rows * vectors`` accumulators.
    wide
        Whether codes may exceed 15 (up to 126). If so, each step is widened at once, and ``flush`` is ignored.
    """

    def __init__(self, emitter: Emitter, flavour: str, rows: int, vectors: int, *, wide: bool = False) -> None:
        self.e, self.flavour, self.vectors, self.wide = emitter, flavour, vectors, wide
        self.width = WIDTHS[flavour]
        self.bytes = ir.VectorType(I8, 4 * self.width)
        self.sums = ir.VectorType(I32, self.width)
        self.totals = [emitter.slot(self.sums) for _ in range(rows * vectors)]
        self.direct = flavour.startswith("vnni") or (flavour == "avx2" and wide)
        if flavour == "avx2":
            self.narrow = ir.VectorType(I16, 16)
        else:
            self.narrow = ir.VectorType(I32 if wide else I16, 4 * self.width)

    def run(
        self, codes: Sequence[Any], query: Any, groups: int, flush: Any, weights: Sequence[int] = (1,)
    ) -> list[list[Any]]:
        """Emit the product and return its int32 sums, ``[row][vector]``.

        ``codes`` has an ``i8*`` pointer for each row, to ``len(weights)`` planes of ``4 * groups`` bytes. The product
        of plane ``p`` is multiplied by ``weights[p]``.
        """
        b = self.e.builder
        for slot in self.totals:
            b.store(filled(self.sums, 0), slot)
        for plane, weight in enumerate(weights):
            start = [b.gep(pointer, [size(plane * 4 * groups)]) for pointer in codes]
            if self.direct:
                self._direct_plane(start, query, groups, weight)
            else:
                self._flushed_plane(start, query, groups, flush, weight)
        sums = [b.load(slot) for slot in self.totals]
        return [sums[i : i + self.vectors] for i in range(0, len(sums), self.vectors)]

    def _direct_plane(self, codes: Sequence[Any], query: Any, groups: int, weight: int) -> None:
        """Add directly into 32-bit sums. A weighted plane is summed separately and multiplied at the end."""
        b = self.e.builder
        targets = self.totals if weight == 1 else self.e.slots(self.sums, len(self.totals), 0)
        with self.e.counted(size(groups)) as group:
            self._step(group, codes, query, targets)
        if weight != 1:
            for total, part in zip(self.totals, targets, strict=True):
                b.store(b.add(b.load(total), b.mul(b.load(part), filled(self.sums, weight))), total)

    def _flushed_plane(self, codes: Sequence[Any], query: Any, groups: int, flush: Any, weight: int) -> None:
        """Add into narrow sums, and widen them after every ``flush`` groups."""
        b = self.e.builder
        blocks = b.sdiv(b.sub(b.add(size(groups), flush), size(1)), flush)
        with self.e.counted(blocks) as block:
            first = b.mul(block, flush)
            partial = self.e.slots(self.narrow, len(self.totals), 0)
            with self.e.counted(self.e.smaller(flush, b.sub(size(groups), first))) as group:
                self._step(b.add(first, group), codes, query, partial)
            for total, part in zip(self.totals, partial, strict=True):
                b.store(b.add(b.load(total), self._widen(b.load(part), weight)), total)

    def _step(self, group: Any, codes: Sequence[Any], query: Any, targets: Sequence[Any]) -> None:
        """Multiply one group of four dimensions of every row with every lane."""
        e, b = self.e, self.e.builder
        base = b.mul(group, size(self.vectors * 4 * self.width))
        lanes = [e.load(query, b.add(base, size(v * 4 * self.width)), self.bytes) for v in range(self.vectors)]
        for row, pointer in enumerate(codes):
            word = e.load(pointer, b.mul(group, size(4)), I32)
            four = b.bitcast(e.splat(word, self.width), self.bytes)
            for v, lane in enumerate(lanes):
                slot = targets[row * self.vectors + v]
                b.store(self._accumulate(b.load(slot), four, lane), slot)

    def _accumulate(self, total: Any, codes: Any, lanes: Any) -> Any:
        e, b = self.e, self.e.builder
        if self.flavour.startswith("vnni"):
            # 32-bit operands: older versions of LLVM declare the intrinsic so, and newer ones, with bytes, convert them
            words = [b.bitcast(operand, self.sums) for operand in (codes, lanes)]
            return e.call(f"llvm.x86.avx512.vpdpbusd.{32 * self.width}", self.sums, [total, *words])
        if self.flavour == "avx2":
            pairs = e.call("llvm.x86.avx2.pmadd.ub.sw", ir.VectorType(I16, 16), [codes, lanes])
            return b.add(total, self._pairs(pairs, 1) if self.wide else pairs)
        return b.add(total, b.mul(b.zext(codes, self.narrow), b.sext(lanes, self.narrow)))

    def _pairs(self, shorts: Any, weight: int) -> Any:
        weights = filled(ir.VectorType(I16, 16), weight)
        return self.e.call("llvm.x86.avx2.pmadd.wd", self.sums, [shorts, weights])

    def _widen(self, partial: Any, weight: int) -> Any:
        """Add the parts of each lane in 32 bits, and multiply the sum by ``weight``."""
        b = self.e.builder
        if self.flavour == "avx2":
            return self._pairs(partial, weight)
        vector = partial if self.wide else b.sext(partial, ir.VectorType(I32, partial.type.count))
        while vector.type.count > self.width:
            half = vector.type.count // 2
            even = ir.Constant(ir.VectorType(I32, half), list(range(0, 2 * half, 2)))
            odd = ir.Constant(ir.VectorType(I32, half), list(range(1, 2 * half, 2)))
            undefined = ir.Constant(vector.type, ir.Undefined)
            vector = b.add(b.shuffle_vector(vector, undefined, even), b.shuffle_vector(vector, undefined, odd))
        return b.mul(vector, filled(self.sums, weight))


def unpack(e: Emitter, packed: Any, row: Any, bits: int, dim: int) -> None:
    """Write the codes of one token as bytes; plane ``p`` has the dimensions ``p * n ... (p + 1) * n - 1``.

    At 8 bits each code is split: the low halves form a first plane of ``dim`` bytes, and the high halves a second one.
    """
    b = e.builder
    stored = dim * bits // 8
    step = min(bits, 4)
    position = 0
    while position < stored:
        width = next(w for w in (32, 16, 8, 4) if position + w <= stored)
        kind = ir.VectorType(I8, width)
        piece = e.load(packed, size(position), kind)
        for plane in range(8 // step):
            moved = b.lshr(piece, filled(kind, plane * step)) if plane else piece
            codes = b.and_(moved, filled(kind, (1 << step) - 1))
            e.store(codes, row, size(plane * stored + position))
        position += width
