"""Many jobs of the same kind, one after the other or in processes that share the cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from voxlm.errors import DataError
from voxlm.kernels.threads import limit_threads, n_threads

Job = TypeVar("Job")
Answer = TypeVar("Answer")


def over(jobs: Sequence[Job], work: Callable[[Job], Answer], workers: int = 1) -> Iterator[Answer]:
    """Yield ``work(job)`` of each job as it is done.

    Parameters
    ----------
    jobs : sequence
        What can be pickled, where there are several workers.
    work : callable
        A function of a module; it does not raise.
    workers : int
        Processes; the cores are shared out between them. With one, the work is done here.

    Raises
    ------
    DataError
        If a worker is killed, for want of memory for instance.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from map(work, jobs)
        return
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(max(1, n_threads() // workers),),
    )
    try:
        futures = [pool.submit(_interruptible, work, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except (KeyboardInterrupt, GeneratorExit):
        for child in set(multiprocessing.active_children()) - before:
            if child.pid is not None:
                os.kill(child.pid, signal.SIGINT)
        raise
    except BrokenPipeError as error:
        raise DataError(KILLED) from error
    except RuntimeError as error:  # BrokenProcessPool is one
        raise DataError(KILLED) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


KILLED = (
    "a worker was killed, perhaps for want of memory: use fewer workers; or it could not start: a "
    "script that asks for workers needs `if __name__ == '__main__':` around what it does. What was "
    "finished is kept, and the same command goes on from there"
)


def _start(threads: int) -> None:
    """Prepare a worker: its share of the cores; interrupts count only while it works."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_threads(threads)


def _interruptible(work: Callable[[Any], Any], job: Any) -> Any:
    """Work so that one interrupt ends the job, whose half-written files are then taken away."""

    def interrupted(*_: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
    try:
        return work(job)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
