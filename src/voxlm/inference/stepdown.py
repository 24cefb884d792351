"""Step-down family-wise p and uncorrected p, counted voxel by voxel over permutations."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from voxlm.inference.exchange import Arrangements
from voxlm.inference.permute import (
    BATCH,
    RELATIVE_SLACK,
    SHARE_SLACK,
    Residuals,
    permuted_rows,
    shares,
    tiles,
)
from voxlm.kernels import permuted
from voxlm.kernels.threads import over_blocks

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class _Tally:
    """Counts that several threads add to."""

    below: Counts
    alone: Counts
    lock: threading.Lock = field(default_factory=threading.Lock)


def permute_counts(
    data: Residuals,
    arrangements: Arrangements,
    two_sided: bool = True,
    progress: Callable[[int], object] | None = None,
) -> tuple[Array, Array]:
    """Return step-down family-wise p and each voxel's own p.

    Parameters
    ----------
    data : Residuals
    arrangements : Arrangements
    two_sided : bool
    progress : callable, optional

    Returns
    -------
    step_down, alone : ndarray, shape (v,)
        Westfall and Young's (1993) step-down max-T p, and uncorrected p by permutation.
    """
    size = np.abs(data.share) if two_sided else data.share
    order = np.argsort(size, kind="stable")
    unit = np.ascontiguousarray(data.unit[:, order])
    ranked, slack = size[order], _slack(data, size[order])
    tally = _Tally(np.zeros(len(size), np.int64), np.zeros(len(size), np.int64))

    def work(start: int, stop: int) -> None:
        rows = permuted_rows(data, arrangements, start, stop)
        running = np.full(stop - start, -np.inf)
        below, alone = np.zeros(len(size), np.int64), np.zeros(len(size), np.int64)
        for here, products in tiles(data, rows):
            now = shares(unit[:, here], data.part, data.groups, rows, products)
            permuted.count_down(
                now, ranked[here] - slack[here], two_sided, 0.0, running, below[here], alone[here]
            )
        with tally.lock:
            tally.below += below
            tally.alone += alone
        if progress is not None:
            progress(stop - start)

    over_blocks(arrangements.n, BATCH, work)
    step_down, alone = np.empty(len(size)), np.empty(len(size))
    p = (1.0 + tally.below) / (1.0 + arrangements.n)
    step_down[order] = np.maximum.accumulate(p[::-1])[::-1]
    alone[order] = (1.0 + tally.alone) / (1.0 + arrangements.n)
    return step_down, alone


def _slack(data: Residuals, value: Array) -> Array:
    """Return how far below the observed share a permuted one still ties with it."""
    if data.groups is None:
        return np.full(value.shape, SHARE_SLACK[data.unit.dtype])
    return RELATIVE_SLACK[data.unit.dtype] * np.abs(value)
