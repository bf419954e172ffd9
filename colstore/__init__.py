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
    from colstore.evaluate import Comparison, Evaluation, compare, evaluate_index, evaluate_run
    from colstore.index import Index
    from colstore.index import open_index as open  # noqa: A004 - colstore.open, as in gzip.open
    from colstore.living.checking import VerifyReport, verify
    from colstore.living.info import IndexInfo
    from colstore.living.recovery import Generation, history, recover
    from colstore.living.report import ChangeReport
    from colstore.progress import BuildReport, Progress
    from colstore.rerank.crossencoder import CrossEncoderReranker
    from colstore.rerank.simple import CallableReranker
    from colstore.rerank.stage import RerankStage
    from colstore.types import Document, EncodedText, Encoder, Hit, Reranker

_HOME = {
    "BuildConfig": "config",
    "BuildReport": "progress",
    "CallableReranker": "rerank.simple",
    "ChangeReport": "living.report",
    "ColstoreError": "errors",
    "Comparison": "evaluate",
    "CrossEncoderReranker": "rerank.crossencoder",
    "Document": "types",
    "EncodedText": "types",
    "Encoder": "types",
    "Evaluation": "evaluate",
    "Generation": "living.recovery",
    "Hit": "types",
    "Index": "index",
    "IndexInfo": "living.info",
    "Progress": "progress",
    "RerankStage": "rerank.stage",
    "Reranker": "types",
    "SearchParams": "config",
    "VerifyReport": "living.checking",
    "build": "building",
    "build_from_vectors": "building",
    "compare": "evaluate",
    "evaluate_index": "evaluate",
    "evaluate_run": "evaluate",
    "history": "living.recovery",
    "open": "index",
    "recover": "living.recovery",
    "verify": "living.checking",
}

__all__ = [
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
    "evaluate_index",
    "evaluate_run",
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
