"""Functions as rerankers, and the check of what a reranker returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colstore.errors import ConfigError, RerankerError
from colstore.types import Reranker
from colstore.values import as_array

Pairs = Sequence[tuple[str, str]]


class CallableReranker:
    """A function as a reranker: an HTTP service, another library, a rule.

    Parameters
    ----------
    function
        Takes a list of (query, passage), and returns one finite number for each; higher is better.
    name
        The name that :attr:`Hit.stage` has for the hits ranked by it; one word.

    Raises
    ------
    ConfigError
        ``function`` cannot be called, or ``name`` is not one word.

    Examples
    --------
    >>> shorter = CallableReranker(lambda pairs: [-len(passage) for _, passage in pairs], name="shorter")
    >>> shorter.score([("q", "long text"), ("q", "text")]).tolist()
    [-9.0, -4.0]
    """

    def __init__(self, function: Callable[[list[tuple[str, str]]], ArrayLike], name: str = "callable") -> None:
        if not callable(function):
            raise ConfigError(f"CallableReranker takes a function of (query, passage) pairs, got {function!r}")
        self.function, self.name = function, checked_name(name)

    def score(self, pairs: Pairs) -> NDArray[np.float32]:
        """Return what the function returns for the pairs, ``(len(pairs),)`` float32.

        Raises
        ------
        RerankerError
            The function did not return numbers.
        """
        if not len(pairs):
            return np.zeros(0, np.float32)
        return _as_floats(self.name, self.function(list(pairs))).astype(np.float32)


def checked_name(name: str) -> str:
    """Return the name of a reranker, which must be one word because it ends up in a column of a TREC run.

    Raises
    ------
    ConfigError
        The name is not one word.
    """
    if not isinstance(name, str) or len(name.split()) != 1:
        raise ConfigError(f"the name of a reranker must be one word, got {name!r}")
    return name


def checked_reranker(reranker: object) -> Reranker:
    """Return a reranker, or say what to pass in its place.

    Raises
    ------
    ConfigError
        A text, a function, a class, a model, or anything else that does not keep the protocol
        :class:`colstore.Reranker`.
    """
    if isinstance(reranker, Reranker) and not isinstance(reranker, type):
        return reranker
    match reranker:
        case str():
            remedy = f"for a cross-encoder of that name, pass colstore.CrossEncoderReranker({reranker!r})"
        case type():
            remedy = f"pass an object of the class, such as {reranker.__name__}(...)"
        case _ if hasattr(reranker, "predict"):
            remedy = "pass colstore.CallableReranker(model.predict, 'a-name'), or CrossEncoderReranker(folder)"
        case _ if callable(reranker):
            remedy = "pass colstore.CallableReranker(function, 'a-name')"
        case _:
            remedy = "pass a colstore.CrossEncoderReranker, CallableReranker or RerankStage"
    raise ConfigError(f"reranker must be an object with a name and a method score, got {_kind(reranker)}: {remedy}")


def checked_scores(reranker: Reranker, pairs: Pairs) -> NDArray[np.float64]:
    """Return a reranker's scores of pairs, ``(len(pairs),)`` float64.

    Raises
    ------
    RerankerError
        The reranker returned something else than one finite number for each pair.
    """
    scores = _as_floats(reranker.name, reranker.score(pairs))
    if scores.shape != (len(pairs),):
        raise RerankerError(
            f"reranker {reranker.name!r} returned scores of shape {scores.shape} for {len(pairs)} pairs: it must "
            "return one number for each pair"
        )
    if not np.isfinite(scores).all():
        raise RerankerError(f"reranker {reranker.name!r} returned scores that are not finite numbers")
    return scores


def _as_floats(name: str, scores: object) -> NDArray[np.float64]:
    try:
        return as_array(scores).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise RerankerError(
            f"reranker {name!r} returned {_kind(scores)}: it must return one number for each pair"
        ) from error


def _kind(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float | type) or value is None else type(value).__name__
