"""Query vectors -> ranked documents, and the training that makes it quick.

``centroids.py`` trains; ``postings.py`` lists the documents of each centroid; ``query.py`` prepares a question;
``search.py`` is the pipeline plan -> probe -> gather -> prune -> score -> cut; ``tune.py`` finds its settings.
"""
