"""The base installs beside PyLate, whose pins exclude the sentence-transformers that the extra ``encode`` needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.install.conftest import Installed

pytestmark = pytest.mark.install
NEEDED_BYTES = 12 << 30
"""PyLate pins fast-plaid, which pins torch 2.11.0, whose wheel on the package index brings CUDA: 5.4 GB."""

_BOTH = """
import sys, colstore
with colstore.open(sys.argv[1]) as index:
    assert index.search("who dances in a hive?", 1)[0].id == "bees"
assert "torch" not in sys.modules, "searching imported torch, which is installed here"
import sentence_transformers, pylate.models
assert int(sentence_transformers.__version__.split(".")[0]) < 6
print("both")
"""


def test_both_install_and_work_in_one_environment(
    wheel: Path, prepared: Path, environment: Callable[..., Installed], tmp_path: Path
) -> None:
    free = shutil.disk_usage(tmp_path).free
    if free < NEEDED_BYTES:
        pytest.skip(f"NEEDS {NEEDED_BYTES >> 30} GB of free disk, {free >> 30} are free: this test did not run")
    both = environment("3.11", "--no-compile", wheel, "pylate")
    assert {"pylate", "colstore-index"} <= both.packages
    assert both.run("-c", _BOTH, prepared / "x.colstore", HF_HUB_OFFLINE="1").split() == ["both"]
