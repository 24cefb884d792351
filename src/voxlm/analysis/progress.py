"""A run's data with a progress bar over its scans."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

import lazy_loader
import numpy as np
from numpy.typing import NDArray

from voxlm.models.source import Scans

tqdm = lazy_loader.load("tqdm")


class Watched:
    """Scans that report how many of them have been read.

    Parameters
    ----------
    scans : Scans
        The run's data.
    name : str
        What to call the run.
    show : bool
        Whether to draw the bar.
    """

    def __init__(self, scans: Scans, name: str, show: bool) -> None:
        self._scans = scans
        self._bar = tqdm.tqdm(total=scans.n_scans, desc=name, unit="scan") if show else None

    def __enter__(self) -> Scans:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def n_scans(self) -> int:
        """Number of scans, T."""
        return self._scans.n_scans

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return self._scans.n_voxels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._scans.dtype

    @property
    def array(self) -> NDArray[Any] | None:
        """The whole run where it is in memory."""
        return self._scans.array

    def blocks(self, size: int = 16) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield scans a few at a time, moving the bar."""
        for start, block in self._scans.blocks(size):
            yield start, block
            if self._bar is not None:
                self._bar.update(block.shape[0])

    def read(self, voxels: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the series of some voxels."""
        return self._scans.read(voxels)
