"""The nouns: what goes in (:class:`Document`), what comes out (:class:`Hit`), and who does the encoding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
FloatMatrix: TypeAlias = NDArray[np.float32]
"""Token vectors of one text, shape ``(tokens, dim)``, float32."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus.

    Parameters
    ----------
    id
        Unique in the index; kept as it came.
    text
        The body. What is encoded is :attr:`passage`.
    title
        Optional title.
    metadata
        Anything JSON; kept beside the text, and what ``where=`` filters on.
    vectors
        Token vectors of the caller's own, shape ``(tokens, dim)``; the encoder is then not asked.

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
class Hit(Mapping[str, Any]):
    """One result, which also reads as a mapping of its fields, and equals any mapping with the same ones.

    Parameters
    ----------
    rank
        From 1.
    id
        The document's id, as the corpus had it.
    score
        Sum over query tokens of the best similarity (MaxSim).
    text, title, metadata
        As the corpus had them; ``None`` / empty where the index keeps no texts.
    stage
        What ranked this hit: ``"maxsim"`` or the name of a later stage.

    Examples
    --------
    >>> hit = Hit(rank=1, id="d1", score=12.5)
    >>> hit["score"], hit.to_trec("q7")
    (12.5, 'q7 Q0 d1 1 12.500000 colstore')
    """

    rank: int
    id: str
    score: float
    text: str | None = None
    title: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    stage: str = "maxsim"

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - the fields have several types
        if key not in _HIT_FIELDS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_HIT_FIELDS)

    def __len__(self) -> int:
        return len(_HIT_FIELDS)

    def placed(self, rank: int, score: float, stage: str) -> Hit:
        """Return the hit with another rank, score and stage."""
        return Hit(rank, self.id, score, self.text, self.title, self.metadata, stage)

    def to_trec(self, query_id: str, tag: str = "colstore") -> str:
        """Return the line ``qid Q0 docid rank score tag`` of a TREC run."""
        return f"{query_id} Q0 {self.id} {self.rank} {self.score:.6f} {tag}"

    def to_jsonl(self) -> str:
        """Return the hit as one line of JSON."""
        return json.dumps({name: self[name] for name in _HIT_FIELDS}, ensure_ascii=False, default=dict)


_HIT_FIELDS = ("rank", "id", "score", "title", "text", "metadata", "stage")


@dataclass(frozen=True, slots=True)
class EncodedText:
    """Token vectors of one text, and what happened on the way.

    Parameters
    ----------
    vectors
        Shape ``(tokens, dim)``, float32, finite; at least one row.
    truncated
        Whether the text was longer than the limit, so that its end is not in the vectors.
    """

    vectors: FloatMatrix
    truncated: bool = False


@runtime_checkable
class Encoder(Protocol):
    """Text to token vectors. One text's vectors never depend on its batch-mates beyond rounding."""

    @property
    def dim(self) -> int:
        """Components of a token vector."""
        ...

    @property
    def settings(self) -> Mapping[str, Json]:
        """All that is needed to encode the same way later; stored in the index, shown by ``info``.

        Keys ``"kind"`` (``"sentence-transformers"``, ``"fake"``, ...) and ``"model"`` are always there.
        """
        ...

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        """Return one ``(tokens, dim)`` float32 matrix for each query, in order."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the vectors of each document, in order."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Reads a query and a passage together. A pair's score never depends on its batch-mates beyond rounding."""

    @property
    def name(self) -> str:
        """What :attr:`Hit.stage` says of the hits that it ranked; one word, such as the model's name."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return one score for each (query, passage), ``(len(pairs),)`` float32, finite; higher is better."""
        ...
