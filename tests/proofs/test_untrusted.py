"""An index from a stranger is data: its names stay inside, its numbers allocate nothing, nothing in it is run."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import colstore
from colstore.errors import ColstoreError, CorruptIndexError
from colstore.store.checksums import checksum
from tests.proofs.fuzz_index import Lab, attempt, bounded_memory
from tests.proofs.small_index import TableEncoder

PACKAGE = Path(colstore.__file__).resolve().parent
Body = dict[str, Any]
Forge = Callable[[Body, Any], object]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


def forged_body(lab: Lab, forge: Forge, value: object) -> Body:
    body: Body = json.loads(json.dumps(lab.body))
    forge(body, value)
    return body


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = (
    "../secret",
    "/etc/passwd",
    "segments/../../secret.h5",
    "encoder/../../secret",
    "encoder/./x",
    "encoder//x",
    ".hidden",
    "encoder/.hidden",
    "segments/.tmp-x.h5",
    "codec-000001.h5/../../x",
    "codec-000001.h5\x00",
    "",
    "codec-000001.h5\n",
    "encoder/a/b/c/d/e",
    "encoder\\..\\x",
    "C:\\x",
    "~/x",
    "LOCK",
    "manifest-000000000001.json",
    "segments/-rf.h5",
    "deletes/../x-000000000004.h5",
    "codec-00000\N{ARABIC-INDIC DIGIT ONE}.h5",
)
NAMED: dict[str, Forge] = {
    "codec": lambda body, name: body["codec"]["files"][0].update(path=name),
    "centroids": lambda body, name: body["centroids"].update(path=name),
    "encoder": lambda body, name: body["encoder"]["files"][0].update(path=name),
    "deleted": lambda body, name: body["segments"][0]["deleted"]["file"].update(path=name),
    "segment": lambda body, name: body["segments"][0].update(id=name),
}


@pytest.mark.parametrize("place", NAMED)
@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_directory(lab: Lab, place: str, name: str) -> None:
    with lab.forged({}, forged_body(lab, NAMED[place], name)) as path:
        with pytest.raises(CorruptIndexError):
            colstore.open(path)
        assert not colstore.verify(path, "quick").ok


@pytest.mark.parametrize("place", NAMED)
def test_no_file_is_taken_for_one_of_another_kind(lab: Lab, place: str) -> None:
    others = {record.path for record in lab.manifest.files if record.arrays} | {"encoder/000001/x", "segments/x"}
    kinds = {"codec": "codec-", "centroids": "centroids-", "encoder": "encoder/", "deleted": "deletes/000001-0001-"}
    for name in others:
        if not name.startswith(kinds.get(place, "?")):
            with lab.forged({}, forged_body(lab, NAMED[place], name)) as path, pytest.raises(CorruptIndexError):
                colstore.open(path)


# --- numbers ---------------------------------------------------------------------------------------------------------

NUMBERS = (-1, 2**31, 2**40, 2**62, 2**63, 10**19, True, 1.0, None, "1")
COUNTED: dict[str, Forge] = {
    "documents": lambda body, n: body.update(documents=n),
    "tokens": lambda body, n: body.update(tokens=n),
    "dim": lambda body, n: body.update(dim=n),
    "documents of a segment": lambda body, n: _first_segment(body, "documents", n),
    "tokens of a segment": lambda body, n: _first_segment(body, "tokens", n),
    "bytes of a segment": lambda body, n: body["segments"][0].update(bytes=n),
    "bytes of the codec": lambda body, n: body["codec"]["files"][0].update(bytes=n),
    "bytes of the list of deleted documents": lambda body, n: body["segments"][0]["deleted"]["file"].update(bytes=n),
    "deleted documents": lambda body, n: body["segments"][0]["deleted"].update(documents=n),
    "deleted tokens": lambda body, n: body["segments"][0]["deleted"].update(tokens=n),
    "an offset": lambda body, n: body["segments"][0]["arrays"]["residuals"].update(offset=n),
    "a length": lambda body, n: body["segments"][0]["arrays"]["residuals"].update(shape=[n, 8]),
    "a width": lambda body, n: body["codec"]["files"][0]["arrays"]["centroids"].update(shape=[1, n]),
}


def _first_segment(body: Body, name: str, number: Any) -> None:
    """Set a count of the first segment, and where that can be done its sum."""
    body["segments"][0][name] = number
    numbers = [segment[name] for segment in body["segments"]]
    if all(isinstance(number, int) for number in numbers):
        body[name] = sum(numbers)


@pytest.mark.parametrize("place", COUNTED)
@pytest.mark.parametrize("number", NUMBERS)
def test_no_number_is_believed_before_it_was_compared(lab: Lab, place: str, number: object) -> None:
    with (
        lab.forged({}, forged_body(lab, COUNTED[place], number)) as path,
        bounded_memory(64 << 20),
        pytest.raises(ColstoreError),
    ):
        colstore.open(path).info()


# --- HDF5 and FAISS ------------------------------------------------------------------------------------------------


def codec_with(lab: Lab, folder: Path, kind: str) -> bytes:
    """Return a codec file in which libhdf5 would look for an array elsewhere; the manifest's offsets lie inside it."""
    path = folder / "forged.h5"
    (folder / "secret").write_bytes(b"secret" * 10_000)
    with h5py.File(path, "w") as file:
        file["padding"] = np.zeros(len(lab.tree["codec-000001.h5"]), np.uint8)
        if kind == "external link":
            file["rotation"] = h5py.ExternalLink("secret", "x")
        elif kind == "external storage":
            file.create_dataset("rotation", (16, 16), "<f4", external=[("secret", 0, h5py.h5f.UNLIMITED)])
        elif kind == "virtual dataset":
            layout = h5py.VirtualLayout((16, 16), "<f4")
            layout[:] = h5py.VirtualSource("secret", "x", (16, 16))
            file.create_virtual_dataset("rotation", layout)
        else:
            file.create_dataset("rotation", (16, 16), "<f4", chunks=(16, 16), compression="gzip")
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["external link", "external storage", "virtual dataset", "filter"])
def test_hdf5_files_that_lead_elsewhere_are_refused(lab: Lab, tmp_path: Path, kind: str) -> None:
    with lab.forged({"codec-000001.h5": codec_with(lab, tmp_path, kind)}) as path:
        with pytest.raises(CorruptIndexError):
            colstore.open(path)
        assert "codec-000001.h5" in {problem.file for problem in colstore.verify(path, "deep").problems}


