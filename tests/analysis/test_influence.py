"""Leverage and Cook's distance equal statsmodels' and dense brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.analysis.influence import influence, marginal_covariance, voxel_effects

#: Small dense solves against others of the same size.
ROUNDING = 1e-8


def maps(n=14, per=1, seed=0, hole=False, **more):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"subject": [f"s{k}" for k in np.repeat(np.arange(n), per)]})
    table["time"] = np.tile(np.arange(per, dtype=float), n)
    table["age"] = np.repeat(rng.uniform(20, 60, n), per)
    table["group"] = np.repeat(list("ab") * (n // 2), per)
    data = rng.normal(size=(n * per, 4)) + np.repeat(rng.normal(size=(n, 4)), per, axis=0)
    if hole:
        data[2, 1] = np.nan
    made = {name: value(data.shape) for name, value in more.items()}
    return vx.Maps(table, data=data, **made)


@pytest.mark.parametrize("hole", [False, True], ids=["whole", "a map missing"])
def test_least_squares_equals_statsmodels(hole):
    fit = vx.lm("~ age + group", maps(hole=hole))
    for voxel in (0, 1):
        found = influence(fit, voxel)
        theirs = fit.voxel(voxel).get_influence()
        np.testing.assert_allclose(found.leverage, theirs.hat_matrix_diag, rtol=ROUNDING)
        np.testing.assert_allclose(found.cook, theirs.cooks_distance[0], rtol=ROUNDING)
    assert len(influence(fit, 1).rows) == 14 - hole


def test_weights_and_known_variances_count():
    weights = np.linspace(0.5, 2.0, 14)
    fit = vx.lm("~ age", maps(), weights=weights)
    X, y = fit.design.matrix, fit.maps.values[:, 0]
    _, V = marginal_covariance(fit, 0)
    np.testing.assert_allclose(np.diag(V), fit.scale[0] / weights)
    rng = np.random.default_rng(3)
    known = maps(variance=lambda shape: rng.uniform(0.5, 2.0, shape))
    fit = vx.meta("~ age", known)
    _, V = marginal_covariance(fit, 2)
    np.testing.assert_allclose(np.diag(V), known.variances[:, 2] + fit.tau2[2])
    X, y = fit.design.matrix, known.values[:, 2]
    W = np.linalg.inv(V)
    b = np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
    np.testing.assert_allclose(b, fit.params[:, 2], rtol=1e-6)


@pytest.mark.parametrize(
    "formula",
    [
        "~ time + group + (1 | subject)",
        "~ time + (1 + time | subject)",
        "~ time + (time || subject)",
    ],
    ids=["intercept", "slopes", "uncorrelated"],
)
def test_mixed_models_leave_out_groups_at_fixed_variances(formula):
    fit = vx.lmer(formula, maps(n=14, per=4))
    for voxel in range(4):
        rows, V = marginal_covariance(fit, voxel)
        X, y = fit.design.matrix, fit.maps.values[:, voxel]
        W = np.linalg.inv(V)
        b = np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
        # Only the right covariance gives the fit's own coefficients and their variances.
        np.testing.assert_allclose(b, fit.params[:, voxel], rtol=1e-5, atol=1e-8)
        se = np.sqrt(np.diag(np.linalg.inv(X.T @ W @ X)))
        np.testing.assert_allclose(se, fit.bse[:, voxel], rtol=1e-5)
        found = influence(fit, voxel)
        assert found.units == fit.levels("subject")
        codes = fit.design.random[0].codes
        for unit in (0, 5):
            keep = codes != unit
            Wk = np.linalg.inv(V[np.ix_(keep, keep)])
            without = np.linalg.solve(X[keep].T @ Wk @ X[keep], X[keep].T @ Wk @ y[keep])
            moved = b - without
            cook = moved @ (X.T @ W @ X) @ moved / X.shape[1]
            assert found.cook[unit] == pytest.approx(cook, rel=1e-6)
        assert rows.all()
        assert found.leverage.sum() == pytest.approx(X.shape[1])


def test_a_map_without_which_a_column_is_gone_has_no_bound():
    table = pd.DataFrame({"group": ["a"] * 6 + ["b"]})
    fit = vx.lm("~ group", vx.Maps(table, data=np.random.default_rng(0).normal(size=(7, 2))))
    assert np.isinf(influence(fit, 0).cook[-1])


def test_robust_fits_and_missing_voxels_are_refused():
    fit = vx.lm("~ age", maps(), robust="huber")
    with pytest.raises(vx.DataError, match="weighs maps down"):
        influence(fit, 0)
    empty = maps()
    data = empty.data.copy()
    data[2:, 2] = np.nan
    fit = vx.lm("~ age", vx.Maps(empty.table, data=data))
    with pytest.raises(vx.DataError, match="not fitted"):
        influence(fit, 2)
    with pytest.raises(vx.DataError, match="not fitted"):
        voxel_effects(fit, 2)


def test_lines_are_marginal_means_with_their_bands():
    fit = vx.lm("~ age + group", maps())
    found = voxel_effects(fit, 0)
    assert [line.label for line in found.lines] == ["a", "b"]
    theirs = fit.voxel(0)
    line = found.lines[1]
    rows = np.column_stack([np.ones(len(line.x)), line.x, np.ones(len(line.x))])
    order = [fit.design.names.index(name) for name in ("Intercept", "age", "group[T.b]")]
    C = np.zeros((len(line.x), 3))
    C[:, order] = rows
    said = theirs.get_prediction(C)
    np.testing.assert_allclose(line.fitted, said.predicted_mean, rtol=ROUNDING)
    np.testing.assert_allclose(np.c_[line.low, line.high], said.conf_int(), rtol=1e-6)
    factors = voxel_effects(vx.lm("~ group", maps()), 0)
    assert factors.levels == ("a", "b")
    alone = voxel_effects(vx.lm("~ 1", maps()), 0)
    assert alone.lines[0].fitted == pytest.approx(maps().values[:, 0].mean())


def test_maps_of_groups_with_variances_of_their_own():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"group": ["a"] * 5 + ["b"] * 7})
    maps = vx.Maps(table, data=rng.normal(size=(12, 3)), variance=np.ones((12, 3)))
    fit = vx.meta("~ 0 + group", maps, variance_groups="group")
    _, covariance = marginal_covariance(fit, 1)
    expected = 1.0 + np.repeat(fit.tau2[:, 1], [5, 7])
    np.testing.assert_array_equal(np.diag(covariance), expected)
    assert influence(fit, 1).cook.shape == (12,)
