"""Damages an index again and again, and reports damages that colstore did not detect.

    python -m tests.proofs.mutation COUNT [SEED]

tries COUNT damages. They are tried in worker processes, so that a signal or an endless loop ends only a worker and is
reported as such.
"""

from __future__ import annotations

import json
import resource
import select
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import colstore
from colstore import SearchParams
from colstore.errors import ColstoreError
from colstore.store import block_checks
from tests.proofs.damages import KINDS, Damage, Tree, inflict, repair
from tests.proofs.small_index import TableEncoder, content_of, documents, make_index

REPOSITORY = Path(__file__).resolve().parents[2]
HANG_SECONDS = 10.0
WORKERS = 2
SPARE_BYTES = 24 << 20
"""Memory that the operations may use besides the files: late-loaded code, buffers, a thread's stack."""
SPARE_ADDRESSES = 1 << 30
"""Most memory that an operation may request."""
TEXTS = ("bees dance in the hive", "an old river runs to sea", "why is bread dough of yeast")

Session: TypeAlias = dict[str, Any]
"""The result of each operation by name: JSON data, or ``["error", class]``."""


# --- what an index returns -----------------------------------------------------------------------------------------


@cache
def _operations(encoder: bool) -> dict[str, Callable[[colstore.Index], object]]:
    vectors = TableEncoder().encode_queries(TEXTS)
    probing = SearchParams(exact_tokens=0, probes=3, candidates=30, scored=20)
    operations: dict[str, Callable[[colstore.Index], object]] = {
        "exact": lambda index: index.search(vectors[0], k=7, params=SearchParams(exact=True)),
        "probing": lambda index: index.search(vectors[1], k=5, params=probing),
        "tuned": lambda index: index.search(vectors[2], k=3),
        "where": lambda index: index.search(vectors[0], k=4, where={"half": "odd", "number": {"lt": 30}}),
        "ids": lambda index: index.search(vectors[1], k=4, ids=["d0-001", "d1-003", "d2-005"]),
        "rerank": lambda index: index.rerank(vectors[2], ["d0-090", "d1-001", "d2-002"]),
        "vectors": lambda index: [rows.tolist() for rows in index.vectors(["d0-100", "d1-004"])],
        "size": lambda index: [len(index), "d0-003" in index, "d2-001" in index, index.info().documents],
    }
    if encoder:
        operations["text"] = lambda index: index.search(TEXTS[0], k=3)
        operations["bm25"] = lambda index: index.search(TEXTS[1], k=5, first_stage="bm25", params=probing)
    return operations


def results(folder: Path, *, encoder: bool) -> Session:
    """Return the result of each operation on an index. A named error is a result; any other error is raised."""
    operations = _operations(encoder)
    try:
        index = colstore.open(folder)
    except ColstoreError as error:
        return dict.fromkeys(operations, _error(error))
    with index:
        return {name: _result(index, operation) for name, operation in operations.items()}


def _result(index: colstore.Index, operation: Callable[[colstore.Index], object]) -> Any:
    try:
        found = operation(index)
        if isinstance(found, list) and all(isinstance(hit, colstore.Hit) for hit in found):
            return [[hit.rank, hit.id, hit.score, hit.title, hit.text, dict(hit.metadata)] for hit in found]
    except ColstoreError as error:  # also of a hit whose text is read when it is looked at
        return _error(error)
    return found


def _error(error: ColstoreError) -> list[str]:
    return ["error", type(error).__name__]


def is_error(result: object) -> bool:
    return isinstance(result, list) and result[:1] == ["error"]


# --- one damage -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Whole:
    """An index as it was written.

    Parameters
    ----------
    tree
        Its files.
    before
        The result of each operation on it.
    """

    tree: Tree
    before: Session

    @property
    def newest(self) -> str:
        return max(name for name in self.tree if name.startswith("manifest-"))


