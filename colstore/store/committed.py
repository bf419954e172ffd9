"""An error that comes after a commit must not look like a change that failed.

:func:`commit <colstore.store.history.commit>` notes each generation that it makes, and every function of the public
surface that may commit one carries :func:`says_what_is_committed`. An exception that leaves such a function after the
commit becomes a :class:`colstore.errors.CommittedError`, which names the generation. ``KeyboardInterrupt`` and
``SystemExit`` stay what they are, and say the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from colstore.errors import ColstoreError, CommittedError
from colstore.store.format import manifest_name

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Commit:
    """A commit in progress or done.

    Parameters
    ----------
    directory, generation
        The index, and the number of the new generation.
    done
        Whether :func:`colstore.store.commit` has made it durable.
    """

    directory: Path
    generation: int
    done: bool = False

    def counts_after(self, error: BaseException) -> bool:
        """Tell whether the generation is there, although ``error`` was raised.

        The errors of the commit itself say what is on disk; an interrupt in the middle of it does not.
        """
        if self.done or isinstance(error, ColstoreError):
            return self.done
        try:
            return (self.directory / manifest_name(self.generation)).exists()
        except OSError:
            return False


_commits: ContextVar[list[Commit] | None] = ContextVar("commits", default=None)


def note_commit(directory: Path, generation: int) -> Commit:
    """Note that a commit begins; the caller sets :attr:`Commit.done`."""
    begun = Commit(directory, generation)
    noted = _commits.get()
    if noted is not None:
        noted.append(begun)
    return begun


def says_what_is_committed(operation: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function whose errors after a commit are to say that the change is committed."""

    @functools.wraps(operation)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        commits: list[Commit] = []
        before = _commits.set(commits)
        try:
            return operation(*args, **kwargs)
        except CommittedError:
            raise
        except BaseException as error:
            counted = [commit for commit in commits if commit.counts_after(error)]
            if not counted:
                raise
            message = _message(counted[-1], error)
            if isinstance(error, Exception):
                raise CommittedError(message, path=counted[-1].directory, generation=counted[-1].generation) from error
            if isinstance(error, KeyboardInterrupt):
                error.args = (message,)
            error.add_note(message)
            raise
        finally:
            _commits.reset(before)

    return wrapped


def _message(commit: Commit, error: BaseException) -> str:
    cause = "it was interrupted afterwards"
    if isinstance(error, Exception):
        cause = f"an error came afterwards ({str(error) or type(error).__name__})"
    return (
        f"{commit.directory}: the change is committed as generation {commit.generation}, so do not repeat it; {cause}. "
        "Open the index again to go on"
    )
