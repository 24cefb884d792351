"""Several runs end to end: one series a voxel, in common units, cut between the runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.lagged import Ints, cut_segments
from voxlm.models.reduce import Scaling, check_percent, grand_mean, retained
from voxlm.models.source import Scans

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One run of a stack.

    Parameters
    ----------
    scans : Scans
        Its data.
    kept : ndarray of bool, shape (T,)
        Its retained scans.
    factor : ndarray, shape (V,)
        The stacked data are ``factor · data + level``; NaN where the run's mean is not positive.
    level : float
        See ``factor``.
    """

    scans: Scans
    kept: Bools
    factor: Floats
    level: float


@dataclass(frozen=True, slots=True, eq=False)
class Stacked:
    """The retained scans of several runs, each in its own percent, as one source.

    Parameters
    ----------
    parts : tuple of Part
        The runs, in order.
    """

    parts: tuple[Part, ...]

    @property
    def n_scans(self) -> int:
        """Retained scans of all runs."""
        return sum(int(part.kept.sum()) for part in self.parts)

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return self.parts[0].scans.n_voxels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The coarsest type among the runs."""
        kinds = [part.scans.dtype for part in self.parts if part.scans.dtype.kind == "f"]
        return min(kinds, key=lambda kind: kind.itemsize, default=np.dtype(np.float64))

    @property
    def array(self) -> Floats | None:
        """All the data where every run is in memory."""
        if any(part.scans.array is None for part in self.parts):
            return None
        return np.vstack(
            [part.scans.array[part.kept] * part.factor + part.level for part in self.parts]  # type: ignore[index]
        )

    @property
    def segments(self) -> Ints:
        """Start and stop of each run of consecutive scans; no run reaches into the next."""
        cuts, at = [], 0
        for part in self.parts:
            cuts.append(at + cut_segments(part.kept))
            at += int(part.kept.sum())
        return np.concatenate(cuts)

    def blocks(self, size: int = 16) -> Iterator[tuple[int, Floats]]:
        """Yield ``(start, scans)`` of one run after the other."""
        start = 0
        for part in self.parts:
            for block in retained(part.scans, part.kept, size):
                yield start, block * part.factor + part.level
                start += block.shape[0]

    def read(self, voxels: NDArray[np.intp]) -> Floats:
        """Return the series of some voxels, shape ``(n_scans, len(voxels))``."""
        return np.vstack(
            [p.scans.read(voxels)[p.kept] * p.factor[voxels] + p.level for p in self.parts]
        )


def stack_scans(
    sources: Sequence[Scans], kept: Sequence[Bools | None], scaling: Sequence[Scaling]
) -> Stacked:
    """Put runs end to end, each scaled by its own mean.

    Parameters
    ----------
    sources : sequence of Scans
        The runs' data; each is read once for its mean where scaling asks for one.
    kept : sequence of (ndarray of bool, shape (T,), or None)
        Their retained scans.
    scaling : sequence of {"percent", "grand_mean", None}
        Their units.

    Returns
    -------
    Stacked
    """
    parts = []
    for scans, keep, units in zip(sources, kept, scaling, strict=True):
        mask = np.ones(scans.n_scans, dtype=np.bool_) if keep is None else keep
        parts.append(Part(scans, mask, *_units(scans, mask, units)))
    return Stacked(tuple(parts))


def _units(scans: Scans, kept: Bools, scaling: Scaling) -> tuple[Floats, float]:
    if scaling is None:
        return np.ones(scans.n_voxels), 0.0
    total, first = np.zeros(scans.n_voxels), None
    varies = np.zeros(scans.n_voxels, dtype=np.bool_)
    for block in retained(scans, kept):
        first = block[0].copy() if first is None and len(block) else first
        total += block.sum(axis=0, dtype=np.float64)
        varies |= np.any(block != first, axis=0)
    mean = total / kept.sum()
    varies &= np.isfinite(mean)
    if scaling == "grand_mean":
        mean = np.full_like(mean, grand_mean(mean[varies]))
    else:
        check_percent(varies & (mean <= 0), varies & (mean > 0))
    return 100.0 / np.where(mean > 0, mean, np.nan), -100.0
