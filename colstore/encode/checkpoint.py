"""Examination of a model folder: its layout, weights and tokenizer, and the code that it requires."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from colstore.encode.hub import EMBEDDED, commit_of, embedded_model_path, hub_folder, is_hub_name
from colstore.errors import ConfigError, EncoderError

Layout = Literal["stanford", "pylate", "native", "plain"]
"""Library that saved the model: Stanford ColBERT (``HF_ColBERT``), PyLate, or sentence-transformers as a native
``MultiVectorEncoder``; ``"plain"`` is an ordinary encoder that was not trained for late interaction."""

_PYLATE_KEYS = ("query_prefix", "document_prefix", "do_query_expansion", "attend_to_expansion_tokens")
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_LIBRARY = ("sentence_transformers.", "pylate.")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model folder that has been examined.

    Parameters
    ----------
    name
        Name or path of the model, as the caller passed it.
    folder
        Folder with the model's files.
    layout
        Layout of the folder.
    revision
        Commit of a model from the hub; ``None`` for other models.
    body
        Folder of the transformer, relative to ``folder``; ``""`` is the folder itself.
    dense
        Folders of the projections, relative to ``folder``.
    pickled
        Whether some of the weights are pickled.
    """

    name: str
    folder: Path
    layout: Layout
    revision: str | None
    body: str
    dense: tuple[str, ...]
    pickled: bool


def find_checkpoint(
    model: str | Path, *, revision: str | None, trust_remote_code: bool, allow_pickle: bool
) -> Checkpoint:
    """Find and examine the model folder of a path, a hub name, or ``"embedded"``.

    Parameters
    ----------
    model
        Folder of the model, its name on the hub, or ``"embedded"``.
    revision
        Branch, tag or commit of a model on the hub.
    trust_remote_code
        Whether the model may run Python code of its own.
    allow_pickle
        Whether pickled weights are allowed.

    Raises
    ------
    EncoderError
        The model does not exist or is not a text encoder. The message says what to do.
    ConfigError
        A revision was requested of a model that is not on the hub.
    """
    on_hub = _is_on_hub(model)
    if on_hub:
        folder = hub_folder(str(model), revision, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle)
    else:
        folder = _local_folder(model, revision)
    modules = _modules(folder)
    body = _body(folder, modules)
    layout = _layout(folder, body, modules)
    dense = tuple(path for kind, path in modules if kind.endswith(".Dense")) if layout != "plain" else ()
    for subfolder in dense:
        _check_activation(folder / subfolder, trust_remote_code=trust_remote_code)
    _check_tokenizer(folder / body)
    parts = [folder / subfolder for subfolder in (body, *dense)]
    pickled = {_is_pickled(part, allow_pickle=allow_pickle, on_hub=on_hub) for part in parts}
    return Checkpoint(str(model), folder, layout, commit_of(folder) if on_hub else None, body, dense, True in pickled)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, or an empty object if the file does not exist.

    Raises
    ------
    EncoderError
        The content is not JSON, or is not an object.
    """
    if not path.is_file():
        return {}
    value = _parse(path)
    if not isinstance(value, dict):
        raise EncoderError(f"{path} does not contain a JSON object; the model folder is damaged, fetch it again")
    return value


def _is_on_hub(model: str | Path) -> bool:
    return isinstance(model, str) and model != EMBEDDED and not Path(model).exists() and is_hub_name(model)


def _local_folder(model: str | Path, revision: str | None) -> Path:
    if revision is not None:
        raise ConfigError(f"a revision applies only to models on the hub, but {str(model)!r} is a folder")
    folder = embedded_model_path() if model == EMBEDDED else Path(model).expanduser()
    if not folder.is_dir():
        problem = "is a file; give the folder that contains it" if folder.exists() else "does not exist"
        raise EncoderError(f"model folder {str(model)!r} {problem}")
    return folder


def _parse(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read as JSON ({error}); fetch the model folder again") from error


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Return the type and folder of each module in ``modules.json``; an empty list if there is no such file."""
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        return [(str(module["type"]), str(module["path"])) for module in _parse(path)]
    except (TypeError, KeyError) as error:
        raise EncoderError(f"{path} is not a list of modules; fetch the model folder again") from error


