"""When the scans of one run were taken, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError


@dataclass(frozen=True, slots=True)
class Clock:
    """The scan clock of one run.

    Parameters
    ----------
    n_scans : int
        Number of volumes, T.
    tr : float
        Repetition time in seconds.
    slice_time_ref : float
        The moment within a TR that the scan times stand for, as a fraction: 0 is the start.

    Examples
    --------
    >>> Clock(3, 2.0, 0.5).times
    array([1., 3., 5.])
    """

    n_scans: int
    tr: float
    slice_time_ref: float = 0.0

    def __post_init__(self) -> None:
        if self.n_scans < 1:
            raise DataError(f"a run needs at least one scan, got {self.n_scans}")
        if not (np.isfinite(self.tr) and self.tr > 0):
            raise DataError(f"tr must be a positive number of seconds, got {self.tr!r}")
        if not isinstance(self.slice_time_ref, (int, float)) or not 0 <= self.slice_time_ref <= 1:
            raise DataError(
                f"slice_time_ref is a fraction of the TR from 0 to 1, got {self.slice_time_ref!r}"
            )

    @property
    def times(self) -> NDArray[np.float64]:
        """Scan times in seconds, shape ``(T,)``."""
        first = self.slice_time_ref * self.tr
        return np.linspace(first, (self.n_scans - 1 + self.slice_time_ref) * self.tr, self.n_scans)

    @property
    def duration(self) -> float:
        """Length of the run in seconds."""
        return self.n_scans * self.tr
