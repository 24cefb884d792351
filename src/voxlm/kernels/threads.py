"""One owner of the cores at a time.

Work over voxels is cut into blocks and handed to as many Python threads as there are cores; numba
kernels and BLAS release the interpreter lock, and BLAS is held to one thread meanwhile, so two
pools never compete for the same cores.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

# Set in threads that work on blocks: what they call finds the cores taken.
_inside = threading.local()


_most: list[int] = []
_held: list[object] = []  # a limit holds while somebody holds it


def limit_threads(most: int) -> None:
    """Use no more than so many cores in this process, BLAS included: others have the rest."""
    _most[:] = [most]
    _held[:] = [_controller().limit(limits=most)]


def n_threads() -> int:
    """Return the number of cores this process may use."""
    return min([_cores(), *_most])


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every platform can tell
        return os.cpu_count() or 1


def _controller() -> ThreadpoolController:
    return _pools("scipy.linalg" in sys.modules)


@cache
def _pools(_with_scipy: bool) -> ThreadpoolController:
    """Find the pools of threads; scipy brings one of its own, which may load after numpy's."""
    return ThreadpoolController()


@contextmanager
def single_blas() -> Iterator[None]:
    """Hold BLAS to one thread inside the block."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def over_blocks(n: int, size: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(start, stop)`` for every block of ``range(n)``, on all cores.

    Parameters
    ----------
    n : int
        Length of the axis to cut.
    size : int
        Largest block. Small problems, and those inside a block of another, run in the calling
        thread.
    work : callable
        Writes its own slice of some output; an exception in any block is raised here.
    """
    starts = range(0, n, size)
    with single_blas():
        if len(starts) <= 1 or n_threads() == 1 or getattr(_inside, "block", False):
            for start in starts:
                work(start, min(start + size, n))
            return
        with ThreadPoolExecutor(n_threads(), initializer=_enter) as pool:
            jobs = [pool.submit(work, start, min(start + size, n)) for start in starts]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                # Also an interrupt from the keyboard: blocks that have not begun never will.
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _enter() -> None:
    _inside.block = True