def _body(folder: Path, modules: list[tuple[str, str]]) -> str:
    """Return the transformer's folder."""
    if modules and not modules[0][0].endswith("Transformer"):
        raise EncoderError(
            f"model {str(folder)!r} starts with {modules[0][0]}, not with a transformer, so it has no contextual "
            "token vectors; choose a transformer encoder"
        )
    body = modules[0][1] if modules else ""
    if not (folder / body / "config.json").is_file():
        raise EncoderError(
            f"no config.json in {str(folder / body)!r}: this is not a model folder; give the folder that contains "
            "config.json, the weights and the tokenizer (merge an adapter into its base model first)"
        )
    return body


def _layout(folder: Path, body: str, modules: list[tuple[str, str]]) -> Layout:
    saved = read_json(folder / "config_sentence_transformers.json")
    architectures = read_json(folder / body / "config.json").get("architectures") or []
    if not modules:
        return _bare_layout(folder, [str(name) for name in architectures])
    kind = saved.get("model_type", "SentenceTransformer")
    if kind == "ColBERT" or any(key in saved for key in _PYLATE_KEYS) or _from_pylate(modules):
        return "pylate"
    if kind == "MultiVectorEncoder" or "HF_ColBERT" in architectures:
        return "native"
    if kind != "SentenceTransformer":
        raise EncoderError(f"model {str(folder)!r} is a {kind}, which has no token vectors; choose a text encoder")
    return "plain"


def _bare_layout(folder: Path, architectures: list[str]) -> Layout:
    if "HF_ColBERT" in architectures:
        return "stanford"
    for name in architectures:
        if name.endswith("ForRetrieval"):
            raise EncoderError(f"model {str(folder)!r} ({name}) encodes page images; choose a text encoder")
        if name.endswith("ForSequenceClassification"):
            raise EncoderError(
                f"model {str(folder)!r} ({name}) is a cross-encoder or classifier, which returns scores instead of "
                "vectors; use it for reranking, and choose a text encoder here"
            )
    return "plain"


def _from_pylate(modules: list[tuple[str, str]]) -> bool:
    return any(kind.startswith("pylate.") for kind, _ in modules)


def _check_activation(folder: Path, *, trust_remote_code: bool) -> None:
    """Refuse an activation function that the library would silently replace by another one (Tanh)."""
    activation = str(read_json(folder / "config.json").get("activation_function", "torch."))
    if not activation.startswith("torch.") and not trust_remote_code:
        raise EncoderError(
            f"the projection in {str(folder)!r} wants the function {activation!r}, which is code of its own; "
            "read that code, then allow it with trust_remote_code=True"
        )


def _check_tokenizer(folder: Path) -> None:
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise EncoderError(
            f"no tokenizer in {str(folder)!r} (looked for {', '.join(_TOKENIZERS)}); copy the model's tokenizer there"
        )


def _is_pickled(folder: Path, *, allow_pickle: bool, on_hub: bool) -> bool:
    """Return whether a folder's weights are pickled.

    Raises
    ------
    EncoderError
        The weights are pickled and that is not allowed, or there are no weights.
    """
    if any(folder.glob("model*.safetensors")):
        return False
    if not any(folder.glob("pytorch_model*.bin")):
        if on_hub and not allow_pickle:  # pickled weights are not even downloaded
            raise EncoderError(
                f"the model on the hub has no safetensors (looked in {str(folder)!r}); if it has pickled weights "
                "(pytorch_model.bin), a format that can contain code, allow them with allow_pickle=True (they are "
                "loaded with weights_only), or choose a model with safetensors"
            )
        raise EncoderError(f"no weights in {str(folder)!r} (looked for model*.safetensors); fetch the model again")
    if not allow_pickle:
        raise EncoderError(
            f"the weights in {str(folder)!r} are pickled (pytorch_model.bin), a format that can contain code; "
            "convert them to safetensors, or allow them with allow_pickle=True (they are loaded with weights_only)"
        )
    return True
