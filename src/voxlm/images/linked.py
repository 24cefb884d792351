"""A space whose neighbours the user has said."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.space import Space, Volume


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """Another space, with a neighbour graph and sizes of one's own.

    Parameters
    ----------
    base : Space
        What the columns are.
    csr : csr_array of bool, shape (V, V)
        Who is next to whom: symmetric, without a diagonal.
    own_sizes : ndarray, shape (V,), optional
        What each column counts in an extent.

    Examples
    --------
    >>> from voxlm.images.table import Table
    >>> space = linked(Table(3), [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    >>> space.graph().nnz, space.linked
    (2, True)
    """

    base: Space
    csr: scipy.sparse.csr_array
    own_sizes: NDArray[np.float64] | None = None

    @property
    def n_voxels(self) -> int:
        """Number of columns, V."""
        return self.base.n_voxels

    @property
    def extension(self) -> str:
        """How names of files end."""
        return self.base.extension

    @property
    def unit(self) -> str:
        """What a column is, in the plural."""
        return self.base.unit

    @property
    def counted(self) -> str:
        """What results count, in the plural."""
        return self.base.counted

    @property
    def grid(self) -> Volume | None:
        """The grid that all columns are voxels of; None elsewhere."""
        return self.base.grid

    @property
    def sizes(self) -> NDArray[np.float64] | None:
        """What each column counts in an extent, shape ``(V,)``; None for 1 each."""
        return self.own_sizes

    @property
    def linked(self) -> bool:
        """True: the graph was given."""
        return True

    @property
    def places(self) -> NDArray[Any] | None:
        """Places in millimetres, shape ``(V, 3)``, where known."""
        return self.base.places

    def graph(self, connectivity: int = 6) -> scipy.sparse.csr_array:
        """Return the graph; ``connectivity`` is of voxels."""
        del connectivity
        return self.csr

    def where(self, columns: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return what a table says of the places of some columns."""
        return self.base.where(columns)

    def told(self, column: int) -> str:
        """Say where a column is."""
        return self.base.told(column)

    def volume(self, values: ArrayLike) -> Any:
        """Return a map as an image of voxels; None where there are none."""
        return self.base.volume(values)

    def sheets(self, values: ArrayLike) -> dict[str, Any]:
        """Return a map on each surface that was given."""
        return self.base.sheets(values)

    def extents(
        self, columns: ArrayLike, counts: ArrayLike, sizes: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Return what a table says of clusters: counts, and the ``size`` where sizes were given."""
        found = self.base.extents(columns, counts)
        return found if sizes is None else {**found, "size": np.asarray(sizes)}

    def differs(self, other: object) -> str:
        """Say how another space differs from this one; graphs are not compared."""
        return self.base.differs(other.base if isinstance(other, Linked) else other)

    def image(self, values: ArrayLike, intent: str | None = None, df: Any = None) -> Any:
        """Turn values into an image of the kind the data were."""
        return self.base.image(values, intent, df)

    def index(self, i: int | str, j: int | None = None, k: int | None = None) -> int:
        """Return the column of a voxel."""
        return self.base.index(i, j, k)

    def index_mm(self, x: float, y: float, z: float) -> int:
        """Return the column nearest to a place in millimetres."""
        return self.base.index_mm(x, y, z)

    def write(
        self,
        path: str | os.PathLike[str],
        values: ArrayLike,
        intent: str | None = None,
        df: Any = None,
    ) -> tuple[Path, ...]:
        """Write values as an image of the kind the data were."""
        return self.base.write(path, values, intent, df)


def linked(space: Space, graph: Any, sizes: ArrayLike | None = None) -> Linked:
    """Give a space neighbours.

    Parameters
    ----------
    space : Space
    graph : sparse or dense matrix, shape (V, V)
        Not 0 between neighbours; made symmetric, its diagonal left out.
    sizes : array_like, shape (V,), optional
        Areas or volumes; 1 each by default.

    Raises
    ------
    DataError
        Another shape, or sizes that are not positive.
    """
    V = space.n_voxels
    try:
        given = scipy.sparse.csr_array(graph)
    except (TypeError, ValueError) as error:
        raise DataError(f"graph= is a matrix of who is next to whom; got {graph!r}") from error
    if given.shape != (V, V):
        raise DataError(
            f"graph= has shape {given.shape}, but there are {V:,} {space.unit}: it needs a row and "
            "a column for each"
        )
    pairs = given.astype(np.bool_).tocoo()
    off = (pairs.coords[0] != pairs.coords[1]) & pairs.data
    rows, columns = pairs.coords[0][off], pairs.coords[1][off]
    both = np.r_[rows, columns], np.r_[columns, rows]
    csr = scipy.sparse.csr_array((np.ones(both[0].size, dtype=np.bool_), both), shape=(V, V))
    csr.sum_duplicates()
    if sizes is None:
        return Linked(space, csr)
    own = np.asarray(sizes, dtype=np.float64)
    if own.shape != (V,) or not (np.isfinite(own) & (own > 0)).all():
        raise DataError(f"sizes= are {V:,} positive numbers, one of the {space.unit} each")
    return Linked(space, csr, own)
