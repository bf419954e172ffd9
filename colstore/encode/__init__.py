"""Encoding texts as token vectors: checkpoints, backends, projection and token pooling.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``load``              loads an :class:`~colstore.types.Encoder` by a model's name or folder, or by the settings of an
                      index
``instances``         wraps a model that the caller has loaded, or says what to pass instead
``checkpoint``        examines a model folder: layout, weights, tokenizer
``hub``               finds the folder of a model on the hub, or of the embedded model
``pipeline``          makes a sentence-transformers pipeline of a checkpoint, and sets its token limits
``describe``          describes a pipeline by settings that an index stores, and fingerprints a model's files
``transformer``       the encoder over such a pipeline
``tokens``            tokenises texts, and arranges them in padded batches
``masks``             decides which tokens keep their vectors
``runtimes``          runtimes for documents: torch, onnxruntime, OpenVINO
``backends``          chooses among the runtimes: the requested one, or the fastest on this machine
``graph``             exports the modules as an ONNX graph, adds a projection, and shrinks its weights
``export``            exports the frozen query encoder that an index contains
``projection``        reduces the dimension, by the principal axes of a sample
``pooling``           reduces the number of vectors of a document
``fake``              a deterministic encoder without a model, for tests
====================  ==========================================================================

No module imports torch until a model is loaded.
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
