"""A corpus becomes an index.

``pipeline.py`` is the table of contents: documents -> parts (encode) -> centroids and codec (train) -> segments
(compress) -> manifest (commit). ``output.py`` guards the output path, ``parts.py`` keeps what is encoded until it is
compressed, ``training.py`` and ``compression.py`` do what they say.
"""

from colstore.building.pipeline import build, build_from_vectors

__all__ = ["build", "build_from_vectors"]
