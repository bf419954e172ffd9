"""How two rankings of the same documents become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colstore.errors import ConfigError

Rule = Literal["replace", "interpolate", "reciprocal"]
RULES: tuple[Rule, ...] = get_args(Rule)
WEIGHT, CONSTANT = 0.5, 60.0
_SHORT = {"rrf": "reciprocal", "none": "replace"}


@dataclass(frozen=True, slots=True)
class Fusion:
    """The rule by which the scores of an earlier and a later stage become one.

    Parameters
    ----------
    rule
        ``"replace"``: the later score stands. ``"interpolate"``: each stage's scores are brought to 0..1 over the
        documents at hand (worst to best), then ``weight * later + (1 - weight) * earlier``. ``"reciprocal"``:
        ``1 / (constant + rank)``, summed over the two stages (Cormack et al. 2009); scores count by their order alone.
    weight
        Of the later stage, 0 to 1.
    constant
        The larger, the less the first ranks stand out.

    Examples
    --------
    >>> Fusion.parse("interpolate:0.75")
    Fusion(rule='interpolate', weight=0.75, constant=60.0)
    >>> Fusion("interpolate").fused([10.0, 5.0, 0.0], [0.0, 2.0, 1.0]).tolist()
    [0.5, 0.75, 0.25]
    """

    rule: Rule = "replace"
    weight: float = WEIGHT
    constant: float = CONSTANT

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ConfigError(f"fusion must be one of {RULES}, got {self.rule!r}")
        if not 0 <= self.weight <= 1:
            raise ConfigError(f"the weight of a fusion must lie in 0..1, got {self.weight!r}")
        if not 0 <= self.constant < float("inf"):
            raise ConfigError(f"the constant of a fusion must be at least 0, got {self.constant!r}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``replace`` (or ``none``), ``interpolate[:WEIGHT]``, ``reciprocal[:CONSTANT]`` (or ``rrf``).

        Raises
        ------
        ConfigError
            It is none of these.
        """
        name, _, number = text.partition(":")
        rule = _SHORT.get(name, name)
        try:
            value = float(number) if number else None
        except ValueError:
            value = float("nan")
        if rule == "interpolate":
            return cls("interpolate", weight=WEIGHT if value is None else value)
        if rule == "reciprocal":
            return cls("reciprocal", constant=CONSTANT if value is None else value)
        if rule == "replace" and value is None:
            return cls()
        raise ConfigError(f"fusion {text!r} is none of replace, interpolate[:WEIGHT] and reciprocal[:CONSTANT]")

    @property
    def needs_scores(self) -> bool:
        """Whether the earlier stage's scores matter beyond their order."""
        return self.rule == "interpolate"

    def fused(self, earlier: ArrayLike, later: ArrayLike) -> NDArray[np.float64]:
        """Return one score for each document, ``(n,)`` float64, from those of the two stages, finite, ``(n,)`` each.

        Equal scores rank in the order given.
        """
        first, second = np.asarray(earlier, np.float64), np.asarray(later, np.float64)
        if self.rule == "replace":
            return second
        if self.rule == "interpolate":
            return self.weight * _scaled(second) + (1 - self.weight) * _scaled(first)
        ranked: NDArray[np.float64] = 1 / (self.constant + _ranks(first)) + 1 / (self.constant + _ranks(second))
        return ranked


def _scaled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores on 0..1, worst to best; all 0 where they are all the same."""
    spread = np.ptp(scores) if len(scores) else 0.0
    return (scores - scores.min()) / spread if spread > 0 else np.zeros_like(scores)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1, the best first."""
    ranks = np.empty(len(scores), np.float64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks
