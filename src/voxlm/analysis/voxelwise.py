"""One voxel handed to statsmodels: the same data, the same design, its own results object."""

from __future__ import annotations

from typing import Any

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.fitted import Fitted
from voxlm.analysis.varying import own_series
from voxlm.errors import DataError
from voxlm.models.reduce import FITTED

# Not statsmodels.regression…: of a subpackage, all parents are loaded at once.
sm = lazy_loader.load("statsmodels.api", suppress_warning=True)

Floats = NDArray[np.float64]


def series(fit: Fitted, voxels: NDArray[np.intp]) -> Floats:
    """Return the data that were fitted at some voxels: retained scans, in the units of the fit.

    Parameters
    ----------
    fit : Fitted
        A fitted run.
    voxels : ndarray of int, shape (k,)
        Positions on the voxel axis.

    Returns
    -------
    ndarray, shape (n, k)
    """
    data = fit.run.scans.read(voxels)
    if fit.plan.kept is not None:
        data = data[fit.plan.kept]
    scaled: Floats = fit.estimate.factor[voxels] * data + fit.estimate.level
    return scaled


def columns_at(fit: Fitted, voxels: NDArray[np.intp]) -> list[pd.DataFrame]:
    """Return the columns at some voxels, a row a retained scan: one table a voxel."""
    shared = pd.DataFrame(fit.estimate.X, columns=list(fit.design.names))
    if not fit.design.varying:
        return [shared] * voxels.size
    own = own_series(fit.plan, voxels)
    names = [column.name for column in fit.design.varying]
    return [
        shared.assign(**dict(zip(names, own[:, :, k], strict=True))) for k in range(voxels.size)
    ]


def refit(fit: Fitted, at: int) -> Any:
    """Fit one voxel with statsmodels, by the model and options of ``fit``.

    Returns
    -------
    statsmodels.regression.linear_model.RegressionResults
    """
    voxel = np.array([at])
    return _fit_series(fit, series(fit, voxel)[:, 0], columns_at(fit, voxel)[0])


def _fit_series(fit: Fitted, y: Floats, X: pd.DataFrame) -> Any:
    if fit.order == 0:
        return sm.OLS(y, X).fit()
    if len(fit.estimate.basis.segments) > 1:
        raise DataError(
            "statsmodels' GLSAR has no notion of removed scans: its lags would run across the "
            "gaps of sample_mask; fit with model lm, or without sample_mask, to compare"
        )
    model = sm.GLSAR(y, X, rho=fit.order)
    return model.iterative_fit(maxiter=fit.maxiter, rtol=fit.rtol)


def compare(fit: Fitted, n: int, seed: int) -> pd.DataFrame:
    """Refit random voxels with statsmodels and tabulate the largest differences.

    Parameters
    ----------
    fit : Fitted
        A fitted run.
    n : int
        Number of voxels; all that were fitted if there are fewer.
    seed : int
        Chooses the voxels.

    Returns
    -------
    DataFrame
        One row a quantity: ``largest_relative`` (the difference over the largest magnitude of
        that quantity at the voxel), ``largest_absolute``, and the ``voxel`` where it is.
    """
    fitted = np.flatnonzero(fit.estimate.status == FITTED)
    if fitted.size == 0:
        raise DataError("no voxel could be fitted, so there is nothing to compare")
    rng = np.random.default_rng(seed)
    voxels = np.sort(rng.choice(fitted, size=min(n, fitted.size), replace=False))
    data, columns = series(fit, voxels), columns_at(fit, voxels)
    ours = _ours(fit, voxels)
    rows = []
    for k, voxel in enumerate(voxels):
        theirs = _theirs(fit, _fit_series(fit, data[:, k], columns[k]))
        for name, values in ours.items():
            gap = np.abs(values[..., k] - theirs[name])
            size = np.max(np.abs(theirs[name]), initial=0.0)
            rows.append((name, _ratio(gap.max(initial=0.0), size), gap.max(initial=0.0), voxel))
    table = pd.DataFrame(
        rows, columns=["quantity", "largest_relative", "largest_absolute", "voxel"]
    )
    worst = table.groupby("quantity", sort=False)["largest_relative"].idxmax()
    return table.loc[worst].set_index("quantity")


def _ratio(gap: float, size: float) -> float:
    return float(gap / size) if size > 0 else float(gap)


def _ours(fit: Fitted, voxels: NDArray[np.intp]) -> dict[str, Floats]:
    values = {
        "params": fit.params,
        "bse": fit.bse,
        "tvalues": fit.tvalues,
        "pvalues": fit.pvalues,
        "scale": fit.scale,
        "rsquared": fit.rsquared,
        "iterations": fit.estimate.iterations,
    }
    if fit.order:
        values["rho"] = fit.rho
    chosen = {name: np.asarray(array)[..., voxels] for name, array in values.items()}
    chosen["df_resid"] = np.full(voxels.size, fit.df_resid)
    return chosen


def _theirs(fit: Fitted, results: Any) -> dict[str, Floats]:
    names = ("params", "bse", "tvalues", "pvalues", "scale", "rsquared", "df_resid")
    values = {name: np.asarray(getattr(results, name), dtype=np.float64) for name in names}
    values["iterations"] = np.asarray(getattr(results, "iter", 1), dtype=np.float64)
    if fit.order:
        values["rho"] = np.asarray(results.model.rho, dtype=np.float64)
    return values
