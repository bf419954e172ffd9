"""Changes of an index: each takes the writer lock, and commits one generation in one step.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``change``            a change in progress: the lock, new segments, deleted documents, the commit
``add``               adds and replaces documents
``delete``            deletes documents
``merge``             copies the live documents of several segments into one, and compares the copy
``merge_policy``      which segments are due to be merged
``compact``           merges everything on request
``retrain``           trains new centroids on what is stored, and encodes all documents with them
``bm25``              makes the BM25 index
``retention``         how long old generations are kept
``verify``            checks everything that can be checked; repairs what is derived
``recover``           lists older generations, and what returning to one would lose
====================  ==========================================================================
"""
