"""The encoder over a sentence-transformers pipeline, with its own batching and optionally another runtime."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colstore.encode.graph import export_graph
from colstore.encode.masks import Task, token_mask
from colstore.encode.pipeline import tokenizer_of, transformer_of
from colstore.encode.runtimes import Runtime
from colstore.encode.tokens import TokenRow, check_texts, pad_batch, pad_rows, token_budget_batches, tokenise
from colstore.errors import EncoderError
from colstore.types import EncodedText, FloatMatrix, Json

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder
    from transformers import PreTrainedTokenizerBase

Prepared = list[TokenRow]
"""Tokenised documents that are ready to be encoded."""

Tick = Callable[[int], None]
"""Called with the tokens of each batch that is done; may raise to stop."""


class TransformerEncoder:
    """An encoder that returns the token vectors of a late-interaction checkpoint or of an ordinary encoder.

    The vectors equal those of ``MultiVectorEncoder.encode_query`` and ``.encode_document``. Only the batches differ:
    they are formed by token length and token budget instead of a fixed number of texts. The methods may be called from
    several threads, which then take turns.

    Parameters
    ----------
    model
        The pipeline, in evaluation mode.
    settings
        Settings of the encoder, as from :func:`colstore.encode.describe.describe`.
    token_budget
        Largest number of padded tokens in a batch.
    runtime
        Runtime that runs the modules over documents instead of torch. Queries are always encoded with torch.

    Attributes
    ----------
    model
        The pipeline, for export.
    """

    def __init__(
        self,
        model: MultiVectorEncoder,
        settings: Mapping[str, Json],
        *,
        token_budget: int,
        runtime: Runtime | None = None,
    ) -> None:
        self.model = model
        self.token_budget = token_budget
        self._runtime = runtime
        self._mask = token_mask(model, "document")
        self._graph: bytes | None = None
        self._transformer = transformer_of(model)
        self._tokenizer: PreTrainedTokenizerBase = tokenizer_of(model)
        self._settings = dict(settings)
        self._turn = threading.Lock()
        # The lengths of low-precision rows are off by up to 1 %, so they are normalised again in float32.
        self._renormalise = bool(settings["normalized"]) and not self.is_float32
        self._check_batches()

    @property
    def dim(self) -> int:
        """Number of components of a token vector."""
        return int(self.model.get_embedding_dimension() or 0)

    @property
    def settings(self) -> Mapping[str, Json]:
        """Settings that are needed to encode in the same way later."""
        return dict(self._settings)

    @property
    def is_float32(self) -> bool:
        """Whether the pipeline computes in float32."""
        import torch

        return next(self.model.parameters()).dtype == torch.float32

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        """Return a ``(tokens, dim)`` float32 matrix for each query, including expansion tokens.

        Raises
        ------
        TypeError
            ``texts`` is a single string or contains other values than strings.
        EncoderError
            The model returned values that are not finite.
        """
        return [encoded.vectors for encoded in self.encode_query_texts(texts)]

    def encode_query_texts(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the vectors of each query, whether it was truncated, and whether the vocabulary lacks most of it.

        Raises
        ------
        TypeError, EncoderError
            As for :meth:`encode_queries`.
        """
        texts = check_texts(texts)
        with self._turn:
            rows = self._tokenise(texts, "query")
            widths = [self._query_width(len(row)) for row in rows]
            # The library prepares queries: it implements their expansion, and queries are short.
            matrices = self._in_batches(
                widths,
                lambda batch: self._forward(self._library_batch([texts[at] for at in batch], "query"), "query"),
            )
        return _reported(matrices, rows)

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the vectors of each document, and whether it was truncated.

        Raises
        ------
        TypeError
            ``texts`` is a single string or contains other values than strings.
        EncoderError
            The model returned values that are not finite, or no vector at all for a document.
        """
        return self.encode_prepared(self.prepare_documents(texts))

    def prepare_documents(self, texts: Sequence[str]) -> Prepared:
        """Tokenise documents. This does not use the model, so another thread can do it ahead of time."""
        return self._tokenise(check_texts(texts), "document")

    @property
    def document_length(self) -> int | None:
        """Largest number of tokens of a document, with prefix and special tokens."""
        length = self._tokenizer_arguments("document").get("max_length")
        return None if length is None else int(length)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text as a document, with prefix and special tokens, however long it is.

        Raises
        ------
        TypeError
            ``texts`` is a single string or contains other values than strings.
        """
        checked = check_texts(texts)
        arguments = {**self._tokenizer_arguments("document"), "truncation": False, "max_length": None}
        arguments["verbose"] = False  # the tokenizer would warn of every text beyond the model's limit
        rows = tokenise(self._tokenizer, checked, self._prefix("document"), arguments)
        return [len(row) for row in rows]

    def encode_prepared(self, rows: Prepared, tick: Tick | None = None) -> list[EncodedText]:
        """Return what :meth:`encode_documents` does, for documents that are prepared.

        Parameters
        ----------
        rows
            Of :meth:`prepare_documents`.
        tick
            Called after each batch with its number of tokens.
        """
        encode = self._torch_batch if self._runtime is None else self._runtime_batch
        with self._turn:
            matrices = self._in_batches(
                [len(row) for row in rows], lambda batch: encode([rows[at] for at in batch]), tick
            )
        return _reported(matrices, rows)

    def inputs(self) -> list[str]:
        """Return the names of the tensors that the model takes.

        Raises
        ------
        EncoderError
            The model takes other inputs than token ids, attention mask and token types.
        """
        features = self._library_batch(["a probe"], "query")
        known = ("input_ids", "attention_mask", "token_type_ids")
        strange = set(features) - {*known, "modality", "query_expansion_positions", "prompt_length"}
        if strange:
            raise EncoderError(f"the model takes inputs that cannot be exported: {', '.join(sorted(strange))}")
        return [name for name in known if name in features]

    def graph(self) -> bytes:
        """Return the modules as an ONNX graph in float32; see :func:`~colstore.encode.graph.export_graph`."""
        if self._graph is None:
            self._graph = export_graph(self.model, self.inputs())
        return self._graph

    def on_runtime(self, settings: Mapping[str, Json], runtime: Runtime) -> TransformerEncoder:
        """Return an encoder of the same pipeline that encodes documents with ``runtime``."""
        encoder = TransformerEncoder(self.model, settings, token_budget=self.token_budget, runtime=runtime)
        encoder._graph = self._graph
        return encoder

    def _tokenise(self, texts: list[str], task: Task) -> list[TokenRow]:
        return tokenise(self._tokenizer, texts, self._prefix(task), self._tokenizer_arguments(task))

    def _tokenizer_arguments(self, task: Task) -> dict[str, Any]:
        transformer = self._transformer
        limit = transformer.query_length if task == "query" else transformer.document_length
        if task == "query" and limit is not None:
            limit = self._query_width(limit)  # a query that is filled up to more tokens may have as many of its own
        arguments: dict[str, Any] = {"truncation": "longest_first", "max_length": limit}
        arguments |= transformer.processing_kwargs.get("text", {})  # options that the checkpoint itself sets
        return arguments

    def _prefix(self, task: Task) -> str:
        return str(self._settings[f"{task}_prefix"])

    def _query_width(self, tokens: int) -> int:
        expansion = self._transformer.query_expansion
        return tokens if expansion is None else max(tokens, expansion["length"])

    def _library_batch(self, texts: list[str], task: Task) -> dict[str, Any]:
        features: dict[str, Any] = self.model.preprocess(texts, prompt=self._prefix(task), task=task)
        return features

    def _torch_batch(self, rows: list[TokenRow]) -> list[FloatMatrix]:
        return self._forward({**pad_batch(self._tokenizer, rows), "modality": "text"}, "document")

    def _runtime_batch(self, rows: list[TokenRow]) -> list[FloatMatrix]:
        assert self._runtime is not None
        inputs = pad_rows(self._tokenizer, rows)
        mask = self._mask.apply(inputs["input_ids"], inputs["attention_mask"])
        matrix: FloatMatrix = self._runtime.run(inputs)[mask]
        if self._settings["normalized"] and not self._runtime.exact:
            matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        return self._split(matrix, mask.sum(axis=1))

    def _in_batches(
        self, lengths: list[int], encode: Callable[[Sequence[int]], list[FloatMatrix]], tick: Tick | None = None
    ) -> list[FloatMatrix]:
        """Return the matrices of all texts in their order, encoded in batches of similar length."""
        results: dict[int, FloatMatrix] = {}
        for batch in token_budget_batches(lengths, self.token_budget):
            positions = batch.tolist()
            results.update(zip(positions, encode(positions), strict=True))
            if tick is not None:
                tick(sum(lengths[position] for position in positions))
        return [results[position] for position in range(len(lengths))]

    def _forward(self, features: dict[str, Any], task: Task) -> list[FloatMatrix]:
        """Run the modules over one batch and return the vectors that the mask keeps, one matrix for each text."""
        import torch
        from sentence_transformers.util import batch_to_device

        with torch.inference_mode():
            outputs = self.model(batch_to_device(features, self.model.device), task=task)
            mask = outputs["attention_mask"].bool()
            vectors = outputs["token_embeddings"][mask].float()
            if self._renormalise:
                vectors = torch.nn.functional.normalize(vectors, dim=-1)
            counts = mask.sum(dim=1).cpu().numpy()
            matrix = vectors.cpu().numpy()
        return self._split(matrix, counts)

    def _split(self, matrix: FloatMatrix, counts: NDArray[np.int64]) -> list[FloatMatrix]:
        """Check the rows, and return those of each text as a view."""
        if not np.isfinite(matrix).all():
            raise EncoderError(
                f"model {self._settings['model']!r} returned values that are not finite "
                f"(dtype {self._settings['dtype']}); load it with dtype='float32', or fetch its weights again"
            )
        if counts.min() == 0:
            raise EncoderError(
                f"model {self._settings['model']!r} returned no vector for a text, because its mask drops every token"
            )
        return np.split(matrix, np.cumsum(counts)[:-1])

    def _check_batches(self) -> None:
        """Refuse a checkpoint for which the library prepares texts differently, for example by a chat template."""
        import torch

        texts = ["One short probe.", ""]
        ours = pad_batch(self._tokenizer, self._tokenise(texts, "document"))
        theirs = self._library_batch(texts, "document")
        same = theirs.get("modality") == "text" and all(
            name in theirs and torch.equal(tensor, theirs[name]) for name, tensor in ours.items()
        )
        if not same:
            raise EncoderError(
                f"model {self._settings['model']!r} prepares texts in its own way (for example by a chat template), "
                "which colstore does not support; choose a text encoder"
            )


def _reported(matrices: Sequence[FloatMatrix], rows: Sequence[TokenRow]) -> list[EncodedText]:
    """Return matrices with what the tokens of their texts tell."""
    return [EncodedText(matrix, row.truncated, row.unreadable) for matrix, row in zip(matrices, rows, strict=True)]
