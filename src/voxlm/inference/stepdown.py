"""Step-down family-wise p and uncorrected p, counted voxel by voxel over permutations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from voxlm.inference.exchange import Arrangements
from voxlm.inference.maxima import MAP_BATCH, Sample
from voxlm.inference.permute import (
    BATCH,
    SHARE_SLACK,
    Residuals,
    permuted_rows,
    shares,
    tiles,
)
from voxlm.kernels import permuted
from voxlm.kernels.threads import over_blocks

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
Counts = NDArray[np.int64]
Pieces = Callable[[int, int], Iterator[tuple[slice, Floats]]]


@dataclass(slots=True, eq=False)
class _Tally:
    """Counts that several threads add to."""

    below: Counts
    alone: Counts
    lock: threading.Lock = field(default_factory=threading.Lock)


def permute_counts(
    data: Sample,
    arrangements: Arrangements,
    two_sided: bool = True,
    progress: Callable[[int], object] | None = None,
) -> tuple[Array, Array]:
    """Return step-down family-wise p and each voxel's own p.

    Parameters
    ----------
    data : Sample
    arrangements : Arrangements
    two_sided : bool
    progress : callable, optional

    Returns
    -------
    step_down, alone : ndarray, shape (v,)
        Westfall and Young's (1993) step-down max-T p, and uncorrected p by permutation.
    """
    value = data.share if isinstance(data, Residuals) else data.statistic
    size = np.abs(value) if two_sided else value
    order = np.argsort(size, kind="stable")
    ranked, pieces = size[order], _pieces(data, arrangements, order)
    least = ranked - _slack(data, ranked)
    tally = _Tally(np.zeros(len(size), np.int64), np.zeros(len(size), np.int64))

    def work(start: int, stop: int) -> None:
        running = np.full(stop - start, -np.inf)
        below, alone = np.zeros(len(size), np.int64), np.zeros(len(size), np.int64)
        for here, now in pieces(start, stop):
            permuted.count_down(now, least[here], two_sided, 0.0, running, below[here], alone[here])
        with tally.lock:
            tally.below += below
            tally.alone += alone
        if progress is not None:
            progress(stop - start)

    over_blocks(arrangements.n, BATCH if isinstance(data, Residuals) else MAP_BATCH, work)
    step_down, alone = np.empty(len(size)), np.empty(len(size))
    p = (1.0 + tally.below) / (1.0 + arrangements.n)
    step_down[order] = np.maximum.accumulate(p[::-1])[::-1]
    alone[order] = (1.0 + tally.alone) / (1.0 + arrangements.n)
    return step_down, alone


def _pieces(data: Sample, arrangements: Arrangements, order: Counts) -> Pieces:
    """Return what gives permuted values, ``(k, some voxels)`` at a time, in a given order."""
    if not isinstance(data, Residuals):

        def whole(start: int, stop: int) -> Iterator[tuple[slice, Floats]]:
            maps = data.maps(arrangements, start, stop, np.empty((stop - start, 2)))
            yield slice(None), np.ascontiguousarray(maps[:, order])

        return whole
    unit = np.ascontiguousarray(data.unit[:, order])

    def tiled(start: int, stop: int) -> Iterator[tuple[slice, Floats]]:
        rows = permuted_rows(data, arrangements, start, stop)
        for here, products in tiles(data, rows):
            yield here, shares(unit[:, here], data.part, data.groups, rows, products)

    return tiled


def _slack(data: Sample, value: Array) -> Array:
    """Return how far below the observed share a permuted one still ties with it."""
    if isinstance(data, Residuals) and data.groups is None:
        return np.full(value.shape, SHARE_SLACK[data.unit.dtype])
    return data.slack * np.abs(value)
