"""An empty index: everything but documents. Its codec is not trained before there is something to train on."""

from __future__ import annotations

from pathlib import Path

from colstore.config import BuildConfig, FrozenDtype
from colstore.indexing.index_files import commit_first, write_codec, write_encoder
from colstore.indexing.output import claim_output, locked_output
from colstore.indexing.train import untrained_codec
from colstore.reports import BuildReport
from colstore.store import highest
from colstore.types import Encoder


def create(path: Path, config: BuildConfig, dim: int, encoder: Encoder | None, dtype: FrozenDtype) -> BuildReport:
    """Commit the first generation of an empty index.

    Parameters
    ----------
    path
        Directory of the new index.
    config
        How documents will be stored once there are enough of them.
    dim
        Number of components of the vectors to come.
    encoder
        The encoder of queries and documents; ``None`` where documents bring their vectors.
    dtype
        How the index keeps the weights of its query encoder.

    Raises
    ------
    IndexExistsError, NotAnIndexError, IndexLockedError, StorageError
        Nothing appears at ``path`` then, and what was there stays as it was.
    """
    report = BuildReport()
    with locked_output(path):
        claim_output(path, overwrite=False, resume=False)
        generation = highest(path) + 1
        codec = untrained_codec(dim, config)
        stored_encoder = None
        if encoder is not None:
            with report.stage("freeze"):
                stored_encoder = write_encoder(path, generation, encoder, None, dtype, report)
        with report.stage("commit"):
            written = write_codec(path, generation, codec, None)
            commit_first(path, generation, config, codec, written, stored_encoder, (), report)
    return report
