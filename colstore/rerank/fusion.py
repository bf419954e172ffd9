"""Combining two rankings of the same documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colstore.errors import ConfigError
from colstore.values import as_number

Rule = Literal["replace", "interpolate", "reciprocal"]
RULES: tuple[Rule, ...] = get_args(Rule)
WEIGHT, CONSTANT = 0.5, 60.0
_SHORT = {"rrf": "reciprocal", "none": "replace"}


@dataclass(frozen=True, slots=True)
class Fusion:
    """The rule that combines the scores of an earlier and a later stage.

    Parameters
    ----------
    rule
        ``"replace"`` takes the later score. ``"interpolate"`` scales each stage's scores to 0..1 over the documents at
        hand (worst to best), and takes ``weight * later + (1 - weight) * earlier``. ``"reciprocal"`` takes the sum of
        ``1 / (constant + rank)`` over both stages (reciprocal rank fusion, Cormack et al. 2009), which depends on the
        order of the scores only.
    weight
        Weight of the later stage, 0 to 1; for ``"interpolate"``.
    constant
        At least 0, for ``"reciprocal"``: the larger it is, the less the first ranks count.

    Raises
    ------
    ConfigError
        A setting is invalid.

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
        object.__setattr__(self, "weight", as_number("the weight of a fusion", self.weight, 0, 1))
        object.__setattr__(self, "constant", as_number("the constant of a fusion", self.constant, 0))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the fusion that a short text names.

        Parameters
        ----------
        text
            ``"replace"`` (or ``"none"``), ``"interpolate[:WEIGHT]"``, or ``"reciprocal[:CONSTANT]"`` (or ``"rrf"``).

        Raises
        ------
        ConfigError
            The text is none of these.
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
        raise ConfigError(f"fusion must be replace, interpolate[:WEIGHT] or reciprocal[:CONSTANT], got {text!r}")

    @classmethod
    def of(cls, fusion: Fusion | str | None) -> Fusion | None:
        """Return a fusion, or the one that a text names; ``None`` stays ``None``.

        Raises
        ------
        ConfigError
            It is something else.
        """
        if isinstance(fusion, str):
            return cls.parse(fusion)
        if fusion is not None and not isinstance(fusion, Fusion):
            raise ConfigError(f"fusion must be a colstore.Fusion or a text such as 'reciprocal', got {fusion!r}")
        return fusion

    @property
    def needs_scores(self) -> bool:
        """Whether the earlier stage's scores are needed, and not only their order."""
        return self.rule == "interpolate"

    def fused(self, earlier: ArrayLike, later: ArrayLike) -> NDArray[np.float64]:
        """Return the combined score of each document.

        Parameters
        ----------
        earlier, later
            Finite scores of the two stages, ``(n,)`` each. Equal scores rank in the order of the documents.

        Returns
        -------
        array
            ``(n,)`` float64, higher is better.
        """
        first, second = np.asarray(earlier, np.float64), np.asarray(later, np.float64)
        if self.rule == "replace":
            return second
        if self.rule == "interpolate":
            return self.weight * _scaled(second) + (1 - self.weight) * _scaled(first)
        ranked: NDArray[np.float64] = 1 / (self.constant + _ranks(first)) + 1 / (self.constant + _ranks(second))
        return ranked


def _scaled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores scaled to 0..1, worst to best; all 0 where they are all equal."""
    spread = np.ptp(scores) if len(scores) else 0.0
    return (scores - scores.min()) / spread if spread > 0 else np.zeros_like(scores)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1, the best first."""
    ranks = np.empty(len(scores), np.float64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks
