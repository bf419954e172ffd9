"""BM25: texts to terms, terms to an index, and an index to candidates. Knows nothing of vectors."""
