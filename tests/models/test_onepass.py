"""The one-pass recipe against brute force, a voxel at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz

from voxlm.images.scans import array_scans
from voxlm.models.onepass import fit_one_pass

# Lagged products against whitened rows: another order of a few hundred operations.
SAME = 1e-9
T, V = 60, 9


def brute(y, X, order, bins):
    """Fit one voxel by whitening it."""
    residual = y - X @ np.linalg.pinv(X) @ y
    residual = residual - residual.mean()
    auto = [residual[k:] @ residual[: T - k] / (T - k) for k in range(order + 1)]
    rho = solve_toeplitz(auto[:-1], auto[1:]) if order else np.empty(0)
    if bins and order == 1:
        rho = np.trunc(rho * bins) / bins

    def whiten(rows):
        out = rows.copy()
        for k, weight in enumerate(rho, start=1):
            out[k:] -= weight * rows[:-k]
        return out

    WX, wy = whiten(X), whiten(y)
    beta = np.linalg.pinv(WX) @ wy
    df = T - np.linalg.matrix_rank(X)
    return beta, rho, np.sum((wy - WX @ beta) ** 2) / df, np.linalg.pinv(WX.T @ WX)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(T, 3)).cumsum(axis=0), np.ones(T)]
    Y = rng.normal(size=(T, V)).cumsum(axis=0) * np.linspace(0, 0.5, V) + rng.normal(size=(T, V))
    return X, Y + 50.0


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("columns", [4, 3], ids=["constant", "no constant"])
@pytest.mark.parametrize("twice", [False, True], ids=["full rank", "deficient"])
@pytest.mark.parametrize("bins", [0, 100])
def test_equals_whitening_each_voxel(data, order, columns, twice, bins):
    X, Y = data[0][:, -columns:] if columns == 4 else data[0][:, :3], data[1]
    if twice:
        X = np.c_[X, X[:, 0] - 2 * X[:, 1]]
    found = fit_one_pass(array_scans(Y), X, order=order, bins=bins)
    cov = found.vcov(np.eye(X.shape[1]))
    for v in range(V):
        beta, rho, scale, unit = brute(Y[:, v], X, order, bins)
        np.testing.assert_allclose(found.params[:, v], beta, rtol=1e-7, atol=SAME)
        np.testing.assert_allclose(found.rho[:, v], rho, atol=SAME)
        np.testing.assert_allclose(found.scale[v], scale, rtol=1e-7)
        np.testing.assert_allclose(cov[:, :, v], unit * scale, rtol=1e-6, atol=SAME)
    assert found.df_resid == T - np.linalg.matrix_rank(X)


def test_retained_scans_count_as_consecutive(data):
    X, Y = data
    kept = np.ones(T, dtype=bool)
    kept[[0, 20, 21, 40]] = False
    some = fit_one_pass(array_scans(Y), X, order=1, kept=kept)
    alone = fit_one_pass(array_scans(Y[kept]), X[kept], order=1)
    np.testing.assert_array_equal(some.params, alone.params)
    np.testing.assert_array_equal(some.rho, alone.rho)


@pytest.mark.parametrize("scaling", ["percent_floored", "grand_mean_floored"])
@pytest.mark.parametrize("constant", [True, False])
def test_scaling_with_a_floor(data, scaling, constant):
    X, Y = data[0] if constant else data[0][:, :3], data[1].copy()
    Y[:, 2] -= Y[:, 2].mean()  # a mean below 1 counts as 1
    mean = np.maximum(Y.mean(axis=0) if scaling == "percent_floored" else Y.mean(), 1.0)
    found = fit_one_pass(array_scans(Y), X, order=1, scaling=scaling)
    expected = fit_one_pass(array_scans(100 * (Y / mean - 1)), X, order=1)
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-7)


def test_a_saturated_fit_has_no_scale(data):
    found = fit_one_pass(array_scans(data[1][:4]), data[0][:4])
    assert found.df_resid == 0
    assert np.isnan(found.scale).all()
