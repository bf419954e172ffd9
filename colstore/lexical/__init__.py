"""BM25: splits texts into terms, scores documents by them, and selects candidates. It knows nothing of vectors.

===============  ==================================================================
module           what it does
===============  ==================================================================
``analyzers``    text -> terms
``bm25``         the BM25 index: built from texts, or opened from stored arrays
``first_stage``  the candidates of a query that BM25 contributes to a vector search
===============  ==================================================================
"""
