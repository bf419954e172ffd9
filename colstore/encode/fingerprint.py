"""What identifies a model's files, so that an index notices when its model has changed."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from pathlib import Path

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
    """Return the xxh3 hash (128 bits, hexadecimal) of the files that decide what the model computes.

    All bytes count: two fine-tunings of one model have files of the same names and sizes. Reading costs
    little, since loading reads the same files.

    Parameters
    ----------
    folder
        The model's folder; its path does not enter the hash.
    subfolders
        Folders of the model's modules, relative to it; ``""`` is the folder itself.
    pickled
        Whether weights are pickled (else such files, if any, are not read by loading).
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
    """Yield the matching files of the folder and its module folders, in the same order everywhere."""
    found = {
        path
        for place in {folder, *(folder / name for name in subfolders)}
        if place.is_dir()
        for path in place.iterdir()
        if path.is_file() and any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)
    }
    yield from sorted(found, key=lambda path: path.relative_to(folder).as_posix())
