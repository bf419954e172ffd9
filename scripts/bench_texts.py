"""How large a block of texts should be: bytes on disk against milliseconds to read the texts of k hits.

    python scripts/bench_texts.py [--json FILE]

Packs texts with blocks of several sizes, and reads those of k random documents, each time with an empty cache.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_common import REPOSITORY, SHARED, machine

from colstore.corpus import read_documents
from colstore.store.files import AtomicFile
from colstore.store.text_blocks import BlockPacker, BlockReader, encode_value

LIMITS = [kilobytes << 10 for kilobytes in (2, 4, 8, 16, 32, 64, 128)]
HITS = (10, 100, 1000)
ROUNDS = 9


def short() -> list[str]:
    """Return 20,000 lines of a dozen words."""
    words = [word for text in long()[:20] for word in text.split()]
    chosen = random.Random(0)
    return [" ".join(chosen.choices(words, k=12)) for _ in range(20_000)]


def long() -> list[str]:
    """Return chapters of some 40 kB: thirty abstracts each."""
    texts = abstracts()
    return [" ".join(texts[start : start + 30]) for start in range(0, len(texts) - 30, 30)]


def abstracts() -> list[str]:
    """Return the texts of SciFact, or of ``data`` where the shared collections are missing."""
    folder = SHARED / "scifact"
    return [document.text for document in read_documents(folder if folder.exists() else REPOSITORY / "data")]


CORPORA: dict[str, Callable[[], list[str]]] = {"short": short, "abstracts": abstracts, "long": long}


def measure(texts: list[str], limit: int) -> dict[str, Any]:
    """Return bytes on disk and milliseconds for one size of blocks."""
    values = [encode_value(str(number), ["", text]) for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder, AtomicFile(Path(folder) / "texts") as spool:
        packer = BlockPacker(spool, "texts", limit)
        packer.add(values)
        tables = packer.finish()
        packed = np.frombuffer(bytes(spool.read_at(0, spool.size)), np.uint8)
    arrays: dict[str, Any] = {"texts": packed, **{f"texts_{name}": table for name, table in tables.items()}}
    stored = sum(array.nbytes for array in arrays.values())
    milliseconds = {k: _read(arrays, len(texts), k) for k in HITS if k <= len(texts)}
    raw = sum(len(value.encode()) for value in values)
    return {"limit": limit, "share": stored / raw, "blocks": len(tables["sizes"]), "milliseconds": milliseconds}


def _read(arrays: dict[str, Any], documents: int, k: int) -> float:
    seconds = []
    for seed in range(ROUNDS):
        reader = BlockReader(lambda name, start, stop: arrays[name][start:stop], "texts", documents, "bench")
        hits = random.Random(seed).sample(range(documents), k)
        start = time.perf_counter()
        for hit in hits:
            reader.get(hit)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine()}
    print(json.dumps(results["machine"]))
    for name, make in CORPORA.items():
        texts = make()
        print(f"{name}: {len(texts):,} texts of {sum(map(len, texts)) // len(texts):,} characters")
        results[name] = [measure(texts, limit) for limit in LIMITS]
        for row in results[name]:
            times = "  ".join(f"{k} hits {ms:8.2f} ms" for k, ms in row["milliseconds"].items())
            print(f"  {row['limit'] >> 10:4d} KiB  {row['share']:.3f} of the JSON, {row['blocks']:6,} blocks   {times}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
