"""Reads any bytes as documents, queries, judgements and runs: items or named errors, and no loss uncounted."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from colstore.corpus import ReadReport, group_run, read_documents, read_qrels, read_queries, read_run, write_run
from colstore.errors import CorpusError

ROWS = [
    {"_id": "d1", "title": "Bees", "text": 'They dance, "and" hum.', "metadata": {"year": 2020}},
    {"_id": "β2", "title": "", "text": "Orange 🥕\nand more", "metadata": {"tags": ["a", None, 0.5]}},
    {"_id": "3", "title": "x", "text": "y", "metadata": {}},
]
JSONL = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()
CSV = b'id,title,text,year\nd1,Bees,"They ""dance""\nand hum",2020\nd2,,Orange,\n'
TSV = b"id\ttext\nd1\tThey dance\nd2\tOrange\n"
QUERIES = b'{"_id": "q1", "text": "why?"}\n{"_id": "q2", "text": "how"}\n'
QRELS = b"query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td1\t2\n"
TREC_QRELS = b"q1 0 d1 1\nq2 0 d2 0\n"
TREC = b"q1 Q0 d1 1 12.5 tag\nq1 Q0 d2 2 -1e-3 tag\nq2 Q0 d1 1 0 tag\n"
MSMARCO = b"q1\td1\t1\nq1\td2\t2\nq2\td9\t1\n"
RUN_JSON = b'{"query_id": "q1", "doc_id": "d1", "score": 1.5}\n{"qid": "q1", "docid": "d2", "rank": 2}\n'
MARKDOWN = b"intro\n\n# The dance ##\n\n```\n# code\n```\ntext"


def parquet() -> bytes:
    """Return a small Parquet file."""
    import pyarrow
    import pyarrow.parquet

    columns = {
        "id": ["d1", "d2"],
        "text": ["bees", "carrots"],
        "year": [2020, None],
        "tags": [["a"], []],
        "vectors": [[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0]]],
    }
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


DOCUMENTS: dict[str, list[bytes]] = {
    "c.jsonl": [JSONL, JSONL.replace(b'"_id"', b'"id"'), b"\xef\xbb\xbf" + JSONL],
    "c.jsonl.gz": [gzip.compress(JSONL, mtime=0), gzip.compress(JSONL, mtime=0) * 2],
    "c.csv": [CSV],
    "c.csv.gz": [gzip.compress(CSV, mtime=0)],
    "c.tsv": [TSV],
    "texts/a.md": [MARKDOWN],
    "texts/deeper/b.txt": [b"Bees dance."],
    "beir/corpus.jsonl": [JSONL],
}
"""Name of a file to good contents of it. ``c.parquet`` is another, see :func:`parquet`."""
OTHERS: dict[str, list[bytes]] = {
    "queries.jsonl": [QUERIES],
    "queries.tsv": [b"id\ttext\nq1\twhy?\nq2\thow\n"],
    "queries.tsv.gz": [gzip.compress(b"q1\twhy?\n", mtime=0)],
    "qrels.tsv": [QRELS, TREC_QRELS],
    "run.txt": [TREC, MSMARCO, RUN_JSON],
    "run.txt.gz": [gzip.compress(TREC, mtime=0)],
}


def outcome(read: Callable[[], Iterable[Any]]) -> CorpusError | None:
    """Return the named error, if one came; any other exception fails."""
    try:
        for _ in read():
            pass
    except CorpusError as error:
        str(error).encode()  # every message can be printed
        return error
    return None


def read_as_documents(folder: Path, name: str, data: bytes) -> ReadReport:
    """Read bytes as documents, strictly and skipping, and hold the two against each other and the report; return it."""
    path = _write(folder, name, data)
    source = path if name.startswith("c.") else folder / Path(name).parts[0]
    error = outcome(lambda: read_documents(source))
    report, count = ReadReport(), 0

    def skipping() -> Iterable[object]:
        nonlocal count
        for document in read_documents(source, on_error="skip", on_duplicate="skip", report=report):
            assert document.id
            assert document.passage or document.vectors is not None
            json.dumps([document.id, document.title, document.text, dict(document.metadata)], allow_nan=False).encode()
            count += 1
            yield document

    refused = outcome(skipping)
    assert report.documents == count
    assert (error is None) == (report.skipped == 0 and refused is None)
    return report


def read_as_others(folder: Path, name: str, data: bytes) -> None:
    """Read bytes as queries, judgements and runs; a run that can be read can be written and read again."""
    path = _write(folder, name, data)
    queries = path.with_name("queries.jsonl" if name.endswith(".jsonl") else path.name)
    outcome(lambda: read_queries(queries))
    outcome(lambda: read_qrels(path).items())
    lines: list[Any] = []
    if outcome(lambda: map(lines.append, read_run(path))) is None:
        written = path.with_name("again.jsonl")
        assert write_run(written, lines, layout="jsonl") == len(lines)
        assert list(read_run(written)) == lines
        outcome(lambda: group_run(read_run(path)))


def _write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
