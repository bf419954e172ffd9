"""The query side of an encoder, frozen into three files that an index carries: no torch, no transformers.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``recipe``            ``encoder.json``: how a question becomes rows of numbers, read strictly
``tokens``            ``tokenizer.json``: a question to token ids, filled up as the model wants it
``graph``             what a graph may be: no files outside of it, no operators of others
``runtime``           ``query.onnx`` in onnxruntime
``encoder``           :class:`FrozenEncoder`, all of it together
====================  ==========================================================================

Imports numpy, and when an encoder is loaded tokenizers and onnxruntime; nothing else. ``colstore.encode.export``
writes what is read here.
"""

from colstore.frozen.encoder import FrozenEncoder
from colstore.frozen.graph import check_graph, open_graph
from colstore.frozen.recipe import FILES, GRAPH, RECIPE, TOKENIZER, Expansion, Recipe

__all__ = [
    "FILES",
    "GRAPH",
    "RECIPE",
    "TOKENIZER",
    "Expansion",
    "FrozenEncoder",
    "Recipe",
    "check_graph",
    "open_graph",
]
