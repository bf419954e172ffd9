"""One generation of an index, open: what both searching and updating start from.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``snapshot``          opens a generation: manifest, codec, segments, deleted documents
``live_segment``      one segment and which of its documents are deleted
``query_encoder``     the encoder for queries: frozen, without torch, where the index has one
``document_encoder``  the encoder for documents: the model that the index was built with
``bm25``              the stored BM25 index, and whether it is still up to date
``tuned``             what tuning stored: search parameters, and the threshold for reranking
``info``              counts, sizes, settings, and how well the centroids still fit
====================  ==========================================================================
"""
