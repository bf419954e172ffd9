"""The encoder over a sentence-transformers pipeline, with batches of our own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from colstore.encode.batches import token_budget_batches
from colstore.encode.pipeline import tokenizer_of, transformer_of
from colstore.encode.tokens import TokenRow, check_texts, pad_batch, tokenise
from colstore.errors import EncoderError
from colstore.types import EncodedText, FloatMatrix, Json

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder
    from transformers import PreTrainedTokenizerBase

Task = Literal["query", "document"]


class TransformerEncoder:
    """Token vectors of a late-interaction checkpoint, or of an ordinary encoder token by token.

    The vectors equal those of ``MultiVectorEncoder.encode_query`` and ``.encode_document``; only the
    batches differ: by token length and token budget instead of a fixed number of texts. Calls from several
    threads are safe, and take turns.

    Parameters
    ----------
    model
        The pipeline, in evaluation mode.
    settings
        What :func:`colstore.encode.describe.describe` says of it.
    token_budget
        Padded tokens a batch.

    Attributes
    ----------
    model
        The pipeline, for those who export it.
    """

    def __init__(self, model: MultiVectorEncoder, settings: Mapping[str, Json], *, token_budget: int) -> None:
        self.model = model
        self._transformer = transformer_of(model)
        self._tokenizer: PreTrainedTokenizerBase = tokenizer_of(model)
        self._settings = dict(settings)
        self._budget = token_budget
        self._turn = threading.Lock()
        # Lengths of low-precision rows stray by up to 1 %: normalise once more, in float32.
        self._renormalise = bool(settings["normalized"]) and settings["dtype"] != "float32"
        self._check_batches()

    @property
    def dim(self) -> int:
        """Components of a token vector."""
        return int(self.model.get_embedding_dimension() or 0)

    @property
    def settings(self) -> Mapping[str, Json]:
        """All that is needed to encode the same way later."""
        return dict(self._settings)

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        """Return one ``(tokens, dim)`` float32 matrix for each query, expansion tokens included.

        Raises
        ------
        EncoderError
            If the model gives values that are not finite.
        """
        texts = check_texts(texts)
        with self._turn:
            rows = self._tokenise(texts, "query")
            widths = [self._query_width(len(row)) for row in rows]
            # The library's own preparation: it knows how queries are filled up, and queries are short.
            return self._in_batches(
                widths, lambda batch: self._library_batch([texts[at] for at in batch], "query"), "query"
            )

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the vectors of each document, and whether its end is beyond the limit.

        Raises
        ------
        EncoderError
            If the model gives values that are not finite, or no vector at all for a document.
        """
        texts = check_texts(texts)
        with self._turn:
            rows = self._tokenise(texts, "document")
            lengths = [len(row) for row in rows]
            matrices = self._in_batches(
                lengths, lambda batch: self._document_batch([rows[at] for at in batch]), "document"
            )
        return [EncodedText(matrix, row.truncated) for matrix, row in zip(matrices, rows, strict=True)]

    def _tokenise(self, texts: list[str], task: Task) -> list[TokenRow]:
        transformer = self._transformer
        limit = transformer.query_length if task == "query" else transformer.document_length
        arguments = {"truncation": "longest_first", "max_length": limit}
        arguments |= transformer.processing_kwargs.get("text", {})  # what the checkpoint's author set
        return tokenise(self._tokenizer, texts, self._prefix(task), arguments)

    def _prefix(self, task: Task) -> str:
        return str(self._settings[f"{task}_prefix"])

    def _query_width(self, tokens: int) -> int:
        expansion = self._transformer.query_expansion
        return tokens if expansion is None else max(tokens, expansion["length"])

    def _library_batch(self, texts: list[str], task: Task) -> dict[str, Any]:
        features: dict[str, Any] = self.model.preprocess(texts, prompt=self._prefix(task), task=task)
        return features

    def _document_batch(self, rows: list[TokenRow]) -> dict[str, Any]:
        return {**pad_batch(self._tokenizer, rows), "modality": "text"}

    def _in_batches(
        self, lengths: list[int], features: Callable[[Sequence[int]], dict[str, Any]], task: Task
    ) -> list[FloatMatrix]:
        """Return the matrices of all texts in their order, encoded in batches of like length."""
        results: dict[int, FloatMatrix] = {}
        for batch in token_budget_batches(lengths, self._budget):
            positions = batch.tolist()
            results.update(zip(positions, self._forward(features(positions), task), strict=True))
        return [results[position] for position in range(len(lengths))]

    def _forward(self, features: dict[str, Any], task: Task) -> list[FloatMatrix]:
        """Run the modules over one batch and return the vectors that count, one matrix a text."""
        import torch
        from sentence_transformers.util import batch_to_device

        with torch.inference_mode():
            outputs = self.model(batch_to_device(features, self.model.device), task=task)
            mask = outputs["attention_mask"].bool()
            vectors = outputs["token_embeddings"][mask].float()
            if self._renormalise:
                vectors = torch.nn.functional.normalize(vectors, dim=-1)
            counts = mask.sum(dim=1).tolist()
            matrix = vectors.cpu().numpy()
        self._check_outputs(matrix, counts)
        return np.split(matrix, np.cumsum(counts)[:-1])

    def _check_outputs(self, matrix: FloatMatrix, counts: list[int]) -> None:
        if not np.isfinite(matrix).all():
            raise EncoderError(
                f"model {self._settings['model']!r} gave values that are not finite "
                f"(dtype {self._settings['dtype']}); load it with dtype='float32', or fetch its weights again"
            )
        if min(counts) == 0:
            raise EncoderError(
                f"model {self._settings['model']!r} gave no vector for a text; its mask drops every token"
            )

    def _check_batches(self) -> None:
        """Refuse a checkpoint whose texts the library prepares in a way of its own (chat templates, say)."""
        import torch

        texts = ["One short probe.", ""]
        ours = self._document_batch(self._tokenise(texts, "document"))
        theirs = self._library_batch(texts, "document")
        same = theirs.get("modality") == "text" and all(
            name in theirs and torch.equal(tensor, theirs[name])
            for name, tensor in ours.items()
            if name != "modality"
        )
        if not same:
            raise EncoderError(
                f"model {self._settings['model']!r} prepares texts in its own way (a chat template, say), "
                "which colstore does not encode; choose a text encoder"
            )
