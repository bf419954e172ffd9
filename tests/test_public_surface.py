"""The names that people may rely on; everything else may move."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import colstore
from colstore import errors

REPOSITORY = Path(__file__).resolve().parents[1]

PUBLIC = {
    "BuildConfig",
    "BuildReport",
    "Calibration",
    "CallableReranker",
    "ChangeReport",
    "ColstoreError",
    "CompareConfig",
    "Comparison",
    "CrossEncoderReranker",
    "Document",
    "EncodedText",
    "Encoder",
    "Evaluation",
    "FieldNames",
    "Fusion",
    "Generation",
    "Hit",
    "Hits",
    "Index",
    "IndexInfo",
    "Listener",
    "Passage",
    "PassageConfig",
    "Progress",
    "Query",
    "ReadReport",
    "RerankStage",
    "RerankedRun",
    "Reranker",
    "RunLine",
    "RunReport",
    "SearchParams",
    "TruncatedQueryWarning",
    "TokenCounter",
    "TuneReport",
    "UnreadableQueryWarning",
    "VerifyReport",
    "__version__",
    "build",
    "build_from_vectors",
    "compare",
    "create",
    "evaluate_index",
    "evaluate_run",
    "history",
    "load_encoder",
    "open",
    "read_documents",
    "read_qrels",
    "read_queries",
    "read_run",
    "recover",
    "save_comparison",
    "verify",
    "write_run",
}

TESTING = {"CodecConformance", "EncoderConformance", "FakeEncoder", "FakeReranker", "RerankerConformance"}

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


UNDOCUMENTED_TYPES = {"Listener", "__version__"}
"""Public names that are no classes or functions, and so have no docstring of their own."""


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


def test_errors_and_testing_are_there_after_importing_colstore_alone() -> None:
    code = "import colstore; assert colstore.errors.UnknownIdError; assert colstore.testing.FakeEncoder"
    assert not modules_after(f"{code}; assert 'errors' in dir(colstore)") & {"torch", "pytest"}
    modules_after("import colstore\ntry: colstore.open('/nowhere')\nexcept colstore.errors.IndexNotFoundError: pass")


def test_the_testing_module_offers_fakes_and_suites() -> None:
    assert set(colstore.testing.__all__) == TESTING
    for name in TESTING:
        assert getattr(colstore.testing, name).__doc__
        assert name in dir(colstore.testing)
    with pytest.raises(AttributeError, match="no_such_name"):
        colstore.testing.no_such_name  # noqa: B018


# --- docstrings -------------------------------------------------------------------------------------------------


def functions() -> list[tuple[str, Any]]:
    """Public functions, the public methods of public classes, and public classes, each by name."""
    documented = []
    for name in sorted(PUBLIC - UNDOCUMENTED_TYPES):
        value = getattr(colstore, name)
        documented.append((name, value))
        if inspect.isclass(value):
            members = [(f"{name}.{key}", member) for key, member in vars(value).items() if not key.startswith("_")]
            documented += [(key, unwrapped(member)) for key, member in members if is_documentable(member)]
    return documented


def is_documentable(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)


def unwrapped(member: Any) -> Any:
    return member.__func__ if isinstance(member, classmethod | staticmethod) else member


@pytest.mark.parametrize(("name", "value"), functions(), ids=[name for name, _ in functions()])
def test_every_public_name_has_a_docstring(name: str, value: Any) -> None:
    documentation = inspect.getdoc(value) or ""
    assert documentation, f"{name} has no docstring"
    assert not documentation.startswith(f"{name}("), f"{name} has the docstring that dataclass writes"


def described(documentation: str) -> set[str]:
    """Names in the section of parameters: each at the start of a line, several of them separated by commas."""
    names: set[str] = set()
    lines = documentation.splitlines()
    for number, line in enumerate(lines):
        if line.strip() == "Parameters" and set(lines[number + 1].strip()) == {"-"}:
            for parameter in lines[number + 2 :]:
                if parameter.strip() and not parameter.startswith((" ", "-")):
                    names |= {name.strip(" *") for name in parameter.split(":")[0].split(",")}
    return names


def with_parameters() -> list[tuple[str, Any]]:
    """Functions of the package, methods of Index, and settings and reports, which people construct or read."""
    chosen = [(name, value) for name, value in functions() if inspect.isfunction(value)]
    chosen = [(name, value) for name, value in chosen if "." not in name or name.startswith("Index.")]
    return chosen + [(name, value) for name, value in functions() if dataclasses.is_dataclass(value)]


@pytest.mark.parametrize(("name", "value"), with_parameters(), ids=[name for name, _ in with_parameters()])
def test_every_parameter_is_described(name: str, value: Any) -> None:
    parameters = set(inspect.signature(value).parameters) - {"self", "cls"}
    missing = parameters - described(inspect.getdoc(value) or "")
    assert not missing, f"the docstring of {name} does not describe {sorted(missing)}"


@pytest.mark.parametrize("page", ["README.md", *sorted(path.name for path in (REPOSITORY / "docs").glob("*.md"))])
def test_pages_use_public_names_only(page: str) -> None:
    """What people copy from a page has to last: names of ``colstore.`` in Python code are public ones."""
    path = REPOSITORY / page if page == "README.md" else REPOSITORY / "docs" / page
    code = "\n".join(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL))
    used = set(re.findall(r"\bcolstore\.([A-Za-z_]+)", code)) - {"colstore"}
    assert used <= PUBLIC | {"errors", "testing"}


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
