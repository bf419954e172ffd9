"""One open generation of an index: the starting point of both searching and updating.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``snapshot``          opens a generation: manifest, codec, segments, deleted documents
``live_segment``      one segment, and which of its documents are live
``query_encoder``     the encoder for queries: frozen, without torch, where the index has one
``document_encoder``  the encoder for documents: the model that the index was built with
``bm25``              opens the stored BM25 index; tells whether it is up to date
``tuned``             what tuning stored: search parameters, and the threshold of the cross-encoder stage
``info``              counts, sizes, settings, and how well the centroids fit added documents
====================  ==========================================================================
"""
