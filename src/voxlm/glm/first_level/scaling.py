"""Data in percent of their mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.images.scans import Scans

Floats = NDArray[np.float64]


def mean_scaling(Y: ArrayLike, axis: Any = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scale data to percent change from their mean; a mean below 1 counts as 1.

    Parameters
    ----------
    Y : array_like, shape (T, V)
        The data.
    axis : int or tuple of int
        0: the mean of each voxel; 1: that of each scan; (0, 1): that of all.

    Returns
    -------
    scaled : ndarray, shape (T, V)
    mean : ndarray
        The means that were used.

    Examples
    --------
    >>> mean_scaling(np.array([[1.0, 2.0], [3.0, 2.0]]))[0]
    array([[-50.,   0.],
           [ 50.,   0.]])
    """
    data = np.asarray(Y)
    mean = data.mean(axis=axis)
    if np.any(mean == 0):
        warn_centred()
    mean = np.maximum(mean, 1)
    divisor = mean[:, None] if axis == 1 else mean
    return 100 * (data / divisor - 1), mean


def warn_centred() -> None:
    """Say that means of 0 make scaling meaningless."""
    warn(
        "Mean values of 0 observed. The data have probably been centered. "
        "Scaling might not work as expected.",
        UserWarning,
        stacklevel=3,
    )


@dataclass(frozen=True, slots=True, eq=False)
class ScaledScans:
    """A run each of whose scans is in percent of its own mean over voxels."""

    source: Scans

    @property
    def n_scans(self) -> int:
        """Number of scans, T."""
        return self.source.n_scans

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return self.source.n_voxels

    @property
    def space(self) -> Any:
        """Where the voxels lie."""
        return self.source.space

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the blocks."""
        return np.dtype(np.float64)

    @property
    def tr(self) -> float | None:
        """Repetition time in seconds, where known."""
        return self.source.tr

    @property
    def array(self) -> None:
        """None: scaled as they come."""
        return None

    def blocks(self, size: int = 16) -> Iterator[tuple[int, NDArray[np.floating]]]:
        """Give ``(start, rows)`` in scan order, rows ``(t, V)``."""
        for start, rows in self.source.blocks(size):
            yield start, mean_scaling(rows, axis=1)[0]

    def read(self, voxels: ArrayLike) -> Floats:
        """Return the series of some voxels, shape ``(T, k)``."""
        columns = np.atleast_1d(np.asarray(voxels))
        return np.vstack([rows[:, columns] for _, rows in self.blocks()])
