"""An index as it changes: every call one generation, committed in one step, under the writer lock.

===============  ==================================================================================
module           what it does
===============  ==================================================================================
``snapshot``     a generation, opened: what readers and writers start from
``encoders``     the index's encoder, for queries and for new documents
``change``       one change on its way: lock, what is deleted, new segments, the commit
``adding``       documents in: ``add`` (and ``replace``)
``deleting``     documents out
``policy``       which segments are due to be merged
``merging``      several segments become one, compared before they are committed
``compacting``   all of it on request, with ``retrain`` also new centroids
``drift``        how well the codec still fits what is added
``retention``    how long old generations stay
``checking``     ``verify``: everything that can be checked, and repair of what is derived
``tuning``       search parameters, kept
``recovery``     older generations: what there is, going back to one
``losses``       what going back would lose
``report``       what a change says when it is done
===============  ==================================================================================
"""
