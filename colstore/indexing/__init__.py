"""A corpus becomes an index: documents -> token vectors -> centroids and codec -> segments -> manifest.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``build``             the build, step by step
``create``            an empty index
``ingest``            documents -> the arrays that an index stores: the one path for all of them
``split``             a text that is too long for the model -> passages that fit
``sentences``         where a text may be cut: paragraphs, sentences, lines, words
``read_ahead``        lets the steps of a pipeline work ahead in threads
``parts``             keeps encoded documents as float16 until projection and codec are trained
``train``             draws a sample of the vectors; trains the projection and the codec
``kmeans``            spherical k-means
``compress``          parts -> segments
``segments``          encoded documents -> sealed segments, with their postings
``index_files``       the files of an index that belong to no segment
``centroid_index``    the FAISS index over the centroids
``output``            the output path: whether it may be used, and what an interrupted build left
``meters``            progress, and an estimate of what is left
====================  ==========================================================================
"""
