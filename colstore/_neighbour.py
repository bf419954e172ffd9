"""Whether the other project called ``colstore`` is installed in the same folder as this one.

The package index has a distribution ``colstore`` that is not ours (ours is ``colstore-index``). Both write to the
folder ``colstore/``: whichever is installed last overwrites files of the other, and removing one breaks both. Imported
whenever colstore is, so it needs only modules that Python has loaded anyway, and some 0.1 ms.
"""

from __future__ import annotations

import os


def neighbour(folder: str) -> str | None:
    """Return the other distribution that is installed in a folder, if there is one.

    Parameters
    ----------
    folder
        Where packages are installed; only the names in it are read.

    Returns
    -------
    str or None
        Its name and version, such as ``"colstore 0.5.1"``.
    """
    try:
        entries = os.listdir(folder)  # noqa: PTH208 - pathlib takes longer to import than everything else here
    except OSError:  # inside an archive, say
        return None
    for entry in entries:
        if entry.startswith("colstore-") and entry.endswith((".dist-info", ".egg-info")):
            return "colstore " + entry.removeprefix("colstore-").rpartition(".")[0]
    return None


def warn_of_neighbour(package: str) -> None:
    """Warn if the folder that holds this package holds the other distribution, too.

    Parameters
    ----------
    package
        Folder of this package.
    """
    found = neighbour(os.path.dirname(package))  # noqa: PTH120 - as above
    if found is not None:
        import warnings

        warnings.warn(
            f"{found} is another project, installed in the same folder as colstore-index; each overwrites files of the "
            "other. Keep one of them in this environment: pip uninstall colstore colstore-index, then "
            "pip install colstore-index",
            RuntimeWarning,
            stacklevel=3,
        )
