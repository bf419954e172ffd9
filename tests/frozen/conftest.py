"""A tiny encoder, frozen once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from colstore.encode import TransformerEncoder, export_query_encoder, load_encoder
from tests.encode.checkpoints import make_checkpoint


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> TransformerEncoder:
    """Return a tiny BERT in PyLate's layout: markers, expansion, projections, a skip list."""
    folder = make_checkpoint(tmp_path_factory.mktemp("model") / "tiny", "pylate", "bert")
    encoder = load_encoder(folder, device="cpu")
    assert isinstance(encoder, TransformerEncoder)
    return encoder


@pytest.fixture(scope="session")
def files(original: TransformerEncoder) -> Mapping[str, bytes]:
    """Return its frozen files."""
    return export_query_encoder(original)
