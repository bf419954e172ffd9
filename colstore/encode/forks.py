"""Models of torch in forked processes: gunicorn's ``--preload``, Celery, ``multiprocessing`` with ``fork``.

The threads of the pool of torch do not exist in a forked child: a computation that waits for them never ends. A child
of a process that has loaded a model therefore computes on one thread, which needs no pool. ``torch.set_num_threads`` in
the child before its first computation chooses otherwise.
"""

from __future__ import annotations

import functools
import os
import sys


@functools.cache
def compute_alone_after_fork() -> None:
    """Let torch use one thread in children that this process forks from now on."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
