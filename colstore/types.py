"""What goes in (:class:`Document`), what comes out (:class:`Hit`), and the protocols of encoders and rerankers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, SupportsIndex, TypeAlias, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from colstore.notebook import html_table

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
FloatMatrix: TypeAlias = NDArray[np.float32]
"""Token vectors of one text, shape ``(tokens, dim)``, float32."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus.

    Parameters
    ----------
    id
        The document's id, unique in the index and stored unchanged.
    text
        The body. What is encoded is :attr:`passage`.
    title
        The title, if there is one.
    metadata
        Any JSON values by name, stored beside the text; ``where=`` filters on them.
    vectors
        Token vectors of your own, shape ``(tokens, dim)``; the encoder is not used for such a document.

    Examples
    --------
    >>> Document(id="d1", title="Bees", text="They dance.").passage
    'Bees They dance.'
    """

    id: str
    text: str = ""
    title: str = ""
    metadata: Mapping[str, Json] = field(default_factory=dict)
    vectors: NDArray[Any] | None = None

    @property
    def passage(self) -> str:
        """Title and text joined by one space, ends stripped: the text that is encoded (as BEIR does)."""
        return f"{self.title} {self.text}".strip()


@dataclass(frozen=True, slots=True, eq=False)
class Passage(Mapping[str, Any]):
    """The part of a document's text that matched best.

    Like a :class:`Hit` it also reads as a mapping of its fields, and equals any mapping with the same ones.

    Parameters
    ----------
    text
        This part of the text, without the title; ``None`` where the index does not store texts.
    start, end
        Where it begins and ends in the text, in characters: ``hit.text[start:end]``.
    number
        Its number in the document, from 0.
    """

    text: str | None
    start: int
    end: int
    number: int

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - the fields have several types
        if key not in _PASSAGE_FIELDS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_PASSAGE_FIELDS)

    def __len__(self) -> int:
        return len(_PASSAGE_FIELDS)

    def __hash__(self) -> int:
        return hash((self.text, self.start, self.end, self.number))

    def to_json(self) -> dict[str, Json]:
        """Return the fields as a dict that :mod:`json` can write."""
        return dict(self)


_PASSAGE_FIELDS = ("text", "start", "end", "number")


@dataclass(frozen=True, slots=True, eq=False)
class Hit(Mapping[str, Any]):
    """One result of a search.

    A hit also reads as a mapping of its fields, and equals any mapping with the same fields and values. Hits can be
    hashed, copied and pickled.

    Parameters
    ----------
    rank
        Rank in the result, from 1.
    id
        The document's id, as the corpus had it.
    score
        The score that the hit was ranked by. For ``stage="maxsim"`` this is the sum, over the query's tokens, of the
        best similarity to a token of the document; later stages score on scales of their own.
    similarity
        The MaxSim score divided by the number of query tokens. For unit vectors it lies within -1 to 1, in practice
        within 0 to 1, whatever the length of the query. Later stages leave it as it is. ``None`` where MaxSim did not
        score the document.
    title, text
        The document's title and text, as the corpus had them; ``None`` where the index does not store texts.
    metadata
        The document's metadata; empty where the index does not store texts.
    stage
        What ranked this hit: ``"maxsim"``, or the name of a later stage.
    passage
        The passage that MaxSim scored highest, which the score is that of. ``None`` where the index has no passages
        (see :class:`colstore.PassageConfig`), where MaxSim did not score the document, and where the index does not
        store texts and the document is a single passage.

    Examples
    --------
    >>> hit = Hit(rank=1, id="d1", score=12.5, similarity=0.5)
    >>> hit["score"], hit.to_trec("q7")
    (12.5, 'q7 Q0 d1 1 12.500000 colstore')
    >>> hit in {hit}
    True
    """

    rank: int
    id: str
    score: float
    similarity: float | None = None
    title: str | None = None
    text: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    stage: str = "maxsim"
    passage: Passage | None = None

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - the fields have several types
        if key not in _HIT_FIELDS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_HIT_FIELDS)

    def __len__(self) -> int:
        return len(_HIT_FIELDS)

    def __hash__(self) -> int:
        return hash((self.rank, self.id, self.score, self.stage))  # texts are not read for it

    def placed(self, rank: int, score: float, stage: str) -> Hit:
        """Return the hit with another rank, score and stage; everything else, the similarity included, stays.

        Parameters
        ----------
        rank, score, stage
            The new values.
        """
        return Hit(rank, self.id, score, self.similarity, self.title, self.text, self.metadata, stage, self.passage)

    def to_trec(self, query_id: str, tag: str = "colstore") -> str:
        """Return the line ``qid Q0 docid rank score tag`` of a TREC run, without the line break.

        Parameters
        ----------
        query_id
            Id of the query; one word.
        tag
            Name of the system; one word.
        """
        return f"{query_id} Q0 {self.id} {self.rank} {self.score:.6f} {tag}"

    def to_json(self) -> dict[str, Json]:
        """Return the fields as a dict that :mod:`json` can write."""
        passage = None if self.passage is None else self.passage.to_json()
        return {**self, "metadata": dict(self.metadata), "passage": passage}


_HIT_FIELDS = ("rank", "id", "score", "similarity", "title", "text", "metadata", "stage", "passage")


class Hits(list[Hit]):
    """The hits of one query: a list, best first, which notebooks show as a table."""

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Hit: ...
    @overload
    def __getitem__(self, index: slice, /) -> Hits: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> Hit | Hits:
        """Return one hit, or the hits of a slice."""
        return Hits(super().__getitem__(index)) if isinstance(index, slice) else super().__getitem__(index)

    def _repr_html_(self) -> str:
        """Return a table for notebooks, with everything that comes from documents escaped."""
        rows = [
            (hit.rank, hit.id, f"{hit.score:.4f}", _shown(hit.similarity), hit.title, hit.text, _shown(hit.metadata))
            for hit in self
        ]
        return html_table(["rank", "id", "score", "similarity", "title", "text", "metadata"], rows)


def _shown(value: float | Mapping[str, Json] | None) -> str | None:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False) if value else None
    return None if value is None else f"{value:.4f}"


@dataclass(frozen=True, slots=True)
class EncodedText:
    """Token vectors of one text.

    Parameters
    ----------
    vectors
        Shape ``(tokens, dim)``, float32, finite; at least one row.
    truncated
        Whether the text was longer than the limit, so that its end is not in the vectors.
    unreadable
        Whether most of the text is unknown to the model's vocabulary, as in a script that the model has never seen.
    """

    vectors: FloatMatrix
    truncated: bool = False
    unreadable: bool = False


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into token vectors.

    The vectors of a text must not depend on the other texts of the call, but for rounding. Derive a test class from
    :class:`colstore.testing.EncoderConformance` to check an encoder of your own.

    An encoder may also have a method ``encode_query_texts``, which returns an :class:`EncodedText` for each query. By
    its ``truncated`` and ``unreadable``, queries that the model cannot read whole are reported.
    """

    @property
    def dim(self) -> int:
        """Number of components of a token vector."""
        ...

    @property
    def settings(self) -> Mapping[str, Json]:
        """Everything that decides the vectors, as JSON; stored in the index and shown by ``info``.

        The keys ``"kind"`` (``"sentence-transformers"``, ``"fake"``, or a name of your own), ``"model"`` and ``"dim"``
        are always present.
        """
        ...

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        """Return one ``(tokens, dim)`` float32 matrix for each query, in the order of ``texts``."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the vectors of each document as :class:`EncodedText`, in the order of ``texts``."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """What an :class:`Encoder` needs beside its other methods so that an index can split long texts into passages."""

    @property
    def document_length(self) -> int | None:
        """Largest number of tokens of a document; ``None`` where there is no limit."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has as a document, however long: with the tokens that the model adds."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Scores a query and a passage by reading them together.

    The score of a pair must not depend on the other pairs of the call, but for rounding. Derive a test class from
    :class:`colstore.testing.RerankerConformance` to check a reranker of your own.
    """

    @property
    def name(self) -> str:
        """The name that :attr:`Hit.stage` has for hits ranked by this reranker; one word, such as the model's name."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return one finite score for each (query, passage), ``(len(pairs),)`` float32; higher is better."""
        ...
