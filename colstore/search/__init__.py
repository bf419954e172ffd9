"""Queries -> ranked documents.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``session``           queries -> hits, on one generation: filters, searcher, rerankers
``query``             checks query vectors and prepares them for the kernels
``filters``           which documents a search may return: ``where=`` evaluated, ids looked up
``filter_grammar``    the filter language: Python, JSON or a short text -> a tree of comparisons
``searcher``          the pipeline: probe -> gather -> prune -> score -> cut
``passages``          the numbers of passages and of the documents that they belong to
``segment_view``      one segment's arrays, checked before a kernel sees them
``documents``         documents and vectors read back, by id or one after another
``hits``              document numbers -> hits, whose texts are read when they are looked at
``candidates``        another system's candidates, ranked from the stored vectors
``unstored``          candidates that the index does not hold, scored by their text
``runs``              whole runs of candidates, some queries at a time
``tune``              the cheapest settings that reach a recall; thresholds of the cross-encoder stage
====================  ==========================================================================
"""
