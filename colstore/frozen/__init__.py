"""The query side of an encoder, frozen into three files that an index carries: no torch, no transformers.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``recipe``            ``encoder.json``: how queries and documents are prepared, read strictly
``tokens``            ``tokenizer.json``: a query to token ids, a document to tokens and their places in the text
``graph``             ``query.onnx``: what a graph may contain, and onnxruntime to run it
``encoder``           :class:`FrozenEncoder`, all of it together
====================  ==========================================================================

Imports numpy, and when an encoder is loaded tokenizers and onnxruntime; nothing else. ``colstore.encode.export``
writes what is read here.
"""

from colstore.frozen.encoder import FrozenEncoder
from colstore.frozen.graph import check_graph, open_graph
from colstore.frozen.recipe import FILES, GRAPH, RECIPE, TOKENIZER, DocumentSide, Expansion, Recipe
from colstore.frozen.tokens import DocumentTokens

__all__ = [
    "FILES",
    "GRAPH",
    "RECIPE",
    "TOKENIZER",
    "DocumentSide",
    "DocumentTokens",
    "Expansion",
    "FrozenEncoder",
    "Recipe",
    "check_graph",
    "open_graph",
]
