"""Peak memory of a build over a corpus, and over a corpus ten times as large.

    python scripts/bench_memory.py --times 1 10

Each build runs in its own process, over a collection (SciFact) that is repeated the given number of times with new ids.
The vectors are derived from a hash (``FakeEncoder``), so that the figures are those of colstore and not of a model.
Anonymous memory belongs to the process alone; resident memory also includes mapped files, which the system can reclaim.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_common import SHARED, machine, print_table, write_json

_BUILD = """
import json, sys, threading, time
from pathlib import Path
import colstore
from colstore.corpus import read_documents
from colstore.encode import FakeEncoder

peak = 0
def watch():
    global peak
    while True:
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                peak = max(peak, int(line.split()[1]))
        time.sleep(0.05)

def repeated(folder, times):
    for number in range(times):
        for document in read_documents(folder):
            yield colstore.Document(id=f"{number}-{document.id}", title=document.title, text=document.text)

threading.Thread(target=watch, daemon=True).start()
start = time.perf_counter()
index = colstore.build(sys.argv[1], repeated(sys.argv[2], int(sys.argv[3])), model=FakeEncoder(dim=128))
report = index.report
print(json.dumps({
    "documents": report.documents, "tokens": report.tokens, "seconds": time.perf_counter() - start,
    "anonymous peak MB": peak / 1024, "resident peak MB": report.peak_memory_bytes / 2**20,
}))
"""


def measure(collection: str, times: int) -> dict[str, Any]:
    """Build in a new process and return its report."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "m.colstore")
        command = [sys.executable, "-c", _BUILD, path, str(SHARED / collection), str(times)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"corpus": f"{collection} x {times}", **json.loads(run.stdout)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", default="scifact")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10])
    arguments = parser.parse_args()
    rows = [measure(arguments.collection, times) for times in arguments.times]
    print(machine())
    print_table("Peak memory of a build", rows)
    write_json("memory", {"rows": rows})


if __name__ == "__main__":
    main()
