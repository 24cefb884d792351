"""Columns of an array, which lie nowhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.atomic import write_bytes
from voxlm.images.intent import intent_of

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True, slots=True)
class Table:
    """The space of a plain array ``(T, V)``: columns without places.

    Parameters
    ----------
    n_voxels : int
        Number of columns, V.

    Examples
    --------
    >>> Table(3).image([1, 2, 3])
    array([1., 2., 3.])
    >>> Table(3).index(2)
    2
    """

    n_voxels: int

    extension: ClassVar[str] = ".npy"
    unit: ClassVar[str] = "columns"
    counted: ClassVar[str] = "voxels"  # which they stand for
    sizes: ClassVar[None] = None
    linked: ClassVar[bool] = False
    places: ClassVar[None] = None
    grid: ClassVar[None] = None

    def graph(self, connectivity: int = 6) -> sparse.csr_array:
        """Raise: columns of an array have no neighbours."""
        raise DataError(
            "clusters and TFCE need neighbours, which the columns of an array do not have: give "
            "the maps as images, or graph= a sparse matrix of who is next to whom, or use "
            f"method='maxt' (connectivity={connectivity} is of voxels)"
        )

    def where(self, columns: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return what a table says of places: the number of the ``column``."""
        return {"column": np.asarray(columns, dtype=np.int64)}

    def told(self, column: int) -> str:
        """Say where a column is."""
        return f"column {column}"

    def volume(self, values: ArrayLike) -> None:
        """Return None: there is no grid to draw on."""
        del values

    def sheets(self, values: ArrayLike) -> dict[str, Any]:
        """Return nothing: there is no surface to draw on."""
        del values
        return {}

    def extents(
        self, columns: ArrayLike, counts: ArrayLike, sizes: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Return what a table says of clusters of so many ``columns``."""
        del columns, sizes
        return {"columns": np.asarray(counts)}

    def differs(self, other: object) -> str:
        """Say how another space differs from this one; empty if it has as many columns."""
        if not isinstance(other, Table):
            return "one is an image and one an array"
        if self.n_voxels != other.n_voxels:
            return f"they have {other.n_voxels:,} and {self.n_voxels:,} columns"
        return ""

    def image(self, values: ArrayLike, intent: str | None = None, df: Any = None) -> Any:
        """Return the values as an array of float64: there is no grid to put them on."""
        intent_of(intent, df)
        data = np.array(values, dtype=np.float64)
        if data.ndim == 0 or data.shape[-1] != self.n_voxels:
            raise DataError(f"values of shape {data.shape} do not fit {self.n_voxels:,} columns")
        return data

    def index(self, i: int | str, j: int | None = None, k: int | None = None) -> int:
        """Return column ``i``.

        Raises
        ------
        DataError
            If there is no such column, or three indices are given.
        """
        if j is not None or k is not None or isinstance(i, str):
            raise DataError(
                "the data are an array of columns without places: give the number of one column"
            )
        if not 0 <= int(i) < self.n_voxels:
            raise DataError(f"column {i} does not exist: columns go from 0 to {self.n_voxels - 1}")
        return int(i)

    def index_mm(self, x: float, y: float, z: float) -> int:
        """Raise: columns of an array have no place in millimetres."""
        raise DataError(
            f"({x:g}, {y:g}, {z:g}) mm: the data are an array of columns without places; "
            "give the number of a column"
        )

    def write(
        self,
        path: str | os.PathLike[str],
        values: ArrayLike,
        intent: str | None = None,
        df: Any = None,
    ) -> tuple[Path, ...]:
        """Write values as a ``.npy`` file, whole or not at all."""
        target = Path(path)
        if target.suffix != ".npy":
            raise DataError(f"{path}: results from arrays are written as .npy; change the suffix")
        data = self.image(values, intent, df)
        buffer = BytesIO()
        np.save(buffer, data)
        return (write_bytes(target, buffer.getvalue()),)
