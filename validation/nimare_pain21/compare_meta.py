"""Twenty-one studies, by PyMARE and statsmodels: python -m validation.nimare_pain21.compare_meta.

The maps are in the units of their packages, so each study's effect is Hedges' g of its t.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from pymare.estimators import (
    DerSimonianLaird,
    VarianceBasedLikelihoodEstimator,
    WeightedLeastSquares,
)
from statsmodels.stats.meta_analysis import combine_effects

import voxlm as vx
from validation.compare import show
from validation.data import folder

DATA = folder("nimare_pain21")
FORMULA = "effect ~ center(n)"
PYMARE: dict[str, Any] = {
    "fe": WeightedLeastSquares,
    "dl": DerSimonianLaird,
    "ml": lambda: VarianceBasedLikelihoodEstimator(method="ML"),
    "reml": lambda: VarianceBasedLikelihoodEstimator(method="REML"),
}


def maps() -> vx.Maps:
    """Return g of every study with its variance; studies are holes where their t is 0."""
    about = json.loads((DATA / "test_pain_dataset.json").read_text())
    sizes = [study["contrasts"]["1"]["metadata"]["sample_sizes"][0] for study in about.values()]
    n = np.array(sizes, dtype=float)
    files = [DATA / f"pain_{k:02d}_t.nii.gz" for k in range(1, 22)]
    t = np.stack([nib.load(file).get_fdata().ravel() for file in files])
    t[t == 0] = np.nan
    shrink = 1 - 3 / (4 * (n - 1) - 1)
    g = (shrink / np.sqrt(n))[:, None] * t
    variance = shrink[:, None] ** 2 * (1 / n[:, None] + (t**2 / n[:, None]) / (2 * n[:, None]))
    return vx.Maps(pd.DataFrame({"n": n}), data=g, variance=variance)


def gap(ours: Any, theirs: Any) -> float:
    """Return the largest difference over the largest value."""
    return float(np.nanmax(np.abs(ours - theirs)) / np.nanmax(np.abs(theirs)))


def with_pymare(method: str) -> dict[str, float]:
    """Compare a regression on sample size at the voxels that all studies have."""
    data = maps()
    fit = vx.meta(FORMULA, data, method=method)  # type: ignore[arg-type]
    whole = fit.nobs == 21
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = PYMARE[method]()
        y, v = data.values[:, whole], data.variances[:, whole]
        estimator.fit(y=y, v=v, X=fit.design.matrix)
        stats = estimator.summary().get_fe_stats()
    row = {
        "voxels": int(whole.sum()),
        "estimate": gap(fit.params[:, whole], stats["est"]),
        "se": gap(fit.bse[:, whole], stats["se"]),
        "p": gap(fit.pvalues[:, whole], stats["p"]),
    }
    if method in ("ml", "reml"):
        tau2 = np.ravel(estimator.params_["tau2"])
        row |= {"tau²": gap(fit.tau2[whole], tau2), "deviance ≤ theirs": _lower(fit, whole, tau2)}
    return row


def _lower(fit: vx.GroupFit, whole: np.ndarray, tau2: np.ndarray) -> float:
    """Return the share of voxels whose deviance is not above that at PyMARE's τ²."""
    X, y, v = fit.design.matrix, fit.maps.values[:, whole], fit.maps.variances[:, whole]
    total = v + np.maximum(tau2, 0)
    reml = fit.options["method"] == "reml"
    other = np.empty(total.shape[1])
    for k in range(other.size):
        A = X.T @ (X / total[:, k, None])
        r = y[:, k] - X @ np.linalg.solve(A, X.T @ (y[:, k] / total[:, k]))
        other[k] = np.log(total[:, k]).sum() + r @ (r / total[:, k])
        other[k] += reml * np.linalg.slogdet(A)[1] + (21 - reml * X.shape[1]) * np.log(2 * np.pi)
    return float(np.mean(fit.deviance[whole] <= other + 1e-9))


def with_statsmodels() -> dict[str, dict[str, float]]:
    """Compare the mean effect with combine_effects, at every voxel on the studies it has."""
    data = maps()
    fits = {
        method: vx.meta("effect ~ 1", data, method=method)  # type: ignore[arg-type]
        for method in ("fe", "dl", "pm")
    }
    found: dict[str, list[tuple[float, float]]] = {}
    for voxel in range(data.space.n_voxels):
        here = np.isfinite(data.values[:, voxel])
        y, v = data.values[here, voxel], data.variances[here, voxel]
        dl = combine_effects(y, v, method_re="dl")
        pm = combine_effects(y, v, method_re="iterated", atol=1e-12)
        pairs = {
            "fe estimate": (fits["fe"].params[0, voxel], dl.mean_effect_fe),
            "fe se": (fits["fe"].bse[0, voxel], dl.sd_eff_w_fe),
        }
        if dl.tau2 > 0:  # statsmodels lets it be negative
            pairs |= {
                "dl estimate": (fits["dl"].params[0, voxel], dl.mean_effect_re),
                "dl se, Knapp and Hartung": (fits["dl"].bse[0, voxel], dl.sd_eff_w_re_hksj),
                "dl tau²": (fits["dl"].tau2[voxel], dl.tau2),
            }
        if pm.tau2 > 0:
            pairs["pm tau²"] = (fits["pm"].tau2[voxel], pm.tau2)
        for name, pair in pairs.items():
            found.setdefault(name, []).append(pair)
    return {
        name: {"voxels": len(pairs), "gap / max": gap(*np.array(pairs).T)}
        for name, pairs in found.items()
    }


def main() -> None:
    """Print both comparisons."""
    show("mean effect, statsmodels combine_effects", with_statsmodels())
    show("regression on sample size, PyMARE", {m: with_pymare(m) for m in PYMARE})


if __name__ == "__main__":
    main()
