"""Time of each stage of a search with 4 bits.

python scripts/bench_stages.py --collection scifact
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
from bench_common import load_collection, machine, print_table, write_json

import colstore
from colstore.kernels import calls

STAGES = ("prepare", "scan", "probe", "gather", "select", "interact", "score", "refine")


def clocked(work: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    """Return a function that calls ``work`` and adds its milliseconds to ``spent[name]``."""

    def run(*arguments: Any, **settings: Any) -> Any:
        start = perf_counter()
        result = work(*arguments, **settings)
        spent[name] += 1000 * (perf_counter() - start)
        return result

    return run


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", default="scifact")
    parser.add_argument("--dim", type=int, default=128)
    options = parser.parse_args()
    collection = load_collection(options.collection, options.dim)
    pairs = zip(collection.offsets[:-1], collection.offsets[1:], strict=True)
    vectors = [collection.documents[a:b] for a, b in pairs]
    times: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        index = colstore.build_from_vectors(Path(folder) / "x.colstore", collection.ids, vectors)
        for query in collection.queries[:3]:
            index.search(query)
        for query in collection.queries:
            spent: dict[str, float] = defaultdict(float)
            clocks: dict[str, Any] = {name: clocked(getattr(calls, name), name, spent) for name in STAGES}
            with patch.multiple(calls, **clocks):
                start = perf_counter()
                index.search(query)
                spent["everything"] = 1000 * (perf_counter() - start)
            for name, milliseconds in spent.items():
                times[name].append(milliseconds)
        index.close()
    rows = [
        {"stage": name, "ms": float(np.median(spent)), "10th percentile": float(np.percentile(spent, 10))}
        for name, spent in times.items()
    ]
    print(machine(), f"\n{len(collection.queries)} queries, default settings, seed 0")
    print_table(f"Stages of a search of {options.collection}", rows)
    write_json("stages", {"arguments": vars(options), "rows": rows})


if __name__ == "__main__":
    main()
