"""Settings, frozen and checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from colstore.errors import ConfigError

Bits = Literal[16, 8, 4, 2, 1]
BITS: tuple[Bits, ...] = (16, 8, 4, 2, 1)
Pooling = Literal["none", "hierarchical", "neighbours"]
POOLINGS: tuple[Pooling, ...] = ("none", "hierarchical", "neighbours")
OnError = Literal["error", "skip"]
Backend = Literal["torch", "torch-bf16", "onnx", "onnx-int8", "openvino", "openvino-bf16"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
FrozenDtype = Literal["float32", "float16", "int8"]
FROZEN_DTYPES: tuple[FrozenDtype, ...] = get_args(FrozenDtype)


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """How token vectors become an index.

    Parameters
    ----------
    bits
        Bits a component: 16 (float16), 8, or residual 4, 2, 1.
    pool_factor
        Keep about one vector in so many (token pooling); 1 keeps all.
    pooling
        ``"hierarchical"`` (Ward) or ``"neighbours"`` (runs of consecutive tokens); only used when
        ``pool_factor`` exceeds 1.
    centroids
        Number of centroids; ``None`` chooses from the number of tokens.
    segment_documents, segment_tokens
        A segment is sealed at whichever comes first.
    store_texts
        Keep titles, texts and metadata in the index.
    seed
        Of the sample, the rotation and k-means.
    """

    bits: Bits = 4
    pool_factor: float = 1.0
    pooling: Pooling = "hierarchical"
    centroids: int | None = None
    segment_documents: int = 65_536
    segment_tokens: int = 8_388_608
    store_texts: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise ConfigError(f"bits must be one of {BITS}, got {self.bits!r}")
        if not self.pool_factor >= 1.0:
            raise ConfigError(f"pool_factor must be at least 1 (1 keeps every vector), got {self.pool_factor!r}")
        if self.pooling not in POOLINGS:
            raise ConfigError(f"pooling must be one of {POOLINGS}, got {self.pooling!r}")
        if self.centroids is not None and self.centroids < 1:
            raise ConfigError(f"centroids must be at least 1, got {self.centroids}")
        if not 1 <= self.segment_documents <= 65_536:
            raise ConfigError(f"segment_documents must lie in 1..65536, got {self.segment_documents}")
        if self.segment_tokens < 1:
            raise ConfigError(f"segment_tokens must be at least 1, got {self.segment_tokens}")


@dataclass(frozen=True, slots=True)
class SearchParams:
    """How hard to look. Left at ``None``, a number is chosen from ``k``, or is the one that ``tune`` stored.

    Parameters
    ----------
    probes
        Nearest centroids of each query token whose documents become candidates.
    candidates
        Documents kept after gathering, for the centroid interaction.
    scored
        Documents kept after the centroid interaction, for scoring on their stored codes.
    exact
        Score every (allowed) document instead.
    exact_tokens
        Score every (allowed) document where they have no more tokens than this: looking for candidates costs more.
    k
        Hits that the numbers above were chosen for; where more are asked for, candidates and scored grow with them.
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
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ConfigError(f"{name} must be a whole number of at least 1 (or None), got {value!r}")
        if self.exact_tokens < 0:
            raise ConfigError(f"exact_tokens must be at least 0, got {self.exact_tokens!r}")

    def for_k(self, k: int) -> tuple[int, int, int]:
        """Return probes, candidates and scored documents for ``k`` hits.

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
