"""Settings of a build and of a search: frozen, and validated when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from colstore.errors import ConfigError
from colstore.values import as_integer, as_number

Bits = Literal[16, 8, 4, 2, 1]
BITS: tuple[Bits, ...] = (16, 8, 4, 2, 1)
Pooling = Literal["none", "hierarchical", "neighbours"]
POOLINGS: tuple[Pooling, ...] = ("none", "hierarchical", "neighbours")
OnError = Literal["error", "skip"]
Backend = Literal["torch", "torch-bf16", "onnx", "onnx-int8", "openvino", "openvino-bf16"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
FrozenDtype = Literal["float32", "float16", "int8"]
FROZEN_DTYPES: tuple[FrozenDtype, ...] = get_args(FrozenDtype)


MOST_SEGMENT_DOCUMENTS = 65_536
"""Documents that a segment can hold."""


def _set(settings: object, name: str, value: object) -> None:
    """Set a field of frozen settings while they are being made."""
    object.__setattr__(settings, name, value)


@dataclass(frozen=True, slots=True)
class PassageConfig:
    """How a text that is longer than the model's limit becomes passages.

    A text is cut at the ends of paragraphs and sentences; a sentence that is too long by itself is cut at line breaks,
    then between words. The title is put before each passage. A text that fits the limit is one passage.

    Measured on 60 documents of six abstracts of SciFact each (embedded model, 4 bits; nDCG@10 and vectors):
    cut at 256 tokens .246 and 15,360, cut at 512 .363 and 30,720, passages of 256 .906 and 141,973, with an overlap of
    32 .904 and 149,121. So passages are the default, without an overlap; ``scripts/bench_passages.py`` has the rest.

    Parameters
    ----------
    max_tokens
        Largest number of tokens of a passage, with its title and the tokens that the model adds; ``None`` takes the
        model's limit.
    overlap
        Largest number of tokens at the end of a passage that the next one repeats, in whole sentences; at most half of
        ``max_tokens``.

    Raises
    ------
    ConfigError
        A setting is invalid; the message names it.

    Examples
    --------
    >>> PassageConfig(max_tokens=128, overlap=16).overlap
    16
    """

    max_tokens: int | None = None
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens is not None:
            _set(self, "max_tokens", as_integer("max_tokens of passages", self.max_tokens, 1))
        most = None if self.max_tokens is None else self.max_tokens // 2
        _set(self, "overlap", as_integer("overlap of passages", self.overlap, 0, most))

    @classmethod
    def of(cls, passages: PassageConfig | bool | None) -> PassageConfig | None:
        """Return the settings that an argument ``passages`` stands for: ``True`` for the defaults, ``False`` for none.

        Raises
        ------
        ConfigError
            It is something else.
        """
        if passages is None or isinstance(passages, PassageConfig):
            return passages
        if isinstance(passages, bool):
            return cls() if passages else None
        raise ConfigError(f"passages must be True, False or a colstore.PassageConfig, got {passages!r}")


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """How token vectors become an index.

    Parameters
    ----------
    bits
        Bits per component of a vector: 16 (float16), 8, or a residual of 4, 2 or 1.
    pool_factor
        Token pooling: keep about one vector in ``pool_factor``; 1 keeps every vector.
    pooling
        ``"hierarchical"`` (Ward clustering) or ``"neighbours"`` (runs of consecutive tokens). Only used when
        ``pool_factor`` is greater than 1.
    centroids
        Number of centroids; ``None`` chooses it from the number of tokens.
    segment_documents, segment_tokens
        A segment is closed as soon as it holds this many documents or tokens, whichever comes first. A segment holds
        at most 65,536 documents.
    store_texts
        Whether the index stores titles, texts and metadata.
    seed
        Seed of the training sample, of the rotation and of k-means.
    passages
        How a text beyond the model's limit becomes passages, see :class:`PassageConfig`; ``True`` stands for its
        defaults. With ``None`` or ``False`` such a text is cut at the limit, and counted. So it is where an encoder
        cannot count tokens (:class:`colstore.TokenCounter`).

    Raises
    ------
    ConfigError
        A setting is invalid; the message names it.

    Examples
    --------
    >>> BuildConfig(bits=2, segment_documents=1_000).bits
    2
    """

    bits: Bits = 4
    pool_factor: float = 1.0
    pooling: Pooling = "hierarchical"
    centroids: int | None = None
    segment_documents: int = MOST_SEGMENT_DOCUMENTS
    segment_tokens: int = 8_388_608
    store_texts: bool = True
    seed: int = 0
    passages: PassageConfig | None = PassageConfig()

    def __post_init__(self) -> None:
        _set(self, "passages", PassageConfig.of(self.passages))
        if isinstance(self.bits, bool | float) or self.bits not in BITS:
            raise ConfigError(f"bits must be one of {BITS}, got {self.bits!r}")
        if self.pooling not in POOLINGS:
            raise ConfigError(f"pooling must be one of {POOLINGS}, got {self.pooling!r}")
        if not isinstance(self.store_texts, bool):
            raise ConfigError(f"store_texts must be True or False, got {self.store_texts!r}")
        _set(self, "bits", int(self.bits))
        _set(self, "pool_factor", as_number("pool_factor", self.pool_factor, 1))
        if self.centroids is not None:
            _set(self, "centroids", as_integer("centroids", self.centroids, 1))
        documents = as_integer("segment_documents", self.segment_documents, 1, MOST_SEGMENT_DOCUMENTS)
        _set(self, "segment_documents", documents)
        _set(self, "segment_tokens", as_integer("segment_tokens", self.segment_tokens, 1))
        _set(self, "seed", as_integer("seed", self.seed, 0))

    @classmethod
    def of(cls, config: BuildConfig | None, **arguments: Any) -> BuildConfig:  # noqa: ANN401 - fields of several types
        """Return the settings that a call stands for: ``config``, or the defaults with the arguments in their place.

        Parameters
        ----------
        config
            The caller's settings, or ``None``.
        arguments
            Settings passed one by one; ``None`` stands for one that was not passed.

        Raises
        ------
        ConfigError
            ``config`` is something else, or an argument contradicts it.

        Examples
        --------
        >>> BuildConfig.of(None, bits=2, seed=None) == BuildConfig(bits=2)
        True
        """
        passed = {name: value for name, value in arguments.items() if value is not None}
        if config is None:
            return cls(**passed)
        if not isinstance(config, BuildConfig):
            raise ConfigError(f"config must be a colstore.BuildConfig, got {config!r}")
        for name, value in passed.items():
            if getattr(config, name) != getattr(cls(**{name: value}), name):
                raise ConfigError(
                    f"{name}={value!r} contradicts config, which has {name}={getattr(config, name)!r}: pass one of them"
                )
        return config


@dataclass(frozen=True, slots=True)
class SearchParams:
    """How much work a search does. A number left at ``None`` is chosen from ``k``, or is the one that ``tune`` stored.

    Parameters
    ----------
    probes
        Number of nearest centroids of each query token whose documents become candidates.
    candidates
        Number of documents that gathering passes on to the centroid interaction.
    scored
        Number of documents that the centroid interaction passes on to scoring from the stored codes.
    exact
        Score every (allowed) document instead.
    exact_tokens
        Score every (allowed) document where these have no more tokens than this, because looking for candidates would
        take longer.
    k
        Number of hits that the numbers above were chosen for. A search for more hits scales ``candidates`` and
        ``scored`` up.

    Raises
    ------
    ConfigError
        A setting is invalid; the message names it.
    """

    probes: int | None = None
    candidates: int | None = None
    scored: int | None = None
    exact: bool = False
    exact_tokens: int = 32_768
    k: int | None = None

    def __post_init__(self) -> None:
        for name in ("probes", "candidates", "scored", "k"):
            value = getattr(self, name)
            if value is not None:
                _set(self, name, as_integer(name, value, 1))
        _set(self, "exact_tokens", as_integer("exact_tokens", self.exact_tokens, 0))

    def for_k(self, k: int) -> tuple[int, int, int]:
        """Return the numbers of probes, candidates and scored documents for ``k`` hits.

        Parameters
        ----------
        k
            Number of hits, at least 1.

        Examples
        --------
        >>> SearchParams().for_k(10)
        (16, 400, 60)
        >>> SearchParams(scored=5).for_k(10)
        (16, 400, 10)
        """
        growth = max(1.0, k / self.k) if self.k else 1.0
        probes = self.probes or (16 if k <= 10 else 24 if k <= 100 else 48)
        scored = max(k, round(self.scored * growth) if self.scored else max(60, 4 * k))
        candidates = round(self.candidates * growth) if self.candidates else max(400, 10 * k)
        return probes, max(scored, candidates), scored
