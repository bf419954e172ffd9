"""Compiling, keeping and loading kernels: by several threads and processes, in unkind surroundings."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from colstore.errors import ConfigError, KernelCacheWarning
from colstore.kernels import cache, calls, jit
from colstore.kernels.processor import NEEDS, available_flavours
from tests.kernels.conftest import Forget

ROTATE = """
import sys
import numpy as np
from colstore.kernels import calls
print(calls.rotate(np.arange(24, dtype=np.float32).reshape(3, 8), np.eye(8, dtype=np.float32)).sum())
"""
SCAN = """
import sys
import numpy as np
from colstore.kernels import calls
query = calls.prepare(np.eye(3, 32, dtype=np.float32), np.eye(32, dtype=np.float32), 4, 0.01)
print(query.flavour, calls.scan(query, np.full((2, 32), 64, np.uint8)).similarities.sum())
"""
SCORE = """
import sys
import numpy as np
from colstore.kernels import calls
query = calls.prepare(np.eye(3, 32, dtype=np.float32), np.eye(32, dtype=np.float32), 4, 0.01)
table = calls.scan(query, np.arange(64, dtype=np.uint8).reshape(2, 32))
zeros = np.zeros(1, np.int64)
payload, codes, scales = np.zeros((1, 16), np.uint8), np.zeros(1, np.uint8), np.ones((1, 2), np.float16)
scores, _ = calls.score(query, table, 4, payload, codes, scales.view(np.uint16), zeros, zeros + 1)
probes = calls.probe(query, table, 2)
calls.select(np.arange(9, dtype=np.float32), 3)
tokens = np.eye(2, 32, dtype=np.float32)
calls.compress(tokens, np.zeros((2, 32), np.uint8), 0.01, calls.assign(tokens, np.zeros((2, 32), np.uint8))[0], 4)
print(query.flavour, float(scores[0]), "numba" in sys.modules)
"""


def start(code: str, **environment: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def run(code: str, **environment: str) -> str:
    process = start(code, **environment)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


def rotated() -> float:
    return float(calls.rotate(np.ones((2, 8), np.float32), np.eye(8, dtype=np.float32)).sum())


def test_a_second_process_never_imports_numba(tmp_path: Path) -> None:
    first, second = (run(SCORE, COLSTORE_CACHE=str(tmp_path)).split() for _ in range(2))
    assert first[:2] == second[:2]
    assert (first[2], second[2]) == ("True", "False")


def test_processes_compile_at_once(tmp_path: Path) -> None:
    processes = [start(ROTATE, COLSTORE_CACHE=str(tmp_path)) for _ in range(3)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [output.strip() for output, _ in outputs] == ["276.0"] * 3, outputs
    assert len(list((tmp_path / "kernels").iterdir())) == 1


def test_threads_get_one_kernel(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        kernels = list(pool.map(lambda _: jit.kernel("rotate"), range(8)))
    assert len({id(kernel) for kernel in kernels}) == 1
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"\0" * 4096])
def test_a_damaged_file_is_compiled_anew(folder: Path, forget: Forget, damage: bytes) -> None:
    assert rotated() == 16
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage)
    forget()
    assert rotated() == 16
    assert len(file.read_bytes()) == len(whole)


def test_kept_code_without_the_kernel_is_compiled_anew(folder: Path, forget: Forget) -> None:
    assert rotated() == 16
    kept = cache.read("rotate")
    assert kept is not None
    other = b"another symbol\n" + kept.partition(b"\n")[2]
    cache.write("rotate", other)
    forget()
    assert rotated() == 16
    assert cache.read("rotate") != other


def test_without_a_cache_kernels_still_work(tmp_path: Path, forget: Forget, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("COLSTORE_CACHE", str(tmp_path / "file"))
    with pytest.warns(KernelCacheWarning):
        assert rotated() == 16
    forget()
    assert rotated() == 16  # from the temporary folder


@pytest.mark.parametrize(
    "name", ["gather", "interact", "prepare", "probe", "refine", "rotate", "scan", "score", "select", "dense"]
)
def test_every_kernel_can_be_kept(folder: Path, name: str) -> None:
    """A kernel that calls into Python or numba could not, and would cost every process a second."""
    parameters: dict[str, dict[str, int | str]] = {
        "gather": {"posting_bytes": 2},
        "interact": {"lanes": 8, "code_bytes": 1},
        "probe": {"lanes": 8},
        "refine": {"bits": 4, "dim": 8, "code_bytes": 1},
        "scan": {"dim": 8, "vectors": 1, "flavour": "portable"},
        "score": {"bits": 4, "dim": 8, "vectors": 1, "code_bytes": 1, "flavour": "portable"},
        "dense": {"dim": 8, "vectors": 1},
    }
    jit.kernel(name, **parameters.get(name, {}))
    assert len(list(folder.iterdir())) == 1


def test_the_caller_s_surroundings_stay_as_they_were(tmp_path: Path) -> None:
    state = """
import locale, os, random, signal, threading, warnings
import numpy as np
def state():
    return (
        list(warnings.filters), threading.active_count(), dict(os.environ), os.getcwd(),
        locale.setlocale(locale.LC_ALL), np.geterr(), random.getstate(), np.random.get_state()[1].tolist(),
        signal.getsignal(signal.SIGINT), sys.getrecursionlimit(), sys.flags,
    )
"""
    code = f"import sys{state}\nbefore = state()\n{SCAN}\nafter = state()\nassert before == after, (before, after)"
    assert run(code, COLSTORE_CACHE=str(tmp_path))


def test_numba_switched_off_stays_off_for_the_caller(tmp_path: Path) -> None:
    code = f"{ROTATE}\nimport numba\nassert numba.config.DISABLE_JIT == 1"
    assert run(code, COLSTORE_CACHE=str(tmp_path), NUMBA_DISABLE_JIT="1") == "276.0"


def test_numba_told_of_a_lesser_processor_gets_the_portable_flavour(tmp_path: Path) -> None:
    code = f"import warnings\nwarnings.simplefilter('ignore')\n{SCAN}"
    output = run(code, COLSTORE_CACHE=str(tmp_path), NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert output.startswith("portable ")


def test_a_flavour_that_numba_would_not_compile_for_is_a_named_error(folder: Path) -> None:
    missing = [name for name in NEEDS if name not in available_flavours()]
    if not missing:
        pytest.skip("this processor has every flavour, so this test did not run")
    with pytest.raises(ConfigError, match="NUMBA_CPU_NAME"):
        jit.kernel("product", flavour=missing[0])
