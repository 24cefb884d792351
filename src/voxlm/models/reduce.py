"""From scans to sums: one pass, with scaling and the voxels that have to be left out.

Scaling is affine in each voxel, so it is never applied to the data: the sums are of the data less a
shift, and the fit is told the factor and the constant that are still missing. Only a design that
does not span the constant needs the mean before the pass, and so a second one.

Axes: T scans, n retained scans, V voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.sums import Accumulator, Sums, sums_of_array
from voxlm.models.source import Scans

Floats = NDArray[np.float64]
Scaling = Literal["percent", "grand_mean", "percent_floored", "grand_mean_floored"] | None

FITTED, ZERO, CONSTANT, NOT_FINITE, MEAN_NOT_POSITIVE, COLUMN_REPEATS, COLUMN_NOT_FINITE = range(7)
REASONS = {
    ZERO: "zero in every scan",
    CONSTANT: "constant over scans",
    NOT_FINITE: "not finite in some scan",
    MEAN_NOT_POSITIVE: "mean not positive, so percent change is undefined",
    COLUMN_REPEATS: "voxel regressor constant, or a sum of other columns",
    COLUMN_NOT_FINITE: "voxel regressor not finite in some scan",
}
# A spread below a few units in the last place of the mean is rounding, not signal.
ROUNDING = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """A run, reduced.

    Parameters
    ----------
    sums : Sums
        Statistics of the data less a shift.
    offset : ndarray, shape (V,)
        What to add to the shifted data before the fit, in units of the data.
    factor : ndarray, shape (V,)
        What to multiply the fit by; NaN for voxels left out.
    level : float
        The fitted data are ``factor · data + level``.
    status : ndarray of int8, shape (V,)
        ``FITTED``, or why a voxel is left out (a key of ``REASONS``).
    """

    sums: Sums
    offset: Floats
    factor: Floats
    level: float
    status: NDArray[np.int8]


def reduce_scans(
    scans: Scans, basis: LaggedBasis, kept: NDArray[np.bool_] | None, scaling: Scaling
) -> Reduced:
    """Reduce a run to the statistics that any AR(p) fit needs.

    Parameters
    ----------
    scans : Scans
        The run.
    basis : LaggedBasis
        Design-only products, over the retained scans.
    kept : ndarray of bool, shape (T,), or None
        The retained scans; all when None.
    scaling : {"percent", "grand_mean", "percent_floored", "grand_mean_floored"} or None
        ``percent``: 100·(y / mean - 1) with each voxel's mean over the retained scans;
        ``grand_mean``: the same with the mean over all voxels that vary. With ``_floored`` a mean
        below 1 counts as 1, and the grand mean is over all finite voxels, which is how nilearn
        scales: centred data are then multiplied by 100 instead of being refused.

    Returns
    -------
    Reduced

    Raises
    ------
    DataError
        Where percent scaling meets data whose means are mostly not positive.
    """
    sums = collect(scans, basis, kept, None)
    status = _status(sums, basis, scans.dtype, scaling)
    mean = sums.shift + sums.mean
    center, factor, level = _scaling(mean, status, scaling)
    if not basis.constant and not np.array_equal(sums.shift, center):
        sums = collect(scans, basis, kept, np.where(status == FITTED, center, 0.0))
    offset = sums.shift - center if basis.constant else np.zeros_like(center)
    return Reduced(sums, offset, factor, level, status)


def _scaling(
    mean: Floats, status: NDArray[np.int8], scaling: Scaling
) -> tuple[Floats, Floats, float]:
    """Return center, factor and level: the data fitted are ``factor · (data - center)``."""
    fitted = status == FITTED
    if scaling is None:
        return np.zeros_like(mean), np.where(fitted, 1.0, np.nan), 0.0
    if scaling == "percent":
        check_percent(status == MEAN_NOT_POSITIVE, fitted)
    base = np.where(fitted, base_of(mean, status, scaling), np.nan)
    return np.where(fitted, base, 0.0), 100.0 / base, -100.0


def base_of(mean: Floats, status: NDArray[np.int8], scaling: Scaling) -> Floats:
    """Return what the data of each voxel are in percent of.

    Parameters
    ----------
    mean : ndarray, shape (V,)
        Of the data.
    status : ndarray of int8, shape (V,)
        As in :class:`Reduced`.
    scaling : str
        As :func:`reduce_scans` takes it.
    """
    if scaling == "percent":
        return mean
    if scaling == "grand_mean":
        return np.full_like(mean, grand_mean(mean[status == FITTED]))
    usable = mean[status != NOT_FINITE]
    grand = np.full_like(mean, usable.mean() if usable.size else np.nan)
    return np.maximum(grand if scaling == "grand_mean_floored" else mean, 1.0)


def grand_mean(means: Floats) -> float:
    """Return the mean over the voxels that vary; NaN without any."""
    found = float(means.mean()) if means.size else np.nan
    if found <= 0:
        raise DataError(
            f"scaling='grand_mean' needs a positive mean, but the mean over all voxels is "
            f"{found:.4g}; these data look centred already: pass scaling=None"
        )
    return found


def check_percent(bad: NDArray[np.bool_], good: NDArray[np.bool_]) -> None:
    """Require that among the voxels that vary few have a mean that is not positive."""
    count = int(bad.sum())
    if count > 0.1 * max(1, count + int(good.sum())):
        raise DataError(
            f"scaling='percent' divides by each voxel's mean, but {count:,} of {bad.size:,} "
            f"voxels have a mean that is not positive; these data look centred already: "
            f"pass scaling=None"
        )


def _status(
    sums: Sums, basis: LaggedBasis, dtype: np.dtype[Any], scaling: Scaling
) -> NDArray[np.int8]:
    """Tell which voxels can be fitted, and why the others cannot."""
    mean, n = sums.shift + sums.mean, basis.Q.shape[0]
    precision = np.finfo(dtype if dtype.kind == "f" else np.float64).eps
    with np.errstate(invalid="ignore", over="ignore"):
        flat = sums.spread <= n * (ROUNDING * precision * mean) ** 2
        status = np.full(mean.size, FITTED, dtype=np.int8)
        if scaling == "percent":
            status[mean <= 0] = MEAN_NOT_POSITIVE
        status[flat | ~sums.varies] = CONSTANT
        status[(status == CONSTANT) & (mean == 0)] = ZERO
        status[~(np.isfinite(sums.spread) & np.isfinite(mean))] = NOT_FINITE
    return status


def collect(
    scans: Scans, basis: LaggedBasis, kept: NDArray[np.bool_] | None, shift: Floats | None
) -> Sums:
    """Reduce scans, less a shift, by whichever way suits where they are.

    Parameters
    ----------
    scans : Scans
        A run, or anything that has a value a scan and voxel.
    basis : LaggedBasis
        Design-only products, over the retained scans.
    kept : ndarray of bool, shape (T,), or None
        The retained scans; all when None.
    shift : ndarray, shape (V,), or None
        What to subtract; each voxel's first scan when None.
    """
    array = scans.array
    if array is not None:
        return sums_of_array(basis, array if kept is None else array[kept], shift)
    pool = Accumulator(basis, scans.n_voxels, shift)
    for block in retained(scans, kept):
        pool.add(block)
    return pool.sums()


def retained(
    scans: Scans, kept: NDArray[np.bool_] | None, size: int = 16
) -> Iterator[NDArray[Any]]:
    """Yield the retained scans of a run, a few at a time."""
    for start, block in scans.blocks(size):
        yield block if kept is None else block[kept[start : start + block.shape[0]]]
