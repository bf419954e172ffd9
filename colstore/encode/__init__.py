"""Text to token vectors: checkpoints, projection, token pooling.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``load``              a model's name or folder -> an :class:`~colstore.types.Encoder`
``instances``         a model that the caller has made -> an encoder, or what to pass instead
``restore``           the settings that an index keeps -> the same encoder, or an error
``checkpoint``        what lies in a model folder: its layout, its weights, what is missing
``hub``               a hub name -> a model folder
``embedded``          the model that a package carries
``fingerprint``       what identifies a model's files
``pipeline``          a checkpoint -> a sentence-transformers pipeline, without random weights
``limits``            how many tokens a query or a document may have
``describe``          a pipeline -> the settings that an index keeps
``transformer``       the encoder over such a pipeline
``tokens``            texts -> rows of token ids, and rows -> a padded batch
``batches``           lengths -> batches of about as many padded tokens each
``masks``             which tokens' vectors count
``runtimes``          what runs the modules over documents: torch, onnxruntime, OpenVINO
``backends``          which of them: as asked for, or the fastest here
``graph``             the modules -> an ONNX graph
``shrink``            such a graph -> with a projection, with smaller weights
``export``            an encoder -> the frozen query encoder that an index carries
``projection``        fewer dimensions, along the principal axes of a sample
``pooling``           fewer vectors a document
``fake``              a deterministic encoder without a model, for tests
====================  ==========================================================================

Nothing here imports torch until a model is loaded.
"""

from colstore.encode.backends import with_backend
from colstore.encode.export import export_query_encoder
from colstore.encode.fake import FakeEncoder
from colstore.encode.hub import EMBEDDED, embedded_model_path
from colstore.encode.load import load_encoder, load_encoder_from_settings
from colstore.encode.pooling import pool, pool_hierarchical, pool_neighbours
from colstore.encode.projection import (
    ProjectedEncoder,
    Projection,
    fit_projection,
    fit_projection_from_texts,
)
from colstore.encode.transformer import TransformerEncoder

__all__ = [
    "EMBEDDED",
    "FakeEncoder",
    "ProjectedEncoder",
    "Projection",
    "TransformerEncoder",
    "embedded_model_path",
    "export_query_encoder",
    "fit_projection",
    "fit_projection_from_texts",
    "load_encoder",
    "load_encoder_from_settings",
    "pool",
    "pool_hierarchical",
    "pool_neighbours",
    "with_backend",
]
