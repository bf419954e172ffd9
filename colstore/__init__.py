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
    from colstore.api import build, build_from_vectors, create, history, recover, verify
    from colstore.api import open_index as open  # noqa: A004 - colstore.open, as in gzip.open
    from colstore.config import BuildConfig, SearchParams
    from colstore.errors import ColstoreError
    from colstore.evaluate import Comparison, Evaluation, compare, evaluate_index, evaluate_run
    from colstore.index import Index
    from colstore.reports import BuildReport, ChangeReport, Progress
    from colstore.rerank.cross_encoder import CrossEncoderReranker
    from colstore.rerank.rerankers import CallableReranker
    from colstore.rerank.stage import RerankStage
    from colstore.snapshot.info import IndexInfo
    from colstore.types import Document, EncodedText, Encoder, Hit, Reranker
    from colstore.updating.recover import Generation
    from colstore.updating.verify import VerifyReport

_HOME = {
    "BuildConfig": "config",
    "BuildReport": "reports",
    "CallableReranker": "rerank.rerankers",
    "ChangeReport": "reports",
    "ColstoreError": "errors",
    "Comparison": "evaluate",
    "CrossEncoderReranker": "rerank.cross_encoder",
    "Document": "types",
    "EncodedText": "types",
    "Encoder": "types",
    "Evaluation": "evaluate",
    "Generation": "updating.recover",
    "Hit": "types",
    "Index": "index",
    "IndexInfo": "snapshot.info",
    "Progress": "reports",
    "RerankStage": "rerank.stage",
    "Reranker": "types",
    "SearchParams": "config",
    "VerifyReport": "updating.verify",
    "build": "api",
    "build_from_vectors": "api",
    "compare": "evaluate",
    "create": "api",
    "evaluate_index": "evaluate",
    "evaluate_run": "evaluate",
    "history": "api",
    "open": "api",
    "recover": "api",
    "verify": "api",
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
    "create",
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
