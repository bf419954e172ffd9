"""Fuzz the readers of colstore with Atheris, a coverage-guided fuzzer for Python that is based on libFuzzer.

    pip install -c constraints.txt -e '.[fuzz,dev]'      # Linux; the wheels of Atheris contain libFuzzer
    python scripts/fuzz.py --list                        # the targets
    python scripts/fuzz.py segment_arrays --seconds 600
    python scripts/fuzz.py all --seconds 60              # each target for a minute
    python scripts/fuzz.py graph --again FILE            # run a finding again

A target reads forged input. It must return or raise one of colstore's own errors, within 1 GiB of memory and 10
seconds. An input with any other outcome ends the run with exit code 1 and is saved in the folder ``fuzz-findings``
(``--findings``). With ``--corpus FOLDER``, inputs that reached new code are saved for later runs. The targets are those
of the tests (``tests/proofs/fuzz_index.py``, ``tests/proofs/fuzz_corpus.py``), in which Hypothesis runs them for some
seconds.

The inputs of the targets ``documents-*`` and ``others-*`` are the files themselves. The inputs of the other targets are
instructions for forging a file of an index; see ``tests/proofs/scripts.py``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MEMORY_MEGABYTES = 4096
HANG_SECONDS = 10

Target = Callable[[bytes], object]


def targets(folder: Path, name: str = "") -> dict[str, tuple[Target | None, list[bytes]]]:
    """Return the targets by name, with good inputs; only the target ``name`` is prepared to run, in ``folder``."""
    from tests.proofs.fuzz_corpus import DOCUMENTS, OTHERS, parquet, read_as_documents, read_as_others
    from tests.proofs.fuzz_index import HEAVY, LIGHT, Lab

    by_name: dict[str, tuple[Target | None, list[bytes]]] = {}
    for file, good in {**DOCUMENTS, "c.parquet": [parquet()]}.items():
        by_name[f"documents-{file}".replace("/", "-")] = partial(read_as_documents, folder, file), good
    for file, good in OTHERS.items():
        by_name[f"others-{file}"] = partial(read_as_others, folder, file), good
    for method in (*LIGHT, *HEAVY):
        by_name[method] = (getattr(Lab(folder), method) if method == name else None), [bytes(8), bytes(range(32))]
    return by_name


def fuzz(name: str, options: argparse.Namespace) -> None:
    """Run one target in this process. This does not return, because libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["colstore"]):
        for module in (
            "colstore.index",
            "colstore.updating.verify",
            "tests.proofs.fuzz_corpus",
            "tests.proofs.fuzz_index",
        ):
            import_module(module)
    folder = Path(tempfile.mkdtemp(prefix="colstore-fuzz-"))
    run, good = targets(folder, name)[name]
    assert run is not None
    arguments = [sys.argv[0], f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MEGABYTES}"]
    if options.again:
        arguments.append(str(options.again))
    else:
        corpus = options.corpus / name if options.corpus else folder / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(good):
            (corpus / f"good-{number}").write_bytes(data)
        options.findings.mkdir(exist_ok=True)
        arguments += [f"-max_total_time={options.seconds}", f"-artifact_prefix={options.findings}/{name}-"]
        arguments += ["-print_final_stats=1", str(corpus)]
    atheris.Setup(arguments, _bounded(run))
    atheris.Fuzz()


def _bounded(run: Target) -> Target:
    from tests.proofs.fuzz_index import bounded_memory

    def each(data: bytes) -> None:
        with bounded_memory():
            run(data)

    return each


def fuzz_each(names: Sequence[str], options: argparse.Namespace) -> int:
    """Run targets one after another, each in its own process; return the number of targets with a finding."""
    failed = []
    for name in names:
        command = [
            sys.executable,
            __file__,
            name,
            "--seconds",
            str(options.seconds),
            "--findings",
            str(options.findings),
        ]
        command += ["--corpus", str(options.corpus)] if options.corpus else []
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        runs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        print(f"{name:32} {int(runs[0]) if runs else 0:>9,} inputs  {'FOUND' if done.returncode else 'ok'}", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
    return len(failed)


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", help="name of a target, or all")
    parser.add_argument("--list", action="store_true", help="print the targets")
    parser.add_argument("--seconds", type=int, default=60, help="seconds for each target (60)")
    parser.add_argument("--corpus", type=Path, help="folder for inputs that reached new code")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder for findings")
    parser.add_argument("--again", type=Path, help="run one input again")
    options = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY))
    names = sorted(targets(Path("unused")))
    if options.list or options.target is None:
        print("\n".join(names))
        return 0
    if options.target == "all":
        return 1 if fuzz_each(names, options) else 0
    if options.target not in names:
        parser.error(f"no target {options.target!r}; --list shows them")
    fuzz(options.target, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
