from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import colstore
from colstore.errors import ChecksumError, EncoderError, TruncatedFileError
from colstore.frozen import FILES, FrozenEncoder
from colstore.types import Document, EncodedText, FloatMatrix, Json

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "transformers", "sentence_transformers", "huggingface_hub", "onnx", "pyarrow", "h5py"}
TEXTS = ["Bees dance in the dark hive.", "Statins lower CRP levels.", "An old river runs to the sea."]

_SEARCH = """
import sys, colstore
with colstore.open(sys.argv[1]) as index:
    print(index.search("who dances in a hive?", 1)[0].id)
print(" ".join(sys.modules))
"""


@pytest.fixture(scope="module")
def index_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an index with all-MiniLM-L6-v2."""
    path = tmp_path_factory.mktemp("frozen") / "x.colstore"
    documents = [Document(id=f"d{number}", text=text) for number, text in enumerate(TEXTS)]
    colstore.build(path, documents).close()
    return path


def searched(python: str, path: Path, **environment: str) -> tuple[str, set[str]]:
    """Search in a fresh process; return the first id, and the modules that were imported."""
    run = subprocess.run(
        [python, "-c", _SEARCH, str(path)],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
    )
    assert run.returncode == 0, run.stderr
    first, modules = run.stdout.splitlines()
    return first, set(modules.split())


def test_a_text_search_imports_neither_torch_nor_what_only_building_needs(index_path: Path) -> None:
    first, modules = searched(sys.executable, index_path)
    assert first == "d0"
    assert modules.isdisjoint(HEAVY), modules & HEAVY
    assert "onnxruntime" in modules


def test_the_manifest_lists_the_files_and_the_frozen_encoder_answers(index_path: Path) -> None:
    with colstore.open(index_path) as index:
        assert isinstance(index.encoder, FrozenEncoder)
        info = index.info()
        assert info.encoder is not None
        assert info.encoder == index.encoder.settings
        assert info.bytes["encoder"] > 1_000_000
    assert {path.name for path in (index_path / "encoder" / "000001").iterdir()} == set(FILES)


def test_documents_can_still_be_added_after_a_search(index_path: Path, tmp_path: Path) -> None:
    shutil.copytree(index_path, tmp_path / "copy")
    with colstore.open(tmp_path / "copy") as index:
        index.search("bees")
        index.add([Document(id="new", text="Volcanoes throw ash.")])
        assert index.search("what do volcanoes throw?", 1)[0].id == "new"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["a changed byte", "cut short"])
def test_a_damaged_encoder_is_a_named_error_and_vectors_still_search(
    index_path: Path, tmp_path: Path, name: str, damage: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(index_path, copy)
    file = copy / "encoder" / "000001" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data if damage == "a changed byte" else data[:-1])
    with colstore.open(copy) as index:
        with pytest.raises(ChecksumError if damage == "a changed byte" else TruncatedFileError, match=name):
            index.search("bees")
        assert index.search(index.vectors(["d1"])[0], 1)[0].id == "d1"


class Bespoke:
    """An encoder that nothing is known of."""

    dim = 4
    settings: dict[str, Json] = {"kind": "bespoke", "model": "mine", "dim": 4}  # noqa: RUF012 - the protocol's property

    def encode_queries(self, texts: list[str]) -> list[FloatMatrix]:
        import numpy as np

        return [np.eye(4, dtype=np.float32)[: 1 + len(text) % 4] for text in texts]

    def encode_documents(self, texts: list[str]) -> list[EncodedText]:
        return [EncodedText(matrix) for matrix in self.encode_queries(texts)]


def test_an_encoder_that_cannot_be_frozen_is_noted_and_needed_later(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x", ["one", "three"], model=Bespoke()) as index:  # type: ignore[arg-type]  # attributes for properties
        assert index.report is not None
        assert "could not be frozen" in index.report.notes[0]
        assert index.search("one", 1)
    with colstore.open(tmp_path / "x") as index, pytest.raises(EncoderError, match="bespoke"):
        index.search("one")


def test_a_model_that_no_exporter_understands_is_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise RuntimeError("an operator that ONNX lacks")

    monkeypatch.setattr("colstore.encode.graph._record", refuse)
    monkeypatch.setattr("colstore.encode.graph._read", refuse)
    with colstore.build(tmp_path / "x", TEXTS) as index:
        assert index.report is not None
        assert "an operator that ONNX lacks" in index.report.notes[0]
    with colstore.open(tmp_path / "x") as index:
        assert not isinstance(index.encoder, FrozenEncoder)
        assert index.search("who dances in a hive?", 1)[0].id == "0"
