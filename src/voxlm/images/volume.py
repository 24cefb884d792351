"""A grid of voxels and a mask on it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.intent import intent_of
from voxlm.images.nifti import SAME_MM, container, storable, write_image
from voxlm.kernels.graph import volume_graph

if TYPE_CHECKING:
    from scipy import sparse

CONNECTIVITIES = (6, 18, 26)


@dataclass(frozen=True, eq=False)
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

    extension: ClassVar[str] = ".nii.gz"
    unit: ClassVar[str] = "voxels"
    counted: ClassVar[str] = "voxels"
    sizes: ClassVar[None] = None  # all voxels are of one size
    linked: ClassVar[bool] = True

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

    @cached_property
    def n_voxels(self) -> int:
        """Number of voxels in the mask, V."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def voxels(self) -> NDArray[np.int64]:
        """Grid indices of the columns, shape ``(V, 3)``."""
        found = np.argwhere(self.mask)
        found.flags.writeable = False  # one array for all who ask
        return found

    @property
    def voxel_sizes(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel in millimetres, whatever its obliquity."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(x), float(y), float(z)

    @property
    def grid(self) -> Volume:
        """Itself: every column is a voxel of one grid."""
        return self

    @property
    def places(self) -> NDArray[np.float64]:
        """Centres of the voxels in millimetres, shape ``(V, 3)``."""
        return self.mm(self.voxels)

    def graph(self, connectivity: int = 6) -> sparse.csr_array:
        """Return who is next to whom, shape ``(V, V)``.

        Parameters
        ----------
        connectivity : {6, 18, 26}
            Neighbours share a face; a face or an edge; a face, an edge or a corner.

        Raises
        ------
        DataError
            Another connectivity.
        """
        return volume_graph(self.shape, np.flatnonzero(self.mask), check_connectivity(connectivity))

    def where(self, columns: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return what a table says of places: ``x``, ``y``, ``z`` in millimetres."""
        flat = np.flatnonzero(self.mask)[np.asarray(columns, dtype=np.int64)]
        x, y, z = self.mm(np.stack(np.unravel_index(flat, self.shape), axis=-1)).T
        return {"x": x, "y": y, "z": z}

    def told(self, column: int) -> str:
        """Say where a column is."""
        x, y, z = (float(at[0]) for at in self.where([column]).values())
        i, j, k = self.voxel_at(x, y, z)
        return f"voxel ({i}, {j}, {k}) at ({x:.0f}, {y:.0f}, {z:.0f}) mm"

    def volume(self, values: ArrayLike) -> Any:
        """Return a map as an image of voxels, NaN as 0: for pictures."""
        return self.image(np.nan_to_num(values))

    def sheets(self, values: ArrayLike) -> dict[str, Any]:
        """Return nothing: voxels lie on no surface."""
        del values
        return {}

    def extents(
        self, columns: ArrayLike, counts: ArrayLike, sizes: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Return what a table says of clusters of so many voxels: ``voxels`` and ``mm3``."""
        del columns, sizes
        found = np.asarray(counts)
        return {"voxels": found, "mm3": found * float(np.prod(self.voxel_sizes))}

    def differs(self, other: object) -> str:
        """Say how another space differs from this one; empty if it has the same voxels."""
        if not isinstance(other, Volume):
            array = getattr(other, "unit", "") == "columns"
            if array:
                return "one is an image and one an array"
            return f"one is a volume, the other {other!r}"
        if self.shape != other.shape or not np.allclose(self.affine, other.affine, atol=SAME_MM):
            return (
                f"they lie on different grids, {other.shape} and {self.shape}, with affines\n"
                f"{other.affine}\n{self.affine}\nresample one to the other first"
            )
        if not np.array_equal(self.mask, other.mask):
            return f"they have different masks, of {other.n_voxels:,} and {self.n_voxels:,} voxels"
        return ""

    def index(self, i: int | str, j: int | None = None, k: int | None = None) -> int:
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
        if j is None or k is None or isinstance(i, str):
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
    ) -> tuple[Path, ...]:
        """Write values as a ``.nii`` or ``.nii.gz`` file, whole or not at all.

        Parameters
        ----------
        path : path
            Where to; an existing file is replaced.
        values, intent, df
            As for :meth:`image`.

        Returns
        -------
        tuple of Path
            The file.

        Raises
        ------
        DataError
            If the name does not end in ``.nii`` or ``.nii.gz``.
        """
        return (write_image(path, self.image(values, intent, df)),)


def check_connectivity(connectivity: int) -> Literal[6, 18, 26]:
    """Return a number of neighbours of a voxel.

    Raises
    ------
    DataError
        If it is not 6, 18 or 26.
    """
    if connectivity not in CONNECTIVITIES:
        raise DataError(f"connectivity is 6, 18 or 26, got {connectivity!r}")
    return connectivity  # type: ignore[return-value]
