"""Which byte product is used: the fastest there is, unless it computes nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from colstore.errors import ConfigError
from colstore.kernels import flavours
from colstore.kernels.processor import NEEDS, available_flavours, processor
from tests.kernels.conftest import Forget

fast_only = pytest.mark.skipif(len(available_flavours()) < 2, reason="this processor has the portable flavour alone")


def test_the_portable_flavour_is_always_there() -> None:
    assert available_flavours()[-1] == "portable"


def test_flavours_go_by_the_features_of_the_processor() -> None:
    assert set(available_flavours()) == {name for name, needs in NEEDS.items() if needs <= processor()[1]}


@pytest.mark.parametrize("name", available_flavours())
def test_every_flavour_of_this_processor_is_right(folder: Path, name: str) -> None:
    assert flavours.is_correct(name)


def test_the_fastest_is_chosen_and_tried_once(folder: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLSTORE_KERNELS", raising=False)
    assert flavours.flavour() == available_flavours()[0]
    forget()
    monkeypatch.setattr(flavours, "_try", lambda name: pytest.fail(f"{name} was tried again"))
    assert flavours.flavour() == available_flavours()[0]


@fast_only
def test_one_that_computes_nonsense_is_passed_over_with_a_warning(
    folder: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch
) -> None:
    from colstore.kernels.sources.byte_products import ByteProducts

    right = ByteProducts._accumulate

    def swapped(self: ByteProducts, total: Any, codes: Any, lanes: Any) -> Any:
        return right(self, total, lanes, codes)  # signed bytes taken for unsigned ones

    monkeypatch.delenv("COLSTORE_KERNELS", raising=False)
    monkeypatch.setattr(ByteProducts, "_accumulate", swapped)
    for _ in range(2):  # the second time from what the cache says
        with pytest.warns(RuntimeWarning, match="compute wrong results"):
            assert flavours.flavour() == "portable"
        forget()


def test_the_user_chooses_among_those_there_are(folder: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLSTORE_KERNELS", "portable")
    assert flavours.flavour() == "portable"
    monkeypatch.setenv("COLSTORE_KERNELS", "neon")
    forget()
    with pytest.raises(ConfigError, match="neon: this processor supports only"):
        flavours.flavour()
