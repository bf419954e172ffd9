"""Documents, queries, judgements and runs in; runs out. Nothing here knows of the index."""

from colstore.corpus.intake import CorpusSource, read_documents
from colstore.corpus.qrels import read_qrels
from colstore.corpus.queries import Query, read_queries
from colstore.corpus.report import IntakeReport
from colstore.corpus.run_writer import write_run
from colstore.corpus.runs import RunLine, group_run, read_run
from colstore.corpus.seen import SeenIds

__all__ = [
    "CorpusSource",
    "IntakeReport",
    "Query",
    "RunLine",
    "SeenIds",
    "group_run",
    "read_documents",
    "read_qrels",
    "read_queries",
    "read_run",
    "write_run",
]
