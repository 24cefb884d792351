"""Single maps as the rows of a source: read a few at a time, and let go of again.

Axes: N maps, V voxels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.glm.masking import Masker, VolumeMasker, opened, stack
from voxlm.images.resample import Grid
from voxlm.images.scans import array_scans, check_columns
from voxlm.images.space import Space, Volume
from voxlm.images.volumes import Reader, read_row, reader
from voxlm.kernels.threads import over_blocks
from voxlm.models.source import Scans


@dataclass(frozen=True, slots=True, eq=False)
class MapScans:
    """Volumes on the grid of a mask, as they are.

    Parameters
    ----------
    sources : sequence of Opened
        One a map, opened as far as its header.
    how : Reader
        The grid and the mask.
    tr : None
        Maps have no repetition time.
    """

    sources: Sequence[Any]
    how: Reader
    tr: float | None = None

    @property
    def n_scans(self) -> int:
        """Number of maps, N."""
        return len(self.sources)

    @property
    def n_voxels(self) -> int:
        """Number of voxels in the mask, V."""
        return self.how.space.n_voxels

    @property
    def space(self) -> Space:
        """Where the voxels lie."""
        return self.how.space

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 where all maps are, else float64."""
        small = all(one.dtype.kind == "f" and one.dtype.itemsize <= 4 for one in self.sources)
        return np.dtype(np.float32 if small else np.float64)

    @property
    def array(self) -> None:
        """None: maps are read when they are asked for."""
        return None

    def blocks(self, size: int = 16) -> Iterator[tuple[int, NDArray[Any]]]:
        """Give ``(start, rows)`` in order; rows ``(k, V)`` are overwritten by the next."""
        rows = np.empty((min(size, self.n_scans), self.n_voxels), self.dtype)
        for start in range(0, self.n_scans, size):
            part = rows[: self.n_scans - start]
            self._read(start, part)
            yield start, part

    def read(self, voxels: ArrayLike) -> NDArray[np.float64]:
        """Return some columns, shape ``(N, k)``."""
        columns = check_columns(voxels, self.n_voxels)
        return np.vstack([rows[:, columns].astype(np.float64) for _, rows in self.blocks()])

    def _read(self, start: int, rows: NDArray[Any]) -> None:
        def work(first: int, last: int) -> None:
            for k in range(first, last):
                read_row(self.how, self.sources[start + k], rows[k])

        over_blocks(len(rows), 1, work)


def map_scans(masker: Masker, imgs: Sequence[Any]) -> Scans:
    """Return maps as a source of rows: streamed where no more is asked than to read them.

    Parameters
    ----------
    masker : VolumeMasker or SurfaceMasker
        Their voxels.
    imgs : sequence of images
        Single maps, or one image of several.
    """
    if isinstance(masker, VolumeMasker) and masker.fwhm is None:
        sources = [opened(image, "second_level_input") for image in imgs]
        if all(one.n_scans == 1 and _on(masker.space, one) for one in sources):
            return MapScans(sources, reader(masker.space))
    return array_scans(stack(masker, imgs))


def _on(space: Volume, source: Any) -> bool:
    return Grid(source.grid, source.affine).same(Grid(space.shape, space.affine))
