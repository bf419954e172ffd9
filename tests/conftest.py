"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
"""The same examples in every run, however slow the machine is; ``--hypothesis-profile=default`` looks for others."""
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real collections beside the checkout, or skip loudly."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("NEEDS ../shared/data (real collections beside the checkout): not there, so this test did not run")
    return folder


@pytest.fixture(scope="session")
def minilm() -> str:
    """Return the folder of all-MiniLM-L6-v2 from the installed package, or skip loudly."""
    from colstore.encode.hub import embedded_model_path

    return str(embedded_model_path())
