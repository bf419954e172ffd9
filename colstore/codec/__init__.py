"""Token vectors <-> bytes.

A codec turns float32 token vectors into named arrays, one row a token, and back. Every codec also stores the number of
a centroid near each token (``codes``), by which search finds candidates; the residual codecs store only the difference
from it. ``base.py`` has the protocol; :func:`make` and :func:`restore` return codecs.
"""

from colstore.codec.base import Codec, make, restore
from colstore.codec.centroids import Centroids, random_rotation
from colstore.codec.checks import checked_vectors
from colstore.codec.float16 import Float16Codec
from colstore.codec.residual import ResidualCodec

__all__ = [
    "Centroids",
    "Codec",
    "Float16Codec",
    "ResidualCodec",
    "checked_vectors",
    "make",
    "random_rotation",
    "restore",
]