def judge(folder: Path, whole: Whole, damage: Damage) -> str:
    """Return what became of a damaged index: found, harmless, or a complaint behind ``!``."""
    # Loading the encoder takes as long as all else: where the damage has nothing to do with it, one time in ten.
    encoder = damage.number % 10 == 0 or any(
        name.startswith(("encoder/", "lexical", whole.newest)) for name in damage.files
    )
    verified = _verified(folder)
    # Every other round as if files were large, whose blocks are each checked when they are needed.
    small = block_checks.SMALL_BLOCKS * (damage.number // (len(whole.tree) * len(KINDS)) % 2)
    with patch.object(block_checks, "SMALL_BLOCKS", small):
        after = results(folder, encoder=encoder)
    expected = {name: whole.before[name] for name in after}
    silent = [name for name, result in after.items() if result != expected[name] and not is_error(result)]
    if silent:
        return f"!changed silently: {', '.join(silent)}"
    if verified:
        return "found"
    failed = [name for name, result in after.items() if is_error(result)]
    if failed:
        return f"!verify found nothing, but failed: {', '.join(failed)}"
    return "harmless"


def _verified(folder: Path) -> bool:
    """Tell whether ``verify`` finds something."""
    try:
        return not colstore.verify(folder).ok
    except ColstoreError:
        return True


# --- workers --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What became of many damages."""

    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    peak: int = 0
    """Most bytes that the operations on one damaged index took."""

    def add(self, line: Mapping[str, Any]) -> None:
        outcome = line["outcome"]
        self.kinds[line["kind"].partition(" ")[0]] += 1
        self.peak = max(self.peak, line.get("peak", 0))
        if outcome.startswith("!"):
            self.complaints.append(f"{line['damage']}: {outcome[1:]}")
        self.outcomes["complaint" if outcome.startswith("!") else outcome] += 1

    def merge(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.kinds += other.kinds
        self.complaints += other.complaints
        self.peak = max(self.peak, other.peak)


def work(folder: Path, seed: int, first: int, last: int) -> None:
    """Do the damages ``first..last``, writing two lines for each: what is being done, and what came of it."""
    whole = prepare(folder)
    most = 2 * max(len(data) for data in whole.tree.values()) + SPARE_BYTES
    _limit_addresses(most)
    for number in range(first, last):
        damage = inflict(folder, whole.tree, seed, number)
        line: dict[str, Any] = {"damage": str(damage), "kind": damage.kind}
        print(json.dumps(line), flush=True)
        before = _resident("VmRSS", reset=True)
        try:
            line["outcome"] = judge(folder, whole, damage)
        except BaseException as error:  # also what a library's own panic may be
            line["outcome"] = f"!{type(error).__name__}: {str(error)[:300]}"
        line["peak"] = _resident("VmHWM") - before
        if line["peak"] > most:
            line["outcome"] = f"!took {line['peak']:,} bytes of memory"
        repair(folder, whole.tree, damage)
        print(json.dumps(line), flush=True)


def prepare(folder: Path) -> Whole:
    """Read a sound index, and the result of each operation on it."""
    tree = content_of(folder)
    before = results(folder, encoder=True)
    assert not any(map(is_error, before.values())), before
    assert not _verified(folder)
    return Whole(tree, before)


def _limit_addresses(most: int) -> None:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + most + SPARE_ADDRESSES,) * 2)


def _resident(name: str, *, reset: bool = False) -> int:
    """Return bytes of memory of this process (Linux; 0 elsewhere): ``VmRSS`` now, ``VmHWM`` at most since the reset."""
    if sys.platform != "linux":
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def _watch(folder: Path, seed: int, first: int, last: int) -> Tally:
    """Run a worker, and a new one behind each damage that killed or hung it."""
    tally = Tally()
    while first < last:
        command = [
            sys.executable,
            "-m",
            "tests.proofs.mutation",
            "--work",
            str(folder),
            str(seed),
            str(first),
            str(last),
        ]
        with subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as worker:
            first += follow(worker, tally, last - first)
    return tally


def follow(worker: subprocess.Popen[str], tally: Tally, count: int) -> int:
    """Read a worker's lines, until it is done or dies; return how many damages are done with."""
    assert worker.stdout is not None
    assert worker.stderr is not None
    begun: dict[str, Any] | None = None
    done = 0
    while done < count:
        line, why = "", f"no answer within {HANG_SECONDS:.0f} s"
        # A worker begins by warming up, which takes a while on a busy machine.
        if select.select([worker.stdout], [], [], HANG_SECONDS if begun else 120.0)[0]:
            line, why = worker.stdout.readline(), "the process died"
        if not line:
            worker.kill()
            error = worker.stderr.read()[-2000:]
            if begun is None:
                raise RuntimeError(f"the worker could not begin: {why}\n{error}")
            code = worker.wait()
            tally.add({**begun, "outcome": f"!{why} (exit {code}) {error}"})
            return done + 1
        found = json.loads(line)
        begun = found if "outcome" not in found else begun
        if "outcome" in found:
            tally.add(found)
            done += 1
    return done


def damageable(path: Path) -> None:
    """Make the index that is damaged: 160 documents in three segments, one of more than 64 KiB."""
    parts = [documents(120, 0, 70), documents(25, 1), documents(15, 2)]
    make_index(path, 4, parts, ["d0-003", "d0-050", "d1-007"])
    with colstore.open(path) as index:
        index.build_bm25(analyzer="plain")
    min(path.glob("manifest-*")).unlink()  # two generations are enough


def run(folder: Path, count: int, seed: int = 0, workers: int = WORKERS) -> Tally:
    """Make an index in an empty folder, do ``count`` damages to copies of it, and return what became of them."""
    damageable(folder / "0.colstore")
    cuts = [count * number // workers for number in range(workers + 1)]
    for number in range(1, workers):
        shutil.copytree(folder / "0.colstore", folder / f"{number}.colstore")
    total = Tally()
    with ThreadPoolExecutor(workers) as pool:
        watched = [pool.submit(_watch, folder / f"{n}.colstore", seed, cuts[n], cuts[n + 1]) for n in range(workers)]
        for tally in watched:
            total.merge(tally.result())
    return total


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        work(Path(sys.argv[2]), *map(int, sys.argv[3:6]))
    else:
        with tempfile.TemporaryDirectory(prefix="colstore-mutation-") as place:
            result = run(Path(place), *map(int, sys.argv[1:3]))
        print(
            dict(result.outcomes), dict(result.kinds), f"peak {result.peak >> 10:,} KiB", *result.complaints, sep="\n"
        )
