"""Token vectors of a checkpoint from plain transformers, text by text, following the published formats."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import numpy as np

from colstore.types import FloatMatrix


class Reference:
    """One text at a time: tokenise, put in the marker, run the body, project, drop, normalise."""

    def __init__(self, folder: Path, layout: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.folder, self.layout = folder, layout
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.body: Any = AutoModel.from_pretrained(folder, dtype="float32").eval()
        self.settings = self._read_settings()

    def encode(self, text: str, task: str) -> FloatMatrix:
        """Return the ``(tokens, dim)`` vectors of one text."""
        import torch

        ids = self._ids(text, task)
        attention = [1] * len(ids)
        expansion: Any = self.settings["expansion"] if task == "query" else None
        if expansion is not None:
            missing = expansion["length"] - len(ids)
            ids = ids + [self.tokenizer.mask_token_id] * missing
            attention = attention + [int(expansion["attend"])] * missing
        with torch.inference_mode():
            states = self.body(input_ids=torch.tensor([ids]), attention_mask=torch.tensor([attention]))
            vectors = self._project(states.last_hidden_state[0]).numpy().astype(np.float64)
        if task == "document":
            vectors = vectors[[token not in self._skipped() for token in ids]]
        unit: FloatMatrix = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def _ids(self, text: str, task: str) -> list[int]:
        limit, marker = self.settings[f"{task}_length"], self.settings[f"{task}_marker"]
        if self.layout in ("native", "plain"):  # prompts are text
            return list(self.tokenizer(marker + text, truncation=True, max_length=limit)["input_ids"])
        ids = self.tokenizer(text, truncation=True, max_length=limit - 1)["input_ids"]
        return [ids[0], self.tokenizer.convert_tokens_to_ids(marker), *ids[1:]]

    def _skipped(self) -> set[int]:
        if not self.settings["skip"]:
            return set()
        ids = {self.tokenizer.convert_tokens_to_ids(symbol) for symbol in string.punctuation}
        return ids - {self.tokenizer.unk_token_id}

    def _project(self, states: Any) -> Any:
        from safetensors.torch import load_file

        if self.layout == "plain":
            return states
        if self.layout == "stanford":
            return states @ load_file(self.folder / "model.safetensors")["linear.weight"].T
        for place in sorted(self.folder.glob("*_Dense")):
            weights = load_file(place / "model.safetensors")
            projected = states @ weights["linear.weight"].T
            states = projected + (states @ weights["residual.weight"].T if "residual.weight" in weights else 0)
        return states

    def _read_settings(self) -> dict[str, Any]:
        if self.layout == "stanford":
            return self._stanford()
        if self.layout == "pylate":
            return self._pylate()
        if self.layout == "plain":
            length = self.tokenizer.model_max_length
            return _settings("", "", length, length, None, skip=False)
        saved = self._json("sentence_bert_config.json")
        prompts = self._json("config_sentence_transformers.json")["prompts"]
        expansion: Any = saved.get("query_expansion")
        length = saved.get("query_length") or expansion["length"]
        skip = bool(self._json("2_MultiVectorMask/config.json")["skiplist_words"])
        return _settings(prompts["query"], prompts["document"], length, saved["document_length"], expansion, skip=skip)

    def _stanford(self) -> dict[str, Any]:
        saved = self._json("artifact.metadata")
        expansion = {"length": saved["query_maxlen"], "attend": saved["attend_to_mask_tokens"]}
        return _settings(
            saved["query_token_id"],
            saved["doc_token_id"],
            saved["query_maxlen"],
            saved["doc_maxlen"],
            expansion,
            skip=saved["mask_punctuation"],
        )

    def _pylate(self) -> dict[str, Any]:
        saved = self._json("config_sentence_transformers.json")
        expansion = {"length": saved["query_length"], "attend": saved["attend_to_expansion_tokens"]}
        return _settings(
            saved["query_prefix"],
            saved["document_prefix"],
            saved["query_length"],
            saved["document_length"],
            expansion if saved["do_query_expansion"] else None,
            skip=bool(saved["skiplist_words"]),
        )

    def _json(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        return value


def _settings(
    query: str, document: str, query_length: int, document_length: int, expansion: Any, *, skip: bool
) -> dict[str, Any]:
    return {
        "query_marker": query,
        "document_marker": document,
        "query_length": query_length,
        "document_length": document_length,
        "expansion": expansion,
        "skip": skip,
    }
