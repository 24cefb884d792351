"""Where columns of data lie: a grid with a mask, or a plain table."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.atomic import write_bytes
from voxlm.images.intent import intent_of
from voxlm.images.nifti import container, storable, write_image


@runtime_checkable
class Space(Protocol):
    """What every space can do; V is the number of its voxels."""

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        ...

    def image(self, values: ArrayLike, intent: str | None = None, df: Any = None) -> Any:
        """Turn values, shape ``(V,)`` or ``(K, V)``, into an image."""
        ...

    def index(self, i: int, j: int | None = None, k: int | None = None) -> int:
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
    ) -> Path:
        """Write values as an image file, whole or not at all."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A grid of voxels in the world and a mask on it.

    Columns follow the mask in C order, the order of ``numpy.nonzero(mask)``.

    Parameters
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
        Which voxels are in.
    affine : ndarray, shape (4, 4)
        Voxel indices to millimetres.
    header : nibabel header, optional
        Template for images: units, sform and qform codes are taken from it.

    Examples
    --------
    >>> space = Volume(np.array([[[True, False], [True, True]]]), np.diag([2.0, 2, 2, 1]))
    >>> space.n_voxels
    3
    >>> space.index(0, 1, 1)
    2
    >>> space.index_mm(0, 2, 2.4)
    2
    >>> space.image([1.0, 2.0, 3.0]).get_fdata()[0]
    array([[1., 0.],
           [2., 3.]])
    """

    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    header: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        mask = np.array(self.mask, dtype=np.bool_)
        affine = np.array(self.affine, dtype=np.float64)
        if mask.ndim != 3 or affine.shape != (4, 4):
            raise DataError(
                f"a volume needs a mask of three axes and an affine of shape (4, 4), "
                f"got {mask.shape} and {affine.shape}"
            )
        for array in (mask, affine):
            array.setflags(write=False)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "affine", affine)

    def __repr__(self) -> str:
        grid = "×".join(str(n) for n in self.shape)
        size = " × ".join(f"{size:.3g}" for size in self.voxel_sizes)
        return f"Volume({self.n_voxels:,} voxels of {grid}, {size} mm)"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Grid, ``(X, Y, Z)``."""
        x, y, z = self.mask.shape
        return x, y, z

    @property
    def n_voxels(self) -> int:
        """Number of voxels in the mask, V."""
        return int(np.count_nonzero(self.mask))

    @property
    def voxels(self) -> NDArray[np.int64]:
        """Grid indices of the columns, shape ``(V, 3)``."""
        return np.argwhere(self.mask)

    @property
    def voxel_sizes(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel in millimetres, whatever its obliquity."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(x), float(y), float(z)

    def index(self, i: int, j: int | None = None, k: int | None = None) -> int:
        """Return the column of voxel ``(i, j, k)``.

        Parameters
        ----------
        i, j, k : int
            Grid indices, from 0; negative ones are refused.

        Returns
        -------
        int

        Raises
        ------
        DataError
            If the voxel is outside the grid or outside the mask.
        """
        if j is None or k is None:
            raise DataError(f"a voxel of an image needs three indices i, j, k; got {i}")
        place = (int(i), int(j), int(k))
        if not all(0 <= at < n for at, n in zip(place, self.shape, strict=True)):
            last = ", ".join(str(n - 1) for n in self.shape)
            raise DataError(f"voxel {place} is outside the grid: indices go from 0 to ({last})")
        if not self.mask[place]:
            near = self._nearest(place)
            raise DataError(
                f"voxel {place} is outside the mask ({self.n_voxels:,} voxels); "
                f"the nearest voxel inside is {near}"
            )
        flat = np.ravel_multi_index(place, self.shape)
        return int(np.count_nonzero(self.mask.ravel()[:flat]))

    def index_mm(self, x: float, y: float, z: float) -> int:
        """Return the column of the voxel whose centre is nearest to a place in millimetres.

        Parameters
        ----------
        x, y, z : float
            World coordinates in millimetres.

        Returns
        -------
        int

        Raises
        ------
        DataError
            If that voxel is outside the grid or outside the mask.
        """
        i, j, k = self.voxel_at(x, y, z)
        try:
            return self.index(i, j, k)
        except DataError as error:
            raise DataError(f"at ({x:g}, {y:g}, {z:g}) mm: {error}") from error

    def voxel_at(self, x: float, y: float, z: float) -> tuple[int, int, int]:
        """Return the grid indices nearest to a place in millimetres, inside the grid or not."""
        place = np.linalg.solve(self.affine, np.array([x, y, z, 1.0]))[:3]
        i, j, k = (int(at) for at in np.rint(place))
        return i, j, k

    def mm(self, voxels: ArrayLike) -> NDArray[np.float64]:
        """Return the places in millimetres, shape ``(n, 3)``, of grid indices, shape ``(n, 3)``."""
        rows = np.asarray(voxels, dtype=np.float64).reshape(-1, 3)
        return np.asarray(rows @ self.affine[:3, :3].T + self.affine[:3, 3])

    def _nearest(self, place: tuple[int, int, int]) -> tuple[int, int, int]:
        inside = self.voxels
        distance = (((inside - np.array(place)) * np.array(self.voxel_sizes)) ** 2).sum(axis=1)
        i, j, k = (int(at) for at in inside[int(distance.argmin())])
        return i, j, k

    def image(self, values: ArrayLike, intent: str | None = None, df: Any = None) -> Any:
        """Turn values into a NIfTI image on the input's grid.

        Parameters
        ----------
        values : array_like, shape (V,) or (K, V)
            One map, or K of them along a fourth axis. Booleans and integers that fit are kept
            as they are (uint8, int32); all else becomes float32. NaN stays NaN.
        intent : str, optional
            What the values are: ``t F z p neglog10p estimate effect se variance label``.
        df : number, or two
            Degrees of freedom of ``t`` (one) and ``F`` (numerator, denominator).

        Returns
        -------
        nibabel.Nifti1Image
            0 outside the mask.

        Raises
        ------
        DataError
            If ``values`` has another number of voxels, or the intent is unknown.
        """
        data = storable(values)
        if data.ndim not in (1, 2) or data.shape[-1] != self.n_voxels:
            raise DataError(
                f"values of shape {data.shape} do not fit {self.n_voxels:,} voxels; "
                f"expected ({self.n_voxels},) or (K, {self.n_voxels})"
            )
        full = np.zeros(self.shape + data.shape[:-1], dtype=data.dtype, order="F")
        full[self.mask] = data.T
        code, parameters, name = intent_of(intent, df)
        image = container(full, self.affine, self.header)
        image.header.set_intent(code, parameters, name=name, allow_unknown=True)
        return image

    def mask_image(self) -> Any:
        """Return the mask as a NIfTI image of 0 and 1 (uint8)."""
        return self.image(np.ones(self.n_voxels, dtype=np.bool_))

    def write(
        self,
        path: str | os.PathLike[str],
        values: ArrayLike,
        intent: str | None = None,
        df: Any = None,
    ) -> Path:
        """Write values as a ``.nii`` or ``.nii.gz`` file, whole or not at all.

        Parameters
        ----------
        path : path
            Where to; an existing file is replaced.
        values, intent, df
            As for :meth:`image`.

        Returns
        -------
        Path
            ``path``.

        Raises
        ------
        DataError
            If the name does not end in ``.nii`` or ``.nii.gz``.
        """
        return write_image(path, self.image(values, intent, df))


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

    def image(self, values: ArrayLike, intent: str | None = None, df: Any = None) -> Any:
        """Return the values as an array of float64: there is no grid to put them on."""
        intent_of(intent, df)
        data = np.array(values, dtype=np.float64)
        if data.ndim == 0 or data.shape[-1] != self.n_voxels:
            raise DataError(f"values of shape {data.shape} do not fit {self.n_voxels:,} columns")
        return data

    def index(self, i: int, j: int | None = None, k: int | None = None) -> int:
        """Return column ``i``.

        Raises
        ------
        DataError
            If there is no such column, or three indices are given.
        """
        if j is not None or k is not None:
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
    ) -> Path:
        """Write values as a ``.npy`` file, whole or not at all."""
        target = Path(path)
        if target.suffix != ".npy":
            raise DataError(f"{path}: results from arrays are written as .npy; change the suffix")
        data = self.image(values, intent, df)
        buffer = BytesIO()
        np.save(buffer, data)
        return write_bytes(target, buffer.getvalue())
