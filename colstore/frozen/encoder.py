"""The frozen query encoder: queries to token vectors with tokenizers and onnxruntime alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from colstore.errors import ConfigError, CorruptIndexError, EncoderError, MissingFileError
from colstore.frozen.graph import open_graph
from colstore.frozen.recipe import FILES, GRAPH, RECIPE, TOKENIZER, Recipe
from colstore.frozen.tokens import DocumentTokens, document_tokens, open_tokenizer, prepare, unknown_token
from colstore.types import EncodedText, FloatMatrix, Json

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer


class FrozenEncoder:
    """The query side of an encoder, from the files that an index carries. Make it with :meth:`load`.

    Each query is encoded by itself, so its vectors are the same alone and in a batch. Calls from several threads are
    safe.

    Attributes
    ----------
    recipe
        How queries are prepared, and how documents were.
    """

    def __init__(
        self, recipe: Recipe, tokenizer: Tokenizer, session: InferenceSession, unknown: int | None = None
    ) -> None:
        self.recipe = recipe
        self._unknown = unknown
        self._tokenizer, self._session = tokenizer, session
        self._document_tokenizer: Tokenizer | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, files: Mapping[str, bytes], *, threads: int = 1) -> FrozenEncoder:
        """Return the encoder that some files hold.

        Parameters
        ----------
        files
            Contents of ``encoder.json``, ``tokenizer.json`` and ``query.onnx``, by name.
        threads
            Number of threads that share the encoding of one query. For queries of ordinary length a second thread
            gains little.

        Raises
        ------
        CorruptIndexError, FormatVersionError
            The files are not what colstore writes.
        MissingDependencyError
            onnxruntime is not installed.
        """
        if threads < 1:
            raise ConfigError(f"threads must be at least 1, got {threads}")
        for name in FILES:
            if name not in files:
                raise MissingFileError("the frozen encoder is incomplete; restore the index from a copy", file=name)
        recipe = Recipe.from_bytes(files[RECIPE])
        # The tokenizer of a large vocabulary takes as long as the graph, and both release Python's lock.
        with ThreadPoolExecutor(1) as beside:
            tokenizer = beside.submit(open_tokenizer, files[TOKENIZER], recipe.length, recipe.truncation)
            session = open_graph(files[GRAPH], threads=threads, name=GRAPH)
            _check_interface(session, recipe)
            opened = tokenizer.result()
            return cls(recipe, opened, session, unknown_token(opened, files[TOKENIZER]))

    @property
    def dim(self) -> int:
        """Number of components of a token vector."""
        return self.recipe.dim

    @property
    def settings(self) -> Mapping[str, Json]:
        """The settings of the encoder that was frozen."""
        return dict(self.recipe.settings)

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        """Return one ``(tokens, dim)`` float32 matrix for each query.

        Raises
        ------
        EncoderError
            The graph gives values that are not finite, or no vector at all.
        """
        return [encoded.vectors for encoded in self.encode_query_texts(texts)]

    def encode_query_texts(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the vectors of each query, whether it was truncated, and whether the vocabulary lacks most of it.

        Raises
        ------
        EncoderError
            As for :meth:`encode_queries`.
        """
        if isinstance(texts, str):
            raise TypeError("expected a sequence of texts, got one string; wrap it in a list")
        return [self._encode(text) for text in texts]

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        """Refuse: documents are encoded by the full model.

        Raises
        ------
        EncoderError
            Always; the message says how to load the model.
        """
        raise EncoderError(
            f"this is the frozen query side of model {self.settings.get('model')!r}, which encodes queries only "
            f"({len(texts)} documents given); load the model itself: colstore.encode.load_encoder_from_settings("
            "index.info().encoder), which needs torch and the model's files"
        )

    def document_tokens(self, text: str) -> DocumentTokens:
        """Return the tokens that a document was encoded as, and where they lie in its text.

        Parameters
        ----------
        text
            The passage that was encoded: title and text joined.

        Returns
        -------
        DocumentTokens
            Ids, offsets in characters, and which tokens have a stored vector.
        """
        if not isinstance(text, str):
            raise TypeError(f"a document must be a string, got {type(text).__name__}")
        with self._lock:
            if self._document_tokenizer is None:  # queries and documents are cut at different lengths
                data = self._tokenizer.to_str().encode("utf-8")
                self._document_tokenizer = open_tokenizer(data, self.recipe.document.length, self.recipe.truncation)
        return document_tokens(self._document_tokenizer, self.recipe.document, text)

    def _encode(self, text: str) -> EncodedText:
        if not isinstance(text, str):
            raise TypeError(f"a query must be a string, got {type(text).__name__}")
        query = prepare(self._tokenizer, self.recipe, text, self._unknown)
        try:
            output = self._session.run(None, query.inputs)[0]
        except Exception as error:  # onnxruntime has a class for each kind of failure, none of them public
            raise EncoderError(f"the frozen encoder failed on this query: {str(error)[:300]}") from error
        matrix = np.ascontiguousarray(output[0][query.scored], dtype=np.float32)
        if matrix.shape[1:] != (self.dim,) or not len(matrix) or not np.isfinite(matrix).all():
            raise EncoderError("the frozen encoder gave no usable vectors; build the index again")
        return EncodedText(matrix, query.truncated, query.unreadable)


def _check_interface(session: InferenceSession, recipe: Recipe) -> None:
    """Refuse a graph whose inputs are not those that the recipe names, or whose output is not one float matrix."""
    inputs = {node.name: node.type for node in session.get_inputs()}
    outputs = session.get_outputs()
    good = set(inputs) == set(recipe.inputs) and set(inputs.values()) == {"tensor(int64)"}
    if not good or len(outputs) != 1 or outputs[0].type != "tensor(float)":
        raise CorruptIndexError(
            f"its inputs are {sorted(inputs)}, not those that {RECIPE} names; restore the index from a copy",
            file=GRAPH,
        )
