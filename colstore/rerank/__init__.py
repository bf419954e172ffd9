"""The stages behind MaxSim: rerankers, when they run, and how their scores and MaxSim's are combined.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``rerankers``         functions as rerankers, and the check of what a reranker returns
``cross_encoder``     cross-encoders of sentence-transformers as rerankers
``stage``             which candidates a reranker reads, within which budget
``policy``            when it runs: pure functions of the scores so far
``fusion``            two scores of a document -> one
``order``             hits of several stages -> one ranking
``calibrate``         the threshold of the policy ``"uncertain"``
====================  ==========================================================================

Nothing here knows the index: the rooms above pass in hits and scores.
"""
