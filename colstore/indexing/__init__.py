"""A corpus becomes an index: documents -> token vectors -> centroids and codec -> segments -> manifest.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``build``             the build, step by step
``ingest``            documents -> the arrays that an index stores: the one path for all of them
``read_ahead``        lets the next step of a pipeline work in a thread of its own
``parts``             keeps encoded documents as float16 until the codec is trained
``train``             draws a sample of the vectors; trains the projection and the centroids
``kmeans``            spherical k-means
``nearest``           the nearest centroid of each token
``compress``          parts -> segments
``segments``          encoded documents -> sealed segments, with their postings
``centroid_index``    the FAISS index over the centroids
``output``            the output path: who may write there, and what an interrupted build left
``meters``            progress, and an estimate of what is left
====================  ==========================================================================
"""
