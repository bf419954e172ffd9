"""Settings of an encoder, which an index stores and ``info`` shows, and with which a later encoder must agree."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from colstore.encode.checkpoint import Checkpoint
from colstore.encode.pipeline import tokenizer_of, transformer_of
from colstore.errors import EncoderError
from colstore.types import Json

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules.transformer import QueryExpansionConfig

KIND = "sentence-transformers"

DECISIVE = (
    "fingerprint",
    "dim",
    "dtype",
    "backend",
    "query_prefix",
    "query_length",
    "query_expansion",
    "document_prefix",
    "document_length",
    "skiplist",
    "normalized",
    "similarity",
)
"""Settings that affect the vectors; the other settings record where the vectors came from."""


def describe(checkpoint: Checkpoint, model: MultiVectorEncoder) -> dict[str, Json]:
    """Return the settings that follow from the pipeline; the loader adds the caller's options."""
    transformer = transformer_of(model)
    expansion = transformer.query_expansion
    return {
        "kind": KIND,
        "model": checkpoint.name,
        "layout": checkpoint.layout,
        "body": str(transformer.config.model_type),
        "revision": checkpoint.revision,
        "dim": model.get_embedding_dimension(),
        "query_prefix": model.prompts.get("query") or "",
        "query_expansion": None if expansion is None else _expansion(model, expansion),
        "document_prefix": model.prompts.get("document") or "",
        "skiplist": _skiplist(model),
        "normalized": is_normalized(model),
        "similarity": model.similarity_fn_name,
        "versions": _versions(),
    }


def check_same(actual: Mapping[str, Json], expected: Mapping[str, Json], *, only: tuple[str, ...] = DECISIVE) -> None:
    """Refuse an encoder whose vectors would differ from those of the expected settings.

    Parameters
    ----------
    actual
        Settings of the encoder.
    expected
        Settings that the vectors were encoded with. A setting that is missing here is not compared.
    only
        Names of the settings to compare.

    Raises
    ------
    EncoderError
        A setting differs. The message names the first one.
    """
    for name in only:
        if name in expected and actual.get(name) != expected[name]:
            hint = (
                "these are other weights or settings; use the same files, or build the index again"
                if name == "fingerprint"
                else "build the index again, or use the model with its former settings"
            )
            raise EncoderError(
                f"model {actual.get('model')!r} does not encode like {expected.get('model')!r}: {name} is "
                f"{actual.get(name)!r}, was {expected[name]!r}; {hint}"
            )


def is_normalized(model: MultiVectorEncoder) -> bool:
    """Return whether the pipeline normalises every token vector to length 1."""
    from sentence_transformers.base.modules import Normalize

    return any(isinstance(module, Normalize) and module.module_input_name == "token_embeddings" for module in model)


def _expansion(model: MultiVectorEncoder, expansion: QueryExpansionConfig) -> dict[str, Json]:
    """Return how short queries are expanded, with the token as text (``[MASK]``, or the end-of-text token)."""
    tokenizer = tokenizer_of(model)
    token = expansion.get("token") or tokenizer.mask_token or tokenizer.eos_token
    return {
        "strategy": expansion["strategy"],
        "token": None if token is None else str(token),
        "attend": bool(expansion.get("attend")),
        "length": expansion["length"],
    }


def _skiplist(model: MultiVectorEncoder) -> list[Json]:
    """Return the tokens whose vectors are dropped from documents; words outside the vocabulary are left out."""
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    masks = [module for module in model if isinstance(module, MultiVectorMask)]
    tokenizer = tokenizer_of(model)
    unknown = {tokenizer.unk_token_id, None}
    words = [word for mask in masks for word in mask.skiplist_words]
    return [word for word in words if tokenizer.convert_tokens_to_ids(word) not in unknown]


def _versions() -> dict[str, Json]:
    from importlib.metadata import version

    return {name: version(name) for name in ("sentence-transformers", "transformers", "tokenizers", "torch")}


_CONFIGURATION = (
    "config.json",
    "config_sentence_transformers.json",
    "sentence_*_config.json",
    "modules.json",
    "artifact.metadata",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_VOCABULARY = ("vocab.txt", "vocab.json", "merges.txt", "*.model")
_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
_PICKLES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
_BLOCK = 1 << 20


def model_fingerprint(folder: Path, subfolders: tuple[str, ...], pickled: bool) -> str:
    """Return the xxh3_128 (32 hexadecimal digits) of the files that determine what the model computes.

    All bytes are hashed, because two fine-tunings of one model have files with the same names and sizes. This costs
    little, because loading the model reads the same files.

    Parameters
    ----------
    folder
        Folder of the model. Its path does not affect the hash.
    subfolders
        Folders of the model's modules, relative to ``folder``; ``""`` is the folder itself.
    pickled
        Whether the weights are pickled. If not, pickled files are ignored, because they are not loaded.
    """
    import xxhash

    patterns = _CONFIGURATION + _VOCABULARY + _WEIGHTS + (_PICKLES if pickled else ())
    digest = xxhash.xxh3_128()
    for path in _files(folder, subfolders, patterns):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _files(folder: Path, subfolders: tuple[str, ...], patterns: tuple[str, ...]) -> Iterator[Path]:
    """Yield the matching files of the folder and its module folders, in an order that is the same on every system."""
    files = {
        path
        for parent in {folder, *(folder / name for name in subfolders)}
        if parent.is_dir()
        for path in parent.iterdir()
        if path.is_file() and any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)
    }
    yield from sorted(files, key=lambda path: path.relative_to(folder).as_posix())
