"""One run of a first-level model: its options, its data, its fit.

Axes: T scans, n retained scans, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError, VoxlmError
from voxlm.glm.first_level.scaling import ScaledScans, mean_scaling
from voxlm.glm.masking import Masker
from voxlm.glm.regression import RegressionResults, SimpleRegressionResults, grouped
from voxlm.images.scans import Scans, array_scans
from voxlm.models.estimate import Estimate
from voxlm.models.onepass import fit_one_pass
from voxlm.models.reduce import Scaling

Floats = NDArray[np.float64]
Grouped = tuple[NDArray[Any], dict[Any, RegressionResults | SimpleRegressionResults]]
STANDARDS = (None, False, True, "zscore_sample", "zscore", "psc")


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is fitted.

    Parameters
    ----------
    order : int
        Of the AR noise model; 0 for ordinary least squares.
    bins : int
        AR(1) coefficients are cut off to multiples of ``1 / bins``.
    scaling : False, 0, 1 or (0, 1)
        The model's ``signal_scaling``.
    standardize : str or None
        Where there is no scaling: ``"zscore_sample"``, ``"zscore"`` or ``"psc"``.
    keep_data : bool
        Whether residuals will be wanted.
    cache : str or None
        Folder or ``joblib.Memory`` that fits are kept in.
    """

    order: int
    bins: int
    scaling: Any
    standardize: str | None
    keep_data: bool
    cache: Any


@dataclass(frozen=True, slots=True, eq=False)
class FittedRun:
    """A fitted run: the numbers, and the data where they are kept."""

    estimate: Estimate
    data: Floats | None

    def groups(self) -> Grouped:
        """Return nilearn's labels and results."""
        labels, results = grouped(self.estimate, self.data)
        if self.data is not None:
            return labels, dict(results)
        return labels, {key: SimpleRegressionResults(fit) for key, fit in results.items()}


def check_scaling(scaling: Any) -> None:
    """Require a known ``signal_scaling``."""
    if not (scaling is False or scaling in (0, 1, (0, 1))):
        raise VoxlmError(
            f"'signal_scaling' must be one of [False, 0, 1, (0, 1)].\n'{scaling}' was provided."
        )


def standard_of(standardize: Any, scaling: Any) -> str | None:
    """Return how series are standardised: not at all where they are scaled."""
    if standardize not in STANDARDS:
        raise VoxlmError(f"'standardize' must be one of {list(STANDARDS)}, got {standardize!r}")
    if scaling is not False or not standardize:
        return None
    return "zscore_sample" if standardize is True else str(standardize)


def check_sample_mask(mask: ArrayLike, n_scans: int) -> NDArray[np.int64]:
    """Return the retained scans of a run as increasing numbers.

    Raises
    ------
    DataError
        For scans that do not exist, come twice, or are not in order.
    """
    given = np.ravel(np.asarray(mask))
    if given.dtype == np.bool_:
        if given.size != n_scans:
            raise DataError(f"sample_mask has {given.size} entries for {n_scans} scans")
        return np.flatnonzero(given)
    if given.dtype.kind not in "iu":
        raise DataError(f"sample_mask holds scan numbers, got {given.dtype}")
    if given.size and (given.min() < 0 or given.max() >= n_scans):
        raise DataError(
            f"sample_mask names scan {given.max() if given.max() >= n_scans else given.min()}; "
            f"scans go from 0 to {n_scans - 1}"
        )
    if np.any(np.diff(given) <= 0):
        raise DataError("sample_mask names scans in increasing order, each once")
    return given.astype(np.int64)


def fit_run(
    image: Any,
    masker: Masker,
    design: pd.DataFrame,
    sample_mask: NDArray[np.int64] | None,
    options: Options,
) -> FittedRun:
    """Fit one run.

    Parameters
    ----------
    image : image
        The run, T scans.
    masker : VolumeMasker or SurfaceMasker
        Its voxels.
    design : DataFrame, shape (n, P)
        The design at the retained scans.
    sample_mask : ndarray of int, shape (n,), optional
        The retained scans.
    options : Options
        How.
    """
    source = masker.scans(image)
    kept = None
    if sample_mask is not None:
        kept = np.zeros(source.n_scans, dtype=np.bool_)
        kept[sample_mask] = True
    n = source.n_scans if kept is None else int(kept.sum())
    if n != len(design):
        raise DataError(
            f"the design matrix has {len(design)} rows, and the run {n} scans "
            f"{'that are retained' if kept is not None else ''}"
        )
    X = design.to_numpy(dtype=np.float64)
    if options.keep_data or options.cache is not None or options.standardize:
        data = scaled(read_rows(source, kept), options)
        found = fit_kept(data, X, options.order, options.bins, options.cache)
        return FittedRun(found, data if options.keep_data else None)
    if options.scaling == 1 and options.scaling is not False:
        source = ScaledScans(source)
    full = X
    if kept is not None:
        full = np.zeros((source.n_scans, X.shape[1]))
        full[kept] = X
    found = fit_one_pass(
        source,
        full,
        order=options.order,
        bins=options.bins,
        kept=kept,
        scaling=_scaling(options.scaling),
    )
    return FittedRun(found, None)


def _scaling(scaling: Any) -> Scaling:
    if scaling is False or scaling == 1:
        return None
    return "percent_floored" if scaling == 0 else "grand_mean_floored"


def read_rows(source: Scans, kept: NDArray[np.bool_] | None) -> Floats:
    """Return the retained scans of a run, shape ``(n, V)``."""
    rows = np.vstack([rows.astype(np.float64) for _, rows in source.blocks()])
    return rows if kept is None else rows[kept]


def scaled(data: Floats, options: Options) -> Floats:
    """Scale or standardise data as a model asks."""
    if options.scaling is not False:
        return mean_scaling(data, options.scaling)[0]
    if options.standardize is None:
        return data
    mean = data.mean(axis=0)
    if options.standardize == "psc":
        return 100.0 * (data / np.where(mean != 0, mean, np.nan) - 1.0)
    sd = data.std(axis=0, ddof=1 if options.standardize == "zscore_sample" else 0)
    return (data - mean) / np.where(sd > 0, sd, np.inf)


def fit_kept(data: Floats, X: Floats, order: int, bins: int, cache: Any) -> Estimate:
    """Fit an array in memory, or take the fit from a folder that fits are kept in."""
    if cache is None:
        return fit_array(data, X, order, bins)
    keeps = hasattr(cache, "cache")
    memory = cache if keeps else import_module("joblib").Memory(cache, verbose=0)
    found: Estimate = memory.cache(fit_array)(data, X, order, bins)
    return found


def fit_array(data: Floats, X: Floats, order: int, bins: int) -> Estimate:
    """Fit an array in memory, shape ``(n, V)``."""
    return fit_one_pass(array_scans(data), X, order=order, bins=bins)
