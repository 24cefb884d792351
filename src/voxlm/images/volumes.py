"""Single volumes into rows of voxels: read whole, moved to a grid, smoothed, with their holes.

A hole is a value that is not finite or, where that is said, exactly 0. It ends as NaN and pulls
nothing towards 0: before a spline it has the value of the nearest place that is no hole, and in
smoothing it has no weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lazy_loader
import numpy as np
from numpy.typing import NDArray

from voxlm import kernels
from voxlm.images.nifti import SAME_MM
from voxlm.images.opening import Opened
from voxlm.images.smoothing import sigma_of
from voxlm.images.space import Volume
from voxlm.images.stream import only_volume
from voxlm.kernels.gather import gather, places

# A tenth of a second to load, for maps on several grids only.
ndimage = lazy_loader.load("scipy.ndimage", suppress_warning=True)
resampling = lazy_loader.load("voxlm.images.resample", suppress_warning=True)

Fwhm = tuple[float, float, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """What is the same for every volume of a set.

    Parameters
    ----------
    space : Volume
        The grid and the mask of the rows.
    source : ndarray of int64, shape (V,)
        Where the mask's voxels lie in a volume with x running fastest.
    plan : Smoother or None
        Smoothing of the voxels wanted.
    zeros : bool
        Whether an exact 0 is a hole.
    order : int
        Of the spline that moves a volume from another grid.
    """

    space: Volume
    source: NDArray[np.int64]
    plan: kernels.smooth.Smoother | None
    zeros: bool
    order: int


def reader(space: Volume, fwhm: Fwhm = None, zeros: bool = False, order: int = 3) -> Reader:
    """Plan the reading of volumes within a mask.

    Parameters
    ----------
    space : Volume
        The grid and the mask wanted.
    fwhm : tuple of float, optional
        Smoothing along x, y, z in millimetres.
    zeros : bool
        Whether an exact 0 is a hole.
    order : int
        Of the spline that moves a volume from another grid: 3, or 1 for what must stay positive.

    Returns
    -------
    Reader
    """
    voxels = space.voxels
    plan = None
    if fwhm is not None:
        sigma = sigma_of(fwhm, space.voxel_sizes)
        plan = kernels.smooth.smoother(voxels, space.shape, sigma)
    return Reader(space, places(voxels, space.shape), plan, zeros, order)


def read_row(how: Reader, image: Opened, row: NDArray[np.floating]) -> None:
    """Write one volume's voxels, holes as NaN, into a row ``(V,)``.

    Raises
    ------
    DataError
        If the file ends early or is damaged.
    """
    volume, slope, inter = only_volume(image), image.slope, image.inter
    if not same_grid(image, how.space):
        volume, slope, inter = _moved(how, image, volume), 1.0, 0.0
    gather(volume, how.source, slope, inter, row)
    if how.zeros:
        row[row == 0] = np.nan
    if how.plan is not None:
        _smooth(how, how.plan, volume * slope + inter, row)


def same_grid(image: Opened, space: Volume) -> bool:
    """Tell whether an image lies on a grid."""
    near = np.allclose(image.affine, space.affine, rtol=0, atol=SAME_MM)
    return image.grid == space.shape and bool(near)


def _moved(how: Reader, image: Opened, volume: NDArray[Any]) -> NDArray[np.float64]:
    """Return a volume on the grid wanted, x fastest; NaN outside its own grid and at holes."""
    values = (volume * image.slope + image.inter).reshape(image.grid, order="F")
    whole = np.isfinite(values) & ~(how.zeros & (values == 0))
    source = resampling.Grid(image.grid, image.affine)
    target = resampling.Grid(how.space.shape, how.space.affine)
    filled = values if whole.all() else _filled(values, whole)
    found = resampling.resample(filled, source, target, how.order)
    there = resampling.resample(whole.astype(np.float64), source, target, 0)
    return np.asarray(np.where(there > 0, found, np.nan).ravel(order="F"))


def _filled(values: NDArray[np.floating], whole: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Give each hole the value of the nearest place that is none; zeros if all are holes."""
    if not whole.any():
        return np.zeros_like(values)
    nearest = ndimage.distance_transform_edt(~whole, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])


def _smooth(
    how: Reader,
    plan: kernels.smooth.Smoother,
    values: NDArray[np.floating],
    row: NDArray[np.floating],
) -> None:
    """Smooth a row's volume in place, over what is there: weights are rescaled beside holes."""
    hole = ~np.isfinite(values) | (how.zeros & (values == 0))
    gone = np.isnan(row)
    kernels.smooth.smooth(np.where(hole, 0.0, values), plan, 1.0, 0.0, row)
    if hole.any():
        weight = np.empty_like(row)
        kernels.smooth.smooth((~hole).astype(np.float32), plan, 1.0, 0.0, weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            row /= weight
        row[gone] = np.nan
