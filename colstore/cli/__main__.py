"""``python -m colstore.cli``: the same as the ``colstore`` command."""

from __future__ import annotations

from colstore.cli import main

if __name__ == "__main__":
    main(prog_name="colstore")
