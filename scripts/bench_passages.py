"""Long documents cut at the model's limit, and split into passages: quality, bytes and time beside each other.

    python scripts/bench_passages.py --documents 150 --parts 6

A long document is some abstracts of SciFact, drawn at random and joined by empty lines, with the title of the first; it
is relevant where one of its parts is. The second table takes the abstracts as they are, in passages of 96 tokens, and
puts the title before each passage, or before the first only. The embedded all-MiniLM-L6-v2 encodes, at 4 bits, and
every document is scored.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from bench_common import SHARED, machine, median, ndcg, print_table, timed, write_json

import colstore
from colstore import Document, PassageConfig, SearchParams
from colstore.corpus import read_documents, read_qrels, read_queries

Judgements = dict[str, dict[str, int]]


def drawn(count: int, seed: int) -> tuple[list[Document], Judgements]:
    """Return so many abstracts, among them the relevant ones, and the judgements of them."""
    qrels = read_qrels(SHARED / "scifact" / "qrels" / "test.tsv")
    every = list(read_documents(SHARED / "scifact"))
    relevant = {name for grades in qrels.values() for name, grade in grades.items() if grade > 0}
    generator = np.random.default_rng(seed)
    shuffled = [every[i] for i in generator.permutation(len(every)).tolist()]
    chosen = sorted(shuffled, key=lambda document: document.id not in relevant)[:count]
    chosen = [chosen[i] for i in generator.permutation(len(chosen)).tolist()]
    names = {document.id for document in chosen}
    kept = {query: {name: grade for name, grade in grades.items() if name in names} for query, grades in qrels.items()}
    return chosen, {query: grades for query, grades in kept.items() if any(grades.values())}


def joined(abstracts: Sequence[Document], qrels: Judgements, parts: int) -> tuple[list[Document], Judgements]:
    """Return documents of some abstracts each, and the judgements of them."""
    owner: dict[str, str] = {}
    documents = []
    for start in range(0, len(abstracts), parts):
        group = abstracts[start : start + parts]
        name = f"long{start // parts}"
        owner.update((document.id, name) for document in group)
        text = "\n\n".join([group[0].text, *(document.passage for document in group[1:])])
        documents.append(Document(name, text, group[0].title))
    grades: Judgements = {}
    for query, judged in qrels.items():
        grades[query] = {}
        for part, grade in judged.items():
            grades[query][owner[part]] = max(grade, grades[query].get(owner[part], 0))
    return documents, grades


def row(name: str, documents: Sequence[Document], qrels: Judgements, folder: Path, **how: Any) -> dict[str, Any]:
    """Build an index, search it, and return a row of the table."""
    queries = [query for query in read_queries(SHARED / "scifact") if query.id in qrels]
    start = perf_counter()
    with colstore.build(folder / "x.colstore", documents, backend="torch", overwrite=True, **how) as index:
        seconds = perf_counter() - start
        report, info = index.report, index.info()
        params = SearchParams(exact=True)
        answers, milliseconds = timed(lambda text: index.search(text, 10, params=params), [q.text for q in queries])
    found = [[hit.id for hit in hits] for hits in answers]
    assert report is not None
    return {
        "documents": name,
        "passages": report.passages,
        "truncated": report.truncated,
        "vectors": report.tokens,
        "nDCG@10": float(np.mean([ndcg(f, qrels[q.id]) for f, q in zip(found, queries, strict=True)])),
        "MB without texts and model": round(
            (info.bytes["total"] - sum(info.bytes.get(part, 0) for part in ("texts", "metadata", "encoder"))) / 1e6, 2
        ),
        "build s": round(seconds, 1),
        "search ms": median(milliseconds),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=150)
    parser.add_argument("--parts", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(machine(), f"\nseed {arguments.seed}", flush=True)
    abstracts, qrels = drawn(arguments.documents * arguments.parts, arguments.seed)
    long, long_qrels = joined(abstracts, qrels, arguments.parts)
    first_only = [Document(d.id, d.passage) for d in abstracts]
    short = PassageConfig(max_tokens=96)
    tables: dict[str, list[dict[str, Any]]] = {"long documents": [], "titles": []}
    runs: list[tuple[str, str, Sequence[Document], Judgements, dict[str, Any]]] = [
        ("long documents", "cut at 256", long, long_qrels, {"passages": False}),
        ("long documents", "passages of 256", long, long_qrels, {"passages": True}),
        ("long documents", "passages of 256, overlap 32", long, long_qrels, {"passages": PassageConfig(overlap=32)}),
        ("long documents", "cut at 512", long, long_qrels, {"passages": False, "max_tokens": 512}),
        ("long documents", "passages of 128", long, long_qrels, {"passages": PassageConfig(max_tokens=128)}),
        ("titles", "cut at 256", abstracts, qrels, {"passages": False}),
        ("titles", "of 96, title before each", abstracts, qrels, {"passages": short}),
        ("titles", "of 96, title before the first", first_only, qrels, {"passages": short}),
    ]
    for table, name, documents, grades, how in runs:
        with tempfile.TemporaryDirectory() as folder:
            tables[table].append(row(name, documents, grades, Path(folder), **how))
        print(tables[table][-1], flush=True)
    for table, rows in tables.items():
        print_table(table, rows)
    write_json("passages", {"arguments": vars(arguments), "machine": machine(), **tables})


if __name__ == "__main__":
    main()
