"""The base installation searches, adds vectors, reranks, verifies and evaluates, without any model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.install.conftest import CONSTRAINTS, QUERIES, Installed

pytestmark = pytest.mark.install
SCRIPT = Path(__file__).with_name("use_base.py")
MOST_PACKAGES = 34
"""It was 32 when this was written, colstore itself included; what it needs may need a little more one day."""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_base_works_in_a_fresh_environment(
    version: str, wheel: Path, prepared: Path, environment: Callable[..., Installed], tmp_path: Path
) -> None:
    base = environment(version, "-c", CONSTRAINTS, wheel)
    assert len(base.packages) <= MOST_PACKAGES, sorted(base.packages)
    copy = tmp_path / "elsewhere" / "x.colstore"
    shutil.copytree(prepared / "x.colstore", copy)
    base.run(SCRIPT, copy, prepared)
    base.pip("check")
    check_commands(base, copy, prepared)
    check_read_only(base, copy, tmp_path)


def check_commands(base: Installed, index: Path, queries: Path) -> None:
    """Run the commands that need no model."""
    assert base.command("--version").startswith("colstore ")
    found = json.loads(base.command("search", index, QUERIES["q2"], "-k", "1", "--json"))
    assert json.dumps(found).count('"moon"') == 1
    run = index.with_name("first.trec")
    run.write_text("q2 Q0 bread 1 2.0 x\nq2 Q0 moon 2 1.0 x\n", encoding="utf-8")
    assert base.command("rerank", index, "--run", run, "--queries", queries / "queries.jsonl").split()[2] == "moon"
    assert "nDCG@10" in base.command("eval", index, "--queries", queries, "-k", "5")
    assert base.command("info", index)
    base.command("verify", "--deep", index)
    base.command("delete", index, "twin")
    refused = base.refused("build", queries / "queries.jsonl", "-o", index.with_name("new.colstore"))
    assert "pip install 'colstore-index[demo]'" in refused
    assert "Traceback" not in refused


def check_read_only(base: Installed, index: Path, folder: Path) -> None:
    """Search in a directory that cannot be written, with no network and no home."""
    paths = [index, *index.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    code = "import sys, colstore; print(colstore.open(sys.argv[1]).search('who dances in a hive?', 1)[0].id)"
    try:
        nobody = {"HOME": str(folder / "nobody"), "http_proxy": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
        assert base.run("-c", code, index, **nobody).split() == ["bees"]
    finally:
        for path in paths:
            path.chmod(0o755)
