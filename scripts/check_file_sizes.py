"""Refuse large files: ``python scripts/check_file_sizes.py FILE...`` (a pre-commit hook)."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 1_000_000  # bytes: models, indexes and collections do not belong in the repository


def main(names: list[str]) -> int:
    """Print the name of every file over the limit; return 1 if there is one, else 0."""
    large = [name for name in names if Path(name).stat().st_size > LIMIT]
    for name in large:
        print(f"{name}: over {LIMIT:,} bytes; keep it out of the repository, or make it smaller")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
