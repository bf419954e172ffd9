"""The small indexes of the updating tests."""

from tests.updating.conftest import document, exact, files_of, index, texts, unmerged, vectors

__all__ = ["document", "exact", "files_of", "index", "texts", "unmerged", "vectors"]
