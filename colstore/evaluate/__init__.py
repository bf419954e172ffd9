"""How good, how fast, how large: measures of an index or a run, and the ways to search side by side.

====================  ==========================================================================
module                what it does
====================  ==========================================================================
``judged``            queries, judgements, runs -> what can be evaluated; what does not match is counted
``measures``          rankings -> nDCG, MRR, MAP, recall, success, by ``ir-measures``
``statistics``        values a query -> intervals and p-values
``timing``            milliseconds a query, on one thread
``figures``           a run and its judgements -> figures
``evaluation``        an index, or a run from anywhere -> a run and its judgements
``plan``              what a comparison tries
``comparing``         a corpus, queries, judgements -> every way to search, side by side
``inputs``            what that starts from: vectors of documents and questions, once
``spool``             those of the documents, on disk
``bench``             where ways are built, asked and timed
``plain``             exact MaxSim, and one vector a text
``reference``         the arithmetic of these two
``sentence``          a model of one vector a text
``cross``             MaxSim, then a cross-encoder
``comparison``        what was found, as rows
``advice``            rows -> plain words, by stated rules
``plot``, ``labels``  rows -> a picture
``report``            rows -> a page
``output``            rows -> files
``setting``           the machine, in words
====================  ==========================================================================
"""

from colstore.evaluate.advice import advise
from colstore.evaluate.compare import compare
from colstore.evaluate.comparison import Comparison, Row
from colstore.evaluate.config import CompareConfig
from colstore.evaluate.evaluation import Evaluation, Judging, evaluate_index, evaluate_run
from colstore.evaluate.judgements import Coverage, load_qrels, load_questions, load_run, save_run
from colstore.evaluate.machine import Latency
from colstore.evaluate.report import save_comparison
from colstore.evaluate.statistics import Difference, Interval, bootstrap_interval, difference, randomisation_test

__all__ = [
    "CompareConfig",
    "Comparison",
    "Coverage",
    "Difference",
    "Evaluation",
    "Interval",
    "Judging",
    "Latency",
    "Row",
    "advise",
    "bootstrap_interval",
    "compare",
    "difference",
    "evaluate_index",
    "evaluate_run",
    "load_qrels",
    "load_questions",
    "load_run",
    "randomisation_test",
    "save_comparison",
    "save_run",
]
