"""The other project called colstore is noticed where it is installed in the same folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from colstore._neighbour import neighbour

PACKAGE = Path(__file__).resolve().parents[1] / "colstore"


def imported(folder: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import colstore; print(colstore.__file__)"
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder that this package is installed in, as pip would have done it."""
    for source in (PACKAGE / "__init__.py", PACKAGE / "_neighbour.py", PACKAGE / "_version.py"):
        (tmp_path / "colstore").mkdir(exist_ok=True)
        shutil.copy(source, tmp_path / "colstore")
    for name in ("colstore_index-0.1.0.dist-info", "numpy-2.0.0.dist-info", "colstores-1.0.dist-info"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_alone_nothing_is_said(site: Path) -> None:
    assert neighbour(str(site)) is None
    assert imported(site).stderr == ""


@pytest.mark.parametrize("name", ["colstore-0.5.1.dist-info", "colstore-0.5.1.egg-info"])
def test_the_other_project_in_the_same_folder_is_named_at_import(site: Path, name: str) -> None:
    (site / name).mkdir()
    assert neighbour(str(site)) == "colstore 0.5.1"
    run = imported(site)
    assert str(site) in run.stdout
    assert "RuntimeWarning: colstore 0.5.1 is another project" in run.stderr
    assert "pip uninstall colstore colstore-index, then pip install colstore-index" in run.stderr


def test_a_folder_that_cannot_be_listed_is_no_error(tmp_path: Path) -> None:
    assert neighbour(str(tmp_path / "archive.zip")) is None
