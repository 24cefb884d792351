"""What a model asks of data: scans in order, voxels last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Scans(Protocol):
    """A run's data, in memory or on disk."""

    @property
    def n_scans(self) -> int:
        """Number of scans, T."""

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values delivered."""

    @property
    def array(self) -> NDArray[Any] | None:
        """The whole run, shape ``(T, V)``, where it is in memory already."""

    def blocks(self, size: int = 16) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield ``(start, scans)``, scans of shape ``(t, V)``, in order; buffers are reused."""

    def read(self, voxels: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the series of some voxels, shape ``(T, len(voxels))``."""
