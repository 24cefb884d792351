"""A sum of independent parts, tested by flipping the sign of each: whole runs of one subject.

Axes: R parts, V voxels, v of them tested, K flips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.inference.exchange import Arrangements
from voxlm.inference.partition import Partition

Array = NDArray[np.float64]

# What the order of a sum does to it, relative to its size.
ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class RunFlips:
    """Parts of a statistic whose standard error is known; see ``permute.Sample``.

    Parameters
    ----------
    parts : ndarray, shape (R, v)
        What each run adds to the statistic.
    tested : ndarray of bool, shape (V,)
        Which voxels have all parts.
    part : Partition
        The design of a mean over runs, with the statistic's degrees of freedom.
    """

    parts: Array
    tested: NDArray[np.bool_]
    part: Partition

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Precision of flipped statistics."""
        return np.dtype(np.float64)

    @property
    def slack(self) -> float:
        """What rounding does to a flipped statistic, relative to its size."""
        return ROUNDING

    @property
    def statistic(self) -> Array:
        """The statistic as observed, shape ``(v,)``."""
        return np.asarray(self.parts.sum(axis=0))

    def maps(self, arrangements: Arrangements, start: int, stop: int, largest: Array) -> Array:
        """Return the statistic under some flips, ``(k, v)``; write what is largest, by sign."""
        _, sign = arrangements.rows(start, stop)
        maps = np.asarray(sign, dtype=np.float64) @ self.parts
        largest[:, 0], largest[:, 1] = maps.max(axis=1), -maps.min(axis=1)
        return maps


def run_flips(parts: NDArray[np.floating], df: float) -> RunFlips:
    """Make parts of a statistic ready to be flipped.

    Parameters
    ----------
    parts : ndarray, shape (R, V)
        What each run adds to the statistic.
    df : float
        Its degrees of freedom, which turn cluster-forming p into its units.

    Examples
    --------
    >>> run_flips(np.array([[1.0, np.nan], [2.0, 0.5]]), 100.0).statistic
    array([3.])
    """
    R = len(parts)
    tested = np.isfinite(parts).all(axis=0)
    mean = np.full((R, 1), 1.0 / np.sqrt(R))
    part = Partition(mean, np.empty((R, 0)), df, np.zeros(R), True)
    return RunFlips(np.ascontiguousarray(parts[:, tested], dtype=np.float64), tested, part)
