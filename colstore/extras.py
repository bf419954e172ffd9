"""Optional packages: which extra brings them, and the line that installs it.

The base installation searches, adds vectors, reranks from disk, verifies and evaluates. What needs more calls
:func:`require` before it imports anything, so that every missing package is reported in the same way.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from colstore.errors import MissingDependencyError

DISTRIBUTION: Final = "colstore-index"
"""What the package is called on the package index, where ``colstore`` is another project."""

_PACKAGE = Path(__file__).resolve().parent


def install_command(*extras: str) -> str:
    """Return the command that installs colstore with some extras: from the checkout where this is one.

    Parameters
    ----------
    extras
        Names of extras, such as ``"encode"``; none for the base alone.

    Examples
    --------
    >>> install_command("bm25", "plot") in ("pip install '.[bm25,plot]'", "pip install 'colstore-index[bm25,plot]'")
    True
    """
    source = "." if in_checkout() else DISTRIBUTION
    return f"pip install '{source}[{','.join(extras)}]'" if extras else f"pip install {source}"


def upgrade_command() -> str:
    """Return the command that installs a newer colstore.

    Examples
    --------
    >>> upgrade_command() in ("git pull, then pip install .", "pip install --upgrade colstore-index")
    True
    """
    return f"git pull, then {install_command()}" if in_checkout() else f"pip install --upgrade {DISTRIBUTION}"


def in_checkout() -> bool:
    """Tell whether this package lies in a checkout of the project, beside its ``pyproject.toml``."""
    return (_PACKAGE.parent / "pyproject.toml").is_file()


def require(*packages: str, extra: str, purpose: str) -> None:
    """Check that optional packages are installed, without importing them.

    Parameters
    ----------
    packages
        Names of top-level modules.
    extra
        The extra that brings them; empty for packages of the base.
    purpose
        What needs them, as the subject of a sentence: ``"Reading Parquet files"``.

    Raises
    ------
    MissingDependencyError
        One of them is not installed; the message holds the command that installs it.

    Examples
    --------
    >>> require("json", extra="encode", purpose="Loading a model")
    """
    missing = [package for package in packages if not is_installed(package)]
    if missing:
        several = " are" if len(missing) > 1 else " is"
        command = install_command(*filter(None, [extra]))
        raise MissingDependencyError(
            f"{purpose} needs {' and '.join(missing)}, which{several} not installed: {command}", name=missing[0]
        )


def is_installed(package: str) -> bool:
    """Tell whether a top-level module can be imported, without importing it."""
    try:
        return find_spec(package) is not None
    except ValueError:  # a module without a specification, put in place by hand
        return True
