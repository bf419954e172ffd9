"""What a comparison tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from colstore.config import BITS, Bits, BuildConfig
from colstore.errors import ConfigError
from colstore.evaluate.comparison import Family

EXACT = "exact"


@dataclass(frozen=True, slots=True)
class CompareConfig:
    """What is compared.

    Parameters
    ----------
    bits
        Codecs of late interaction, from :data:`colstore.config.BITS`.
    pool_factors
        Pool factors beyond 1, at ``main`` bits.
    k
        Hits of a query: what recall is counted in, and what is timed.
    bm25_candidates
        Number of candidates from BM25 that MaxSim ranks in the row ``bm25-maxsim``.
    rerank_depth
        Number of candidates from MaxSim that the cross-encoder may score.
    max_queries
        Use at most so many judged queries, drawn at random.
    skip
        Keys of rows to leave out.
    seed
        Of the drawing, the builds, the bootstrap and the tests.
    """

    bits: Sequence[Bits] = BITS
    pool_factors: Sequence[float] = (2, 3)
    k: int = 100
    bm25_candidates: int = 100
    rerank_depth: int = 50
    max_queries: int | None = None
    skip: Sequence[str] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.bits or any(bits not in BITS for bits in self.bits):
            raise ConfigError(f"bits must be some of {BITS}, got {tuple(self.bits)!r}")
        if any(not factor > 1 for factor in self.pool_factors):
            raise ConfigError(f"pool factors must exceed 1 (1 is there anyway), got {tuple(self.pool_factors)!r}")
        for name in ("k", "bm25_candidates", "rerank_depth", "max_queries"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")
        unknown = set(self.skip) - {key for key, *_ in self.names()}
        if unknown:
            known = ", ".join(key for key, *_ in self.names())
            raise ConfigError(f"no row is called {min(unknown)!r}: there are {known}")

    @property
    def main(self) -> Bits:
        """Bits of the index that pooling and the stages after MaxSim use: the default of a build, if it is there."""
        usual = BuildConfig().bits
        return usual if usual in self.bits else self.bits[0]

    def names(self) -> list[tuple[str, str, Family]]:
        """Return key, label and family of every row, in the order of the table."""
        usual = f"{self.main} bits"
        return [
            ("bm25", "BM25", "words"),
            ("mean", "one vector", "one vector"),
            (EXACT, "MaxSim float32", "late interaction"),
            *((f"{bits}-bit", f"MaxSim {_bits(bits)}", _LATE) for bits in self.bits),
            *((f"pool-{factor:g}", f"MaxSim {usual}, pooled {factor:g}", _POOLED) for factor in self.pool_factors),
            ("bm25-maxsim", "BM25, then MaxSim", "words, then vectors"),
            ("cross-always", "cross-encoder, always", "cross-encoder"),
            ("cross-uncertain", "cross-encoder, uncertain", "cross-encoder"),
        ]


_LATE: Family = "late interaction"
_POOLED: Family = "pooled"


def _bits(bits: Bits) -> str:
    return "1 bit" if bits == 1 else f"{bits} bits"
