"""What stands before and after MaxSim: BM25 as a first stage, and the cross-encoder stage with its policies.

Nothing here knows of the index or of the engine; :class:`colstore.index.Index` hands over what is needed.
"""
