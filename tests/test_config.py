"""Settings: integers of numpy, one object in place of many arguments, and vectors with titles and metadata."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import BuildConfig, PassageConfig
from colstore.errors import ConfigError
from colstore.testing import FakeEncoder

DOCUMENTS = [{"id": f"d{i}", "text": f"page {i} about ships"} for i in range(12)]


def test_settings_hold_plain_values_whatever_they_were_made_of() -> None:
    config = BuildConfig(
        bits=np.int64(2),  # type: ignore[arg-type]  # as many of the others, on purpose
        pool_factor=np.float32(2),  # type: ignore[arg-type]
        centroids=np.int32(8),  # type: ignore[arg-type]
        segment_documents=np.int64(100),  # type: ignore[arg-type]
        seed=np.uint8(3),  # type: ignore[arg-type]
    )
    assert config == BuildConfig(bits=2, pool_factor=2.0, centroids=8, segment_documents=100, seed=3)
    assert {type(value) for value in asdict(config).values()} == {int, float, str, bool, dict}


def test_an_object_builds_what_the_arguments_build(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"bits": 2, "centroids": 4, "seed": 3, "store_texts": False}
    config = BuildConfig(**settings)
    with (
        colstore.build(tmp_path / "a", DOCUMENTS, model=FakeEncoder(), config=config) as one,
        colstore.build(tmp_path / "b", DOCUMENTS, model=FakeEncoder(), **settings) as other,
        colstore.build(tmp_path / "c", DOCUMENTS, model=FakeEncoder(), config=config, bits=2) as both,
    ):
        assert one.info().config == other.info().config == both.info().config == asdict(config)
        assert one.search("page 3") == other.search("page 3")


def test_sizes_of_segments_can_be_set(tmp_path: Path) -> None:
    config = BuildConfig(segment_documents=5)
    with colstore.build(tmp_path / "a", DOCUMENTS, model=FakeEncoder(), config=config) as index:
        assert index.info().config["segment_documents"] == 5
    rows = [np.eye(4, dtype=np.float32)] * 12
    with colstore.build_from_vectors(tmp_path / "b", map(str, range(12)), rows, config=config) as index:
        assert index.info().config["segment_documents"] == 5


def test_defaults_are_those_of_the_settings(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x", DOCUMENTS, model=FakeEncoder()) as index:
        assert index.info().config == asdict(BuildConfig())


def test_passages_can_be_set_in_every_way(tmp_path: Path) -> None:
    assert BuildConfig().passages == BuildConfig(passages=True).passages == PassageConfig()  # type: ignore[arg-type]
    assert BuildConfig.of(BuildConfig(passages=None), passages=False).passages is None
    with pytest.raises(ConfigError, match="contradicts config"):
        BuildConfig.of(BuildConfig(), passages=False)
    with pytest.raises(ConfigError, match="passages must be True, False or a"):
        BuildConfig(passages=256)  # type: ignore[arg-type]  # on purpose
    with colstore.build(tmp_path / "x", DOCUMENTS, model=FakeEncoder(), passages=False) as index:
        assert index.info().config["passages"] is None
    with colstore.create(tmp_path / "y", model=FakeEncoder(), passages=PassageConfig(4, 2)) as index:
        assert index.info().config["passages"] == {"max_tokens": 4, "overlap": 2}


def test_vectors_bring_titles_texts_and_metadata(tmp_path: Path) -> None:
    import torch

    rows = torch.eye(4)
    with colstore.build_from_vectors(
        tmp_path / "x",
        (name for name in "ab"),
        [rows[:2].to(torch.bfloat16), rows[2:].requires_grad_()],  # type: ignore[list-item]  # tensors
        texts=["first", "second"],
        titles=iter(["A", "B"]),
        metadata=[{"year": 2020}, {"year": 2021, "tags": ["x"]}],
    ) as index:
        (hit,) = index.search(rows.detach(), where={"year": {"gte": 2021}})  # type: ignore[arg-type]  # a tensor
        assert (hit.id, hit.title, hit.text, hit.metadata) == ("b", "B", "second", {"year": 2021, "tags": ["x"]})
        assert index.search(rows[:2], k=1)[0].id == "a"  # type: ignore[arg-type]  # a tensor
