"""Changes to an index: each takes the writer lock and commits one new generation in one step.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``change``            a change in progress: lock, new segments, deleted documents, commit
``add``               adds and replaces documents
``delete``            deletes documents
``merge``             copies the live documents of several segments into one; checks the copy
``merge_policy``      decides which segments to merge
``compact``           merges segments on request
``retrain``           trains new centroids on the stored vectors, and encodes all documents with them
``bm25``              builds the BM25 index
``retention``         how long old generations are kept
``verify``            checks files and their contents; rebuilds derived files
``recover``           lists older generations with what each would lose; returns to one
====================  ==========================================================================
"""