SEARCH = """
import sys, numpy, colstore
with colstore.open(sys.argv[1]) as index:
    hits = index.search(numpy.ones((2, index.dim), "float32"), k=3)
    assert len(hits) == 3 and hits[0].text
print(sorted({"faiss", "h5py", "torch", "pickle"} & sys.modules.keys()))
"""


def test_a_search_enters_neither_faiss_nor_libhdf5(lab: Lab) -> None:
    """So that a hostile file of theirs has nobody to be hostile to; whoever reads the FAISS file is not colstore."""
    garbage = b"IxHNSW" + bytes(range(256)) * 4
    name = lab.body["centroids"]["path"]
    body = forged_body(
        lab, lambda body, data: body["centroids"].update(bytes=len(data), checksum=checksum(data)), garbage
    )
    with lab.forged({name: garbage}, body) as path:
        command = [sys.executable, "-c", SEARCH, str(path)]
        found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PACKAGE.parent)
        assert colstore.verify(path, "full").ok
    assert found.stdout.strip() in ("[]", "['pickle']")  # numpy imports pickle, and nothing of ours uses it


# --- links -----------------------------------------------------------------------------------------------------------


def test_nothing_is_deleted_behind_a_link(lab: Lab, tmp_path: Path) -> None:
    """A folder of a stranger's index may be a link to that of another index: cleaning up must not go there."""
    victim = shutil.copytree(lab.path, tmp_path / "victim.colstore")
    trap = shutil.copytree(lab.path, tmp_path / "trap.colstore")
    for folder in ("segments", "deletes", "encoder"):
        shutil.rmtree(trap / folder)
        (trap / folder).symlink_to(victim / folder)
    before = {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()}
    with colstore.open(trap, encoder=TableEncoder()) as index:
        index.delete(["d0-001"])
        index.compact(clean=True)
    assert {path: path.read_bytes() for path in before} == before
    assert colstore.verify(victim, "deep").ok


def test_nothing_is_written_behind_a_link(lab: Lab, tmp_path: Path) -> None:
    """The files that are changed in place may be links to files of whoever opens a stranger's index."""
    victim = tmp_path / "letters.txt"
    victim.write_text("dear reader, " * 100)
    for name in ("LOCK", "NEWEST"):
        trap = shutil.copytree(lab.path, tmp_path / f"{name}.colstore")
        (trap / name).unlink()
        (trap / name).symlink_to(victim)
        with colstore.open(trap, encoder=TableEncoder()) as index:
            error = attempt(partial(index.delete, ["d0-001"]))
        assert error is None if name == "NEWEST" else "symbolic link" in str(error)
        assert victim.read_text() == "dear reader, " * 100
        with colstore.open(trap) as index:
            assert ("d0-001" in index) == (name == "LOCK")  # without a lock nothing may be changed


# --- code ------------------------------------------------------------------------------------------------------------

RUNNING = {"eval", "exec", "compile", "__import__"}
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "imp", "code"}
UNSAFE_CALLS = {
    "os.system",
    "os.popen",
    "torch.load",
    "yaml.load",
    "yaml.unsafe_load",
    "pd.read_pickle",
    "faiss.read_index",
    "faiss.deserialize_index",
    "runpy.run_path",
    "np.fromregex",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))


def unsafe(tree: ast.Module) -> Iterator[str]:
    """Yield what could run code that came out of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNSAFE_MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from _unsafe_call(node)


def _unsafe_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if name in RUNNING | UNSAFE_CALLS:
        yield name
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if name.endswith("load") and name.partition(".")[0] in ("np", "numpy"):
        allowed = keywords.get("allow_pickle")
        if not (isinstance(allowed, ast.Constant) and allowed.value is False):
            yield f"{name} without allow_pickle=False"
    if isinstance(weights := keywords.get("weights_only"), ast.Constant) and weights.value is not True:
        yield f"{name} with weights_only={weights.value!r}"


def test_the_package_unpickles_and_evaluates_nothing() -> None:
    found = {name: list(unsafe(tree)) for name, tree in sources()}
    assert len(found) > 100
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import numpy as np\nnp.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "eval('1')",
        "import torch\ntorch.load('x', weights_only=True)",
        "import faiss\nfaiss.read_index('x')",
        "AutoModel.from_pretrained('x', weights_only=False)",
    ],
)
def test_it_would_be_seen(code: str) -> None:
    assert list(unsafe(ast.parse(code)))
