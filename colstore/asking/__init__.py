"""An index as it answers: ranked documents become hits, candidates are reranked, further stages asked.

``hits``         document numbers to hits, whose texts are read when first looked at
``candidates``   somebody else's candidates, ranked from their stored codes
``unstored``     candidates that the index holds no vectors of
``runs``         whole runs, one query at a time
``calibration``  the threshold of the policy ``uncertain``
``first_stage``  BM25 beside the centroids, as a derived file of the index
"""
