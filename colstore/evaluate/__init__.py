"""Accuracy, speed and size: measures of an index or a run, and comparisons of several ways to search.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``judgements``        reads and matches queries and qrels; counts what does not match
``rankings``          reads and writes runs; leaves out documents that are their own query
``measures``          rankings -> nDCG, MRR, MAP, recall, success, by ``ir-measures``
``statistics``        values per query -> confidence intervals and p-values
``machine``           latency on one thread; the machine and versions that figures come from
``evaluation``        evaluates an index, or a run from any system
``config``            the settings of a comparison, and its rows
``experiment``        ``compare``: corpus, queries and qrels -> all ways to search side by side
``inputs``            selected queries, encoded once; documents, encoded once
``spool``             the documents' token vectors and passages on disk
``harness``           builds, searches and times BM25 and MaxSim on equal terms
``baselines``         exact MaxSim in float32; one vector per text in a flat index
``bi_encoder``        models that produce one vector per text
``cross_encoder``     MaxSim followed by a cross-encoder
``comparison``        the results as rows, and their JSON and CSV forms
``advice``            rows -> recommendations in prose, by stated rules
``plot``, ``labels``  rows -> a plot
``report``            rows -> an HTML page and files
====================  ==========================================================================
"""

from colstore.evaluate.advice import advise
from colstore.evaluate.comparison import Comparison, Row
from colstore.evaluate.config import CompareConfig
from colstore.evaluate.evaluation import Evaluation, Evaluator, evaluate_index, evaluate_run
from colstore.evaluate.experiment import compare
from colstore.evaluate.judgements import Coverage, load_qrels, load_queries
from colstore.evaluate.machine import Latency
from colstore.evaluate.rankings import load_run, save_run
from colstore.evaluate.report import save_comparison
from colstore.evaluate.statistics import Difference, Interval, bootstrap_interval, difference, randomisation_test

__all__ = [
    "CompareConfig",
    "Comparison",
    "Coverage",
    "Difference",
    "Evaluation",
    "Evaluator",
    "Interval",
    "Latency",
    "Row",
    "advise",
    "bootstrap_interval",
    "compare",
    "difference",
    "evaluate_index",
    "evaluate_run",
    "load_qrels",
    "load_queries",
    "load_run",
    "randomisation_test",
    "save_comparison",
    "save_run",
]
