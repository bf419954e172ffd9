"""Reading documents, queries, judgements and runs, and writing runs. This room does not know about the index."""

from colstore.corpus.columns import FieldNames
from colstore.corpus.documents import CorpusSource, Reading, read_documents
from colstore.corpus.folder_walk import spelled
from colstore.corpus.qrels import read_qrels
from colstore.corpus.queries import Query, read_queries
from colstore.corpus.quoting import Quoting
from colstore.corpus.runs import RunLine, check_ids_fit, group_run, read_run, write_run
from colstore.corpus.seen import SeenIds
from colstore.reports import ReadReport

__all__ = [
    "CorpusSource",
    "FieldNames",
    "Query",
    "Quoting",
    "ReadReport",
    "Reading",
    "RunLine",
    "SeenIds",
    "check_ids_fit",
    "group_run",
    "read_documents",
    "read_qrels",
    "read_queries",
    "read_run",
    "spelled",
    "write_run",
]
