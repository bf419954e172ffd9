"""For tests of what you build on colstore: fakes that need no model, and suites for encoders and rerankers of your own.

====================  ==========================================================================
name                  what it is
====================  ==========================================================================
``FakeEncoder``       a deterministic encoder: texts that share words score high
``FakeReranker``      a deterministic reranker, by the share of words in common
``EncoderConformance``   tests that every :class:`colstore.Encoder` must pass
``RerankerConformance``  tests that every :class:`colstore.Reranker` must pass
``CodecConformance``  tests that every codec must pass
====================  ==========================================================================

Derive a test class from a suite, and give it the fixture that it names; pytest then runs all of its tests. The suites
import pytest, the fakes do not.

>>> from colstore.testing import FakeEncoder
>>> FakeEncoder(dim=8).encode_queries(["bees dance"])[0].shape
(2, 8)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from colstore.encode.fake import FakeEncoder
from colstore.errors import MissingDependencyError
from colstore.testing.rerankers import FakeReranker

if TYPE_CHECKING:
    from colstore.testing.codec_suite import CodecConformance
    from colstore.testing.encoder_suite import EncoderConformance
    from colstore.testing.reranker_suite import RerankerConformance

__all__ = ["CodecConformance", "EncoderConformance", "FakeEncoder", "FakeReranker", "RerankerConformance"]

_SUITES = {
    "CodecConformance": "codec_suite",
    "EncoderConformance": "encoder_suite",
    "RerankerConformance": "reranker_suite",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - classes of tests
    """Import a suite when it is first used: it needs pytest."""
    if name not in _SUITES:
        raise AttributeError(f"module 'colstore.testing' has no attribute {name!r}")
    module = f"colstore.testing.{_SUITES[name]}"
    try:
        _show_values(module)
        suite = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise MissingDependencyError(f"{name} needs pytest: pip install pytest") from error
    globals()[name] = suite
    return suite


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _show_values(module: str) -> None:
    """Let pytest say what the asserts of a suite compared, unless the suite is imported already."""
    import sys

    import pytest

    if module not in sys.modules:
        pytest.register_assert_rewrite(module)
