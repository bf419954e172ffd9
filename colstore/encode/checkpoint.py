"""What lies in a model folder: its layout, its weights and tokenizer, and whose code it wants."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from colstore.encode.hub import EMBEDDED, commit_of, embedded_model_path, hub_folder, is_hub_name
from colstore.errors import ConfigError, EncoderError

Layout = Literal["stanford", "pylate", "native", "plain"]
"""Who wrote it: ColBERT (``HF_ColBERT``), PyLate, sentence-transformers, or nobody for late interaction."""

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
    """A model folder that has been looked through.

    Parameters
    ----------
    name
        As the caller gave it.
    folder
        Where the files are.
    layout
        Who wrote it.
    revision
        The commit, for a model of the hub.
    body
        Folder of the transformer, relative to ``folder``; ``""`` is the folder itself.
    dense
        Folders of the projections, likewise.
    pickled
        Whether some weights are pickled.
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
    """Return what lies behind a path, a hub name, or ``"embedded"``.

    Raises
    ------
    EncoderError
        If nothing is there, or it cannot be an encoder of text; the message says what to do.
    ConfigError
        If a revision is asked of something that is not on the hub.
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
    for place in dense:
        _check_activation(folder / place, trust_remote_code=trust_remote_code)
    _check_tokenizer(folder / body)
    pickled = {_is_pickled(folder / place, allow_pickle=allow_pickle) for place in (body, *dense)}
    return Checkpoint(str(model), folder, layout, commit_of(folder) if on_hub else None, body, dense, True in pickled)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one if there is no such file.

    Raises
    ------
    EncoderError
        If it is not JSON, or not an object.
    """
    if not path.is_file():
        return {}
    value = _parse(path)
    if not isinstance(value, dict):
        raise EncoderError(f"{path} holds no JSON object; the model folder is damaged, fetch it again")
    return value


def _is_on_hub(model: str | Path) -> bool:
    return isinstance(model, str) and model != EMBEDDED and not Path(model).exists() and is_hub_name(model)


def _local_folder(model: str | Path, revision: str | None) -> Path:
    if revision is not None:
        raise ConfigError(f"a revision applies to models of the hub; {str(model)!r} is a folder")
    folder = embedded_model_path() if model == EMBEDDED else Path(model).expanduser()
    if not folder.is_dir():
        what = "is a file; give the folder it lies in" if folder.exists() else "does not exist"
        raise EncoderError(f"model folder {str(model)!r} {what}")
    return folder


def _parse(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read as JSON ({error}); fetch the model folder again") from error


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Return type and folder of each module that ``modules.json`` lists; nothing if there is no such file."""
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
            f"model {str(folder)!r} starts with {modules[0][0]}, not with a transformer, so there are no "
            "vectors of tokens in their context; choose a transformer encoder"
        )
    body = modules[0][1] if modules else ""
    if not (folder / body / "config.json").is_file():
        raise EncoderError(
            f"no config.json in {str(folder / body)!r}: not a model folder; give the folder that holds "
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
        raise EncoderError(f"model {str(folder)!r} is a {kind}, which gives no vectors of tokens; choose an encoder")
    return "plain"


def _bare_layout(folder: Path, architectures: list[str]) -> Layout:
    if "HF_ColBERT" in architectures:
        return "stanford"
    for name in architectures:
        if name.endswith("ForRetrieval"):
            raise EncoderError(f"model {str(folder)!r} ({name}) encodes images of pages; choose a text encoder")
        if name.endswith("ForSequenceClassification"):
            raise EncoderError(
                f"model {str(folder)!r} ({name}) is a cross-encoder or classifier: it gives scores, not "
                "vectors; use it for reranking, and an encoder here"
            )
    return "plain"


def _from_pylate(modules: list[tuple[str, str]]) -> bool:
    return any(kind.startswith("pylate.") for kind, _ in modules)


def _check_activation(folder: Path, *, trust_remote_code: bool) -> None:
    """Refuse what the library would silently replace by another function (Tanh)."""
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


def _is_pickled(folder: Path, *, allow_pickle: bool) -> bool:
    """Tell whether a folder's weights are pickled; refuse that unless allowed, and a folder without any."""
    if any(folder.glob("model*.safetensors")):
        return False
    if not any(folder.glob("pytorch_model*.bin")):
        raise EncoderError(f"no weights in {str(folder)!r} (looked for model*.safetensors); fetch the model again")
    if not allow_pickle:
        raise EncoderError(
            f"the weights in {str(folder)!r} are pickled (pytorch_model.bin), a format that can carry code; "
            "convert them to safetensors, or allow them with allow_pickle=True (loaded with weights_only)"
        )
    return True
