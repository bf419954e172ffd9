"""How fast corpora are read, beside the bare parser of each format: MB/s and peak memory.

    python scripts/bench_corpus.py [--lines N] [--json FILE]

Writes N short documents as JSON Lines, CSV, TSV and Parquet, and reads each with ``read_documents`` and with ``json``,
``csv``, ``str.split`` or ``pyarrow`` alone, in a process of its own, one after the other. The bare parsers check
nothing; ``read_documents`` checks every value and finds every id that occurs twice.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench_common import machine

from colstore.corpus import read_documents
from colstore.extras import require

FORMATS = ("jsonl", "csv", "tsv", "parquet")
_WORDS = ["heron", "stands", "on", "one", "leg", "in", "the", "cold", "water", "and", "waits", "for", "a", "fish"]


def rows(lines: int) -> Iterator[dict[str, str]]:
    """Yield documents of a dozen words."""
    for number in range(lines):
        words = " ".join(_WORDS[(number * step) % len(_WORDS)] for step in range(1, 13))
        yield {"id": f"d{number}", "title": f"Note {number}", "text": f"{words}."}


def write(folder: Path, lines: int) -> None:
    """Write the documents in every format."""
    with (folder / "c.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows(lines))
    for name, delimiter in (("c.csv", ","), ("c.tsv", "\t")):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
            writer.writerow(["id", "title", "text"])
            writer.writerows(row.values() for row in rows(lines))
    _write_parquet(folder / "c.parquet", lines)


def _write_parquet(path: Path, lines: int) -> None:
    require("pyarrow", extra="parquet", purpose="Writing Parquet files")
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("id", "title", "text")])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        batch: list[dict[str, str]] = []
        for row in rows(lines):
            batch.append(row)
            if len(batch) == 50_000:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema))
                batch.clear()
        writer.write_table(pyarrow.Table.from_pylist(batch, schema))


def with_colstore(path: Path) -> int:
    """Read the documents, and return their number."""
    return sum(1 for _ in read_documents(path))


def with_json(path: Path) -> int:
    """Parse each line with ``json``."""
    with path.open(encoding="utf-8") as file:
        return sum(1 for line in file if json.loads(line))


def with_csv(path: Path) -> int:
    """Read each row with ``csv``."""
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def with_split(path: Path) -> int:
    """Split each line at its tabs."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return sum(1 for line in file if line.split("\t")) - 1


def with_pyarrow(path: Path) -> int:
    """Read batches with ``pyarrow``, and make a dict of each row."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        return sum(len(batch.to_pylist()) for batch in file.iter_batches(batch_size=1024, use_threads=False))


BARE: dict[str, Callable[[Path], int]] = {
    "jsonl": with_json,
    "csv": with_csv,
    "tsv": with_split,
    "parquet": with_pyarrow,
}


def measure(kind: str, reader: str, path: Path, lines: int) -> dict[str, Any]:
    """Return the seconds and the memory that one reader takes in this process."""
    read = with_colstore if reader == "colstore" else BARE[kind]
    before = _peak()
    started, spent = time.perf_counter(), time.process_time()
    count = read(path)
    seconds = time.perf_counter() - started
    cpu = time.process_time() - spent
    if count != lines:
        raise SystemExit(f"{reader} read {count} of {lines} documents of {path.name}")
    return {"seconds": seconds, "cpu": cpu, "peak": _peak(), "growth": _peak() - before}


def _peak() -> int:
    """Return the largest memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the memory of the process that started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_own_process(kind: str, reader: str, path: Path, lines: int) -> dict[str, Any]:
    """Return what :func:`measure` finds in a fresh process."""
    command = [sys.executable, __file__, "--measure", kind, reader, str(path), "--lines", str(lines)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Print a table, and write it as JSON where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000, help="number of documents (default: 100,000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        kind, reader, path = options.measure
        print(json.dumps(measure(kind, reader, Path(path), options.lines)))
        return
    results = []
    print(f"{machine()}; Python {platform.python_version()}; {options.lines:,} documents")
    print(
        f"{'format':8} {'MB':>6}  {'reader':10} {'MB/s':>7} {'CPU s':>7} {'us/doc':>7} {'peak MB':>8} {'+MB':>6}  ratio"
    )
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.lines)
        for kind in FORMATS:
            path = Path(folder) / f"c.{kind}"
            size = path.stat().st_size / 1e6
            bare = in_own_process(kind, "bare", path, options.lines)
            own = in_own_process(kind, "colstore", path, options.lines)
            for reader, found in ((BARE[kind].__name__.removeprefix("with_"), bare), ("colstore", own)):
                ratio = found["cpu"] / bare["cpu"]
                each = found["cpu"] / options.lines * 1e6
                print(
                    f"{kind:8} {size:6.1f}  {reader:10} {size / found['seconds']:7.1f} {found['cpu']:7.2f} {each:7.2f} "
                    f"{found['peak'] / 1e6:8.1f} {found['growth'] / 1e6:6.1f}  {ratio:.2f}"
                )
                results.append({"format": kind, "megabytes": size, "reader": reader, "ratio": ratio, **found})
    if options.json is not None:
        options.json.write_text(
            json.dumps({"machine": machine(), "lines": options.lines, "results": results}, indent=1)
        )


if __name__ == "__main__":
    main()
