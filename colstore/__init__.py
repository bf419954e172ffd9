"""colstore: the SQLite of late interaction.

One directory holds a corpus's ColBERT token vectors, compressed. It is crash-safe and self-contained, is searched in
milliseconds on a CPU, and reranks first-stage results straight from disk.

The names in ``__all__`` and the modules :mod:`colstore.errors` and :mod:`colstore.testing` are public; everything else
may move.

>>> sorted(set(__all__) & {"build", "build_from_vectors", "open", "Index"})
['Index', 'build', 'build_from_vectors', 'open']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from colstore._neighbour import warn_of_neighbour
from colstore._version import __version__

if TYPE_CHECKING:
    from colstore import errors as errors
    from colstore.api import build, build_from_vectors, create, history, recover, verify
    from colstore.api import open_index as open  # noqa: A004 - colstore.open, as in gzip.open
    from colstore.config import BuildConfig, PassageConfig, SearchParams
    from colstore.corpus import (
        FieldNames,
        Query,
        RunLine,
        read_documents,
        read_qrels,
        read_queries,
        read_run,
        write_run,
    )
    from colstore.encode import load_encoder
    from colstore.errors import ColstoreError, TruncatedQueryWarning, UnreadableQueryWarning
    from colstore.evaluate import (
        CompareConfig,
        Comparison,
        Evaluation,
        compare,
        evaluate_index,
        evaluate_run,
        save_comparison,
    )
    from colstore.index import Index
    from colstore.reports import BuildReport, ChangeReport, Listener, Progress, ReadReport
    from colstore.rerank.calibrate import Calibration
    from colstore.rerank.cross_encoder import CrossEncoderReranker
    from colstore.rerank.fusion import Fusion
    from colstore.rerank.rerankers import CallableReranker
    from colstore.rerank.stage import RerankStage
    from colstore.search.runs import RerankedRun, RunReport
    from colstore.search.tune import TuneReport
    from colstore.snapshot.info import IndexInfo
    from colstore.types import Document, EncodedText, Encoder, Hit, Hits, Passage, Reranker, TokenCounter
    from colstore.updating.recover import Generation
    from colstore.updating.verify import VerifyReport

_HOME = {
    "BuildConfig": "config",
    "BuildReport": "reports",
    "Calibration": "rerank.calibrate",
    "CallableReranker": "rerank.rerankers",
    "ChangeReport": "reports",
    "ColstoreError": "errors",
    "CompareConfig": "evaluate",
    "Comparison": "evaluate",
    "CrossEncoderReranker": "rerank.cross_encoder",
    "Document": "types",
    "EncodedText": "types",
    "Encoder": "types",
    "Evaluation": "evaluate",
    "FieldNames": "corpus",
    "Fusion": "rerank.fusion",
    "Generation": "updating.recover",
    "Hit": "types",
    "Hits": "types",
    "Index": "index",
    "IndexInfo": "snapshot.info",
    "Listener": "reports",
    "Passage": "types",
    "PassageConfig": "config",
    "Progress": "reports",
    "Query": "corpus",
    "ReadReport": "reports",
    "RerankStage": "rerank.stage",
    "RerankedRun": "search.runs",
    "Reranker": "types",
    "RunLine": "corpus",
    "RunReport": "search.runs",
    "SearchParams": "config",
    "TruncatedQueryWarning": "errors",
    "TokenCounter": "types",
    "TuneReport": "search.tune",
    "UnreadableQueryWarning": "errors",
    "VerifyReport": "updating.verify",
    "build": "api",
    "build_from_vectors": "api",
    "compare": "evaluate",
    "create": "api",
    "evaluate_index": "evaluate",
    "evaluate_run": "evaluate",
    "history": "api",
    "load_encoder": "encode",
    "open": "api",
    "read_documents": "corpus",
    "read_qrels": "corpus",
    "read_queries": "corpus",
    "read_run": "corpus",
    "recover": "api",
    "save_comparison": "evaluate",
    "verify": "api",
    "write_run": "corpus",
}
_MODULES = ("errors", "testing")
"""Public modules, which ``import colstore`` makes available."""

__all__ = [
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
    "TokenCounter",
    "TruncatedQueryWarning",
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
]


warn_of_neighbour(__path__[0])


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the names are of several kinds
    """Import a public name when it is first used, so that importing colstore costs next to nothing."""
    if name in _MODULES:
        return import_module(f"colstore.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'colstore' has no attribute {name!r}")
    value = getattr(import_module(f"colstore.{_HOME[name]}"), "open_index" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
