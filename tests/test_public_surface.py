"""The names that people may rely on; everything else may move."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import colstore
from colstore import errors

REPOSITORY = Path(__file__).resolve().parents[1]

PUBLIC = {
    "BuildConfig",
    "BuildReport",
    "CallableReranker",
    "ChangeReport",
    "ColstoreError",
    "Comparison",
    "CrossEncoderReranker",
    "Document",
    "EncodedText",
    "Encoder",
    "Evaluation",
    "Generation",
    "Hit",
    "Index",
    "IndexInfo",
    "Progress",
    "RerankStage",
    "Reranker",
    "SearchParams",
    "VerifyReport",
    "__version__",
    "build",
    "build_from_vectors",
    "compare",
    "create",
    "evaluate_index",
    "evaluate_run",
    "history",
    "open",
    "recover",
    "verify",
}

HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "h5py",
    "faiss",
    "numba",
    "pyarrow",
    "scipy",
    "sklearn",
}


def error_names() -> set[str]:
    return {name for name in vars(errors) if name.endswith("Error")}


def modules_after(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has after running some code."""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(' '.join(sys.modules))"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_the_public_names_are_these() -> None:
    assert set(colstore.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(colstore, name) is not None
    assert name in dir(colstore)


@pytest.mark.parametrize("name", sorted(error_names()))
def test_every_error_is_a_colstore_error_and_drawn_in_the_tree(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, colstore.ColstoreError)
    assert name in (errors.__doc__ or "")


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        colstore.no_such_name  # noqa: B018


def test_importing_colstore_loads_nothing_heavy() -> None:
    assert not modules_after("import colstore") & HEAVY


def test_opening_an_index_never_loads_what_only_building_needs(tmp_path: Path) -> None:
    code = f"import colstore\ntry: colstore.open({str(tmp_path)!r})\nexcept colstore.ColstoreError: pass\n"
    assert not modules_after(code) & {"torch", "transformers", "sentence_transformers"}


@pytest.mark.parametrize("first", ["colstore.indexing", "colstore.index", "colstore.cli.build"])
def test_modules_do_not_hide_the_functions_of_their_name(first: str) -> None:
    """Importing a submodule binds its name in the package; people must get the functions all the same."""
    modules_after(f"import {first}, colstore; assert callable(colstore.build); assert callable(colstore.open)")
