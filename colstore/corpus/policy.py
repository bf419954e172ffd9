"""What to do with records that cannot be taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from colstore.config import OnError
from colstore.errors import ConfigError, CorpusError, DuplicateIdError, EmptyDocumentError


def check_choice(name: str, value: object) -> None:
    """Refuse a choice that is neither ``"error"`` nor ``"skip"``.

    Raises
    ------
    ConfigError
        It is another.
    """
    if value not in get_args(OnError):
        raise ConfigError(f"{name} must be one of {get_args(OnError)}, got {value!r}")


OnDuplicate = Literal["error", "skip", "keep"]


@dataclass(frozen=True, slots=True)
class IntakePolicy:
    """Which errors are raised and which are counted.

    Parameters
    ----------
    on_error
        For broken records.
    on_duplicate
        For ids that came before; ``"keep"`` hands every document of the id on.
    on_empty
        For documents with nothing to encode.
    """

    on_error: OnError
    on_duplicate: OnDuplicate
    on_empty: OnError

    def __post_init__(self) -> None:
        for name in ("on_error", "on_duplicate", "on_empty"):
            if name != "on_duplicate" or self.on_duplicate != "keep":
                check_choice(name, getattr(self, name))

    def skips(self, error: CorpusError) -> bool:
        """Return whether what gave this error is passed over."""
        if isinstance(error, DuplicateIdError):
            return self.on_duplicate == "skip"
        return (self.on_empty if isinstance(error, EmptyDocumentError) else self.on_error) == "skip"
