"""One voxel of a group fit handed to statsmodels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.mixedvoxel import components_of, refit_mixed
from voxlm.errors import DataError

if TYPE_CHECKING:
    from voxlm.analysis.groupfit import GroupFit

api = lazy_loader.load("statsmodels.api", suppress_warning=True)

Floats = NDArray[np.float64]


def refit_voxel(fit: GroupFit, voxel: int) -> Any:
    """Fit one voxel with statsmodels, by the model and options of ``fit``.

    Returns
    -------
    statsmodels results: MixedLM, OLS or WLS, RLM; WLS with known weights for ``meta``
        Of the maps less the formula's offset. MixedLM knows no weights: it is given rows that are
        multiplied by their roots, whose log likelihood lacks ``½ Σ log w``.
    """
    pattern, part, place = fit.pieces.parts_at(voxel)
    if part is None:
        raise DataError(f"voxel {voxel} has too few maps to be fitted")
    y = np.asarray(fit.response.values[pattern.rows, voxel], dtype=np.float64)
    X = pd.DataFrame(fit.design.matrix[pattern.rows], columns=list(fit.design.names))
    if fit.model == "lmer":
        return refit_mixed(fit, pattern.rows, y, X)
    if fit.model == "robust":
        norms = {"huber": api.robust.norms.HuberT(), "bisquare": api.robust.norms.TukeyBiweight()}
        return api.RLM(y, X, M=norms[fit.options["robust"]]).fit(maxiter=200, conv="weights")
    if fit.model == "meta":
        known = fit.maps.variances
        assert known is not None
        total = known[pattern.rows, voxel] + part.between(place)
        scale = None if fit.options["knapp_hartung"] else 1.0
        kind = "nonrobust" if scale is None else "fixed scale"
        return api.WLS(y, X, weights=1.0 / total).fit(cov_type=kind)
    return _refit_linear(fit, part, pattern.rows, y, X)


def _refit_linear(
    fit: GroupFit, part: Any, rows: NDArray[np.bool_], y: Floats, X: pd.DataFrame
) -> Any:
    kind = fit.options["cov_type"]
    if kind == "variance_groups":
        raise DataError("statsmodels has no counterpart of variance_groups=")
    weights = fit.options["weights"]
    model = api.OLS(y, X) if weights is None else api.WLS(y, X, weights=weights[rows])
    extra = {"groups": part.groups} if kind == "cluster" else None
    return model.fit(cov_type=kind, cov_kwds=extra, use_t=True)


def compare_group(fit: GroupFit, n: int, seed: int) -> pd.DataFrame:
    """Refit random voxels with statsmodels and tabulate the largest differences.

    Returns
    -------
    DataFrame
        One row a quantity: ``largest_relative`` (over the largest magnitude at the voxel),
        ``largest_absolute``, ``voxel``. For ``lmer``, ``deviance_excess`` is by how much ours is
        above statsmodels': a fit of its own that did not reach the optimum shows as negative.
        Singular voxels, where statsmodels often stops early, are left out.
    """
    good = np.isfinite(fit.params).all(axis=0)
    if fit.model == "lmer":
        good &= ~fit.singular & fit.converged
    voxels = np.flatnonzero(good)
    if voxels.size == 0:
        raise DataError("no voxel could be fitted, so there is nothing to compare")
    chosen = np.random.default_rng(seed).choice(voxels, min(n, voxels.size), replace=False)
    rows = []
    for voxel in np.sort(chosen):
        theirs = refit_voxel(fit, int(voxel))
        for name, ours, other in _pairs(fit, theirs, int(voxel)):
            gap = np.max(np.abs(ours - other))
            if name == "deviance_excess":
                gap = float(np.max(ours - other))
            size = max(float(np.max(np.abs(other))), np.finfo(float).tiny)
            rows.append((name, gap / size, gap, voxel))
    columns = ["quantity", "largest_relative", "largest_absolute", "voxel"]
    table = pd.DataFrame(rows, columns=columns)
    worst = table.groupby("quantity", sort=False)["largest_relative"].idxmax()
    return table.loc[worst].set_index("quantity")


def _pairs(fit: GroupFit, theirs: Any, voxel: int) -> list[tuple[str, Any, Any]]:
    pairs = [("params", fit.params[:, voxel], np.asarray(theirs.params)[: len(fit.params)])]
    if fit.model == "lmer":
        theirs_all = components_of(fit, theirs)
        return [
            ("params", fit.params[:, voxel], np.asarray(theirs.fe_params)),
            ("scale", fit.scale[voxel], theirs.scale),
            ("components", fit.components[:, voxel], theirs_all),
            ("deviance_excess", fit.deviance[voxel], -2.0 * theirs.llf - _log_weights(fit, voxel)),
        ]
    return [*pairs, ("bse", fit.bse[:, voxel], np.asarray(theirs.bse))]


def _log_weights(fit: GroupFit, voxel: int) -> float:
    pattern, _, _ = fit.pieces.parts_at(voxel)
    return 0.0 if fit.root is None else float(2.0 * np.log(fit.root[pattern.rows]).sum())
