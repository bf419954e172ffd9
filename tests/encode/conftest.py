"""Checkpoints that are made once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from colstore.encode import load_encoder
from colstore.encode.transformer import TransformerEncoder
from colstore.types import Encoder
from tests.encode.checkpoints import MakeCheckpoint, make_checkpoint


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch use one thread: for tiny models a second one only waits, and long on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> MakeCheckpoint:
    """Return ``make_checkpoint`` with a memory: the same arguments, the same folder."""
    made: dict[str, Path] = {}

    def get(*arguments: Any, **options: Any) -> Path:
        key = repr((arguments, sorted(options.items())))
        if key not in made:
            made[key] = make_checkpoint(tmp_path_factory.mktemp("model") / "tiny", *arguments, **options)
        return made[key]

    return get


@pytest.fixture(scope="session")
def tiny_encoder(checkpoint: MakeCheckpoint) -> Callable[[str], Encoder]:
    """Return a function that gives the encoder of a tiny BERT in a layout."""
    loaded: dict[str, Encoder] = {}

    def get(layout: str) -> Encoder:
        if layout not in loaded:
            loaded[layout] = load_encoder(checkpoint(layout, "bert"), device="cpu", token_budget=64)
        return loaded[layout]

    return get


@pytest.fixture(scope="session")
def minilm_encoder(minilm: str) -> TransformerEncoder:
    """Return all-MiniLM-L6-v2, token by token."""
    encoder = load_encoder(minilm, device="cpu")
    assert isinstance(encoder, TransformerEncoder)
    return encoder
