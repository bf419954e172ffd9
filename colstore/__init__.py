"""colstore: the SQLite of late interaction.

One directory holds a corpus's ColBERT token vectors, compressed; it is crash-safe, self-contained, answers a question
in milliseconds on a CPU, and reranks first-stage results straight from disk.

>>> sorted(set(__all__) & {"build", "build_from_vectors", "open", "Index"})
['Index', 'build', 'build_from_vectors', 'open']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from colstore._version import __version__

if TYPE_CHECKING:
    from colstore.building import build, build_from_vectors
    from colstore.config import BuildConfig, SearchParams
    from colstore.errors import ColstoreError
    from colstore.index import Index, IndexInfo
    from colstore.index import open_index as open  # noqa: A004 - colstore.open, as in gzip.open
    from colstore.living.checking import VerifyReport, verify
    from colstore.living.recovery import Generation, history, recover
    from colstore.living.report import ChangeReport
    from colstore.progress import BuildReport, Progress
    from colstore.types import Document, EncodedText, Encoder, Hit

_HOME = {
    "BuildConfig": "config",
    "BuildReport": "progress",
    "ChangeReport": "living.report",
    "ColstoreError": "errors",
    "Document": "types",
    "EncodedText": "types",
    "Encoder": "types",
    "Generation": "living.recovery",
    "Hit": "types",
    "Index": "index",
    "IndexInfo": "index",
    "Progress": "progress",
    "SearchParams": "config",
    "VerifyReport": "living.checking",
    "build": "building",
    "build_from_vectors": "building",
    "history": "living.recovery",
    "open": "index",
    "recover": "living.recovery",
    "verify": "living.checking",
}

__all__ = [
    "BuildConfig",
    "BuildReport",
    "ChangeReport",
    "ColstoreError",
    "Document",
    "EncodedText",
    "Encoder",
    "Generation",
    "Hit",
    "Index",
    "IndexInfo",
    "Progress",
    "SearchParams",
    "VerifyReport",
    "__version__",
    "build",
    "build_from_vectors",
    "history",
    "open",
    "recover",
    "verify",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the names are of several kinds
    """Import a public name when it is first used: importing colstore costs next to nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'colstore' has no attribute {name!r}")
    value = getattr(import_module(f"colstore.{_HOME[name]}"), "open_index" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
