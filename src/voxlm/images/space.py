"""Where columns of data lie: what grids, surfaces, grayordinates and tables have in common.

Analysis and inference ask a space, and never which kind it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from numpy.typing import ArrayLike, NDArray

from voxlm.images.table import Table as Table
from voxlm.images.volume import Volume as Volume

if TYPE_CHECKING:
    from scipy import sparse

SINGULAR = {"vertices": "vertex"}


def one_of(space: Space) -> str:
    """Return the singular of what a space counts.

    Examples
    --------
    >>> one_of(Table(3))
    'voxel'
    """
    return SINGULAR.get(space.counted, space.counted.removesuffix("s"))


AREAS = {"mm2": "mm²", "mm3": "mm³", "size": ""}


def measured(space: Space) -> str:
    """Return what a cluster's extent is counted in; empty for sizes of the user's own.

    Examples
    --------
    >>> measured(Table(3))
    'voxels'
    """
    if space.sizes is None:
        return space.counted
    _, *named = space.extents([0], [1], [1.0])
    return " or ".join(AREAS[name] for name in named)


@runtime_checkable
class Space(Protocol):
    """What every space can do; V is the number of its voxels."""

    @property
    def n_voxels(self) -> int:
        """Number of voxels (vertices, grayordinates, columns), V."""
        ...

    @property
    def extension(self) -> str:
        """How names of files end, from the first dot on."""
        ...

    @property
    def unit(self) -> str:
        """What a column is, in the plural."""
        ...

    @property
    def counted(self) -> str:
        """What results count, in the plural; columns of an array stand for voxels."""
        ...

    @property
    def grid(self) -> Volume | None:
        """The grid that all columns are voxels of; None elsewhere."""
        ...

    @property
    def sizes(self) -> NDArray[Any] | None:
        """What each column counts in a cluster's extent, shape ``(V,)``; None for 1 each."""
        ...

    @property
    def linked(self) -> bool:
        """Whether it is known who is next to whom."""
        ...

    @property
    def places(self) -> NDArray[Any] | None:
        """Places in millimetres, shape ``(V, 3)``, where known."""
        ...

    def graph(self, connectivity: int = 6) -> sparse.csr_array:
        """Return who is next to whom, bool of shape ``(V, V)``; an error where nobody knows."""
        ...

    def where(self, columns: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return what a table says of the places of some columns."""
        ...

    def told(self, column: int) -> str:
        """Say in words where a column is."""
        ...

    def volume(self, values: ArrayLike) -> Any:
        """Return what of a map, shape ``(V,)``, lies in voxels, as an image to draw; or None."""
        ...

    def sheets(self, values: ArrayLike) -> dict[str, Any]:
        """Return what of a map lies on known surfaces, by side: mesh and values to be drawn."""
        ...

    def extents(
        self, columns: ArrayLike, counts: ArrayLike, sizes: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Return what a table says of clusters: of their peaks, counts and summed ``sizes``."""
        ...

    def differs(self, other: object) -> str:
        """Say how another space differs from this one; empty if it has the same columns."""
        ...

    def image(self, values: ArrayLike, intent: str | None = None, df: Any = None) -> Any:
        """Turn values, shape ``(V,)`` or ``(K, V)``, into an image."""
        ...

    def index(self, i: int | str, j: int | None = None, k: int | None = None) -> int:
        """Return the column of a voxel."""
        ...

    def index_mm(self, x: float, y: float, z: float) -> int:
        """Return the column of the voxel nearest to a place in millimetres."""
        ...

    def write(
        self,
        path: str | os.PathLike[str],
        values: ArrayLike,
        intent: str | None = None,
        df: Any = None,
    ) -> tuple[Path, ...]:
        """Write values as an image, each file whole or not at all; return the files."""
        ...
