"""Kernel ``product``: the byte product alone, in one small shape, on which a flavour is tried."""

from __future__ import annotations

from typing import Any

from colstore.kernels.layout import TRIAL_DIM, TRIAL_LANES, TRIAL_ROWS, WIDTHS
from colstore.kernels.sources.byte_products import ByteProducts
from colstore.kernels.sources.compile import compiled
from colstore.kernels.sources.emit import Emitter, emitted, size


def build(*, flavour: str) -> Any:
    """Compile for one flavour."""
    width = WIDTHS[flavour]
    vectors = TRIAL_LANES // width

    def write(e: Emitter, codes: Any, layout: Any, flush: Any, sums: Any, *, wide: bool) -> None:
        b = e.builder
        product = ByteProducts(e, flavour, TRIAL_ROWS, vectors, wide=wide)
        rows = [b.gep(codes, [size(TRIAL_DIM * row)]) for row in range(TRIAL_ROWS)]
        for row, values in enumerate(product.run(rows, layout, TRIAL_DIM // 4, flush)):
            for v, value in enumerate(values):
                e.store(value, sums, size(4 * (row * TRIAL_LANES + v * width)))

    @emitted
    def narrow(e: Emitter, codes: Any, layout: Any, flush: Any, sums: Any) -> None:
        write(e, codes, layout, flush, sums, wide=False)

    @emitted
    def wide(e: Emitter, codes: Any, layout: Any, flush: Any, sums: Any) -> None:
        write(e, codes, layout, flush, sums, wide=True)

    @compiled("u8 u8 i8 int i32 i32")
    def product(small: Any, large: Any, layout: Any, flush: Any, small_sums: Any, large_sums: Any) -> None:
        narrow(small, layout, flush, small_sums)
        wide(large, layout, flush, large_sums)

    return product
