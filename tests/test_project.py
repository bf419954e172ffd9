"""The files around the code: constraints, scripts, licence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from colstore.extras import DISTRIBUTION

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = sorted({*PROJECT["dependencies"], *chain.from_iterable(EXTRAS.values())})
OTHERS = [one for one in REQUIREMENTS if canonicalize_name(Requirement(one).name) != DISTRIBUTION]
MODELS = {"torch", "transformers", "sentence-transformers", "onnx", "onnxscript"}


def pinned() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.partition("==") for line in lines if not line.startswith("#"))
    return {name: version for name, _, version in pins}


@pytest.mark.parametrize("requirement", OTHERS)
def test_every_requirement_is_pinned_within_its_range(requirement: str) -> None:
    wanted = Requirement(requirement)
    assert wanted.specifier.contains(pinned()[canonicalize_name(wanted.name)])


def test_the_base_needs_no_models_and_the_extra_for_models_brings_them_all() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert {Requirement(one).name for one in PROJECT["dependencies"]}.isdisjoint(MODELS)
    assert {Requirement(one).name for one in EXTRAS["encode"]} >= MODELS


def test_extras_that_are_made_of_others_name_extras_that_exist() -> None:
    named = [Requirement(one) for one in REQUIREMENTS if one not in OTHERS]
    assert named
    for requirement in named:
        assert requirement.extras <= set(EXTRAS)


def test_no_file_tells_people_to_install_the_other_project() -> None:
    wrong = re.compile(r"pip install[^\n]*[ '\"]colstore(?!-index)\b")
    pages = chain(*(REPOSITORY.glob(pattern) for pattern in ("*.md", "docs/*.md", "colstore/**/*.py", "scripts/*")))
    found = {page.name: wrong.findall(page.read_text("utf-8")) for page in pages if page.is_file()}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_pins_are_plain_versions_from_anywhere() -> None:
    for name, version in pinned().items():
        assert name == canonicalize_name(name)
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}=={version}: no local version, no address"


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", ".ci/run"])
def test_scripts_can_be_run_and_stop_at_the_first_error(script: str) -> None:
    path = REPOSITORY / script
    text = path.read_text(encoding="utf-8")
    assert os.access(path, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_large_files_are_refused_and_small_ones_pass(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "check_file_sizes.py"
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    large.write_bytes(bytes(1_000_001))
    assert subprocess.run([sys.executable, str(script), str(small)], check=False).returncode == 0
    refused = subprocess.run(
        [sys.executable, str(script), str(small), str(large)], check=False, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "large" in refused.stdout
    assert "small:" not in refused.stdout


def test_the_licence_is_the_one_that_is_declared() -> None:
    text = (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
