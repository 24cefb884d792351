"""Maps with holes: voxels that have the same maps are fitted together.

Axes: N maps, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.threads import over_blocks

BLOCK = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Voxels that have the same maps.

    Parameters
    ----------
    rows : ndarray of bool, shape (N,)
        The maps that are there.
    voxels : ndarray of int, shape (v,)
        Positions on the voxel axis, ascending.
    """

    rows: NDArray[np.bool_]
    voxels: NDArray[np.int64]


def patterns(data: NDArray[Any]) -> tuple[Pattern, ...]:
    """Sort voxels by the maps in which they are finite, the commonest pattern first.

    Parameters
    ----------
    data : ndarray, shape (N, V)
        Maps; NaN and infinity are holes.

    Returns
    -------
    tuple of Pattern
        Every voxel is in exactly one.

    Examples
    --------
    >>> holes = patterns(np.array([[1.0, 2.0, np.nan], [1.0, 2.0, 3.0]]))
    >>> [(p.rows.tolist(), p.voxels.tolist()) for p in holes]
    [([True, True], [0, 1]), ([False, True], [2])]
    """
    N, V = data.shape
    bits = np.empty((V, (N + 7) // 8), dtype=np.uint8)
    whole = np.empty(V, dtype=np.bool_)

    def work(start: int, stop: int) -> None:
        finite = np.isfinite(data[:, start:stop])
        whole[start:stop] = finite.all(axis=0)
        bits[start:stop] = np.packbits(finite, axis=0).T

    if _finite_total(data):
        return (Pattern(np.ones(N, dtype=np.bool_), np.arange(V)),)
    over_blocks(V, BLOCK, work)
    found = []
    if whole.any():
        found.append(Pattern(np.ones(N, dtype=np.bool_), np.flatnonzero(whole)))
    rest = np.flatnonzero(~whole)
    kinds, which = np.unique(bits[rest], axis=0, return_inverse=True)
    for k, kind in enumerate(kinds):
        rows = np.unpackbits(kind, count=N).astype(np.bool_)
        found.append(Pattern(rows, rest[which.ravel() == k]))
    return tuple(sorted(found, key=lambda pattern: -pattern.voxels.size))


def _finite_total(data: NDArray[Any]) -> bool:
    """Tell quickly whether everything is finite: one hole spoils the sums of its block."""
    sums = []

    def work(start: int, stop: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            sums.append(float(np.sum(data[start:stop], dtype=np.float64)))

    over_blocks(data.shape[0], max(1, data.shape[0] // 8), work)
    return bool(np.isfinite(sums).all())
