"""Lagged products: both ways in give the same sums, both ways of solving the same fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlm.kernels import lagged
from voxlm.kernels.arvariance import contrast_covariance, contrast_variance
from voxlm.kernels.autoregress import fit_autoregressive
from voxlm.kernels.lagged import cut_segments, lagged_basis
from voxlm.kernels.sums import Accumulator, sums_of_array
from voxlm.kernels.threads import over_blocks

# Sums of some hundred order-one products, taken in another order.
ROUNDING = 1e-10


def data(T=90, P=5, V=70, seed=0):
    rng = np.random.default_rng(seed)
    X = np.c_[rng.standard_normal((T, P - 1)), np.ones(T)]
    noise = rng.standard_normal((T, V))
    for t in range(1, T):
        noise[t] += 0.7 * noise[t - 1]
    return X, 3.0 + noise


@settings(max_examples=40, deadline=None)
@given(
    order=st.integers(0, 4),
    cut=st.integers(1, 88),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_scans_may_arrive_in_any_portions(order, cut, sizes):
    X, Y = data()
    basis = lagged_basis(X, order, np.array([[0, cut], [cut, 90]]))
    whole = sums_of_array(basis, Y)
    pool = Accumulator(basis, Y.shape[1])
    at = 0
    while at < 90:
        for size in sizes:
            pool.add(Y[at : at + size])
            at += size
    parts = pool.sums()
    names = ["projection", "auto", "mean", "spread"] + ["cross", "total", "near"] * (order > 0)
    for name in names:
        np.testing.assert_allclose(
            getattr(parts, name), getattr(whole, name), rtol=1e-9, atol=1e-9, err_msg=name
        )
    assert parts.varies.all()


@pytest.mark.parametrize("segments", [None, np.array([[0, 40], [40, 90]])])
def test_ar1_in_closed_form_is_the_general_fit(monkeypatch, segments):
    X, Y = data(V=130)
    C = np.random.default_rng(2).standard_normal((2, 5))
    fits = {}
    for limit in (0, 8):
        monkeypatch.setattr(lagged, "CLOSED_FORM", limit)
        basis = lagged_basis(X, 1, segments)
        assert bool(basis.eigen.size) == bool(limit)
        sums = sums_of_array(basis, Y)
        fit = fit_autoregressive(basis, sums, sums.shift, maxiter=6, rtol=1e-4)
        fits[limit] = (fit, contrast_covariance(basis, fit.rho, C))
    (general, cov), (closed, cov_closed) = fits[0], fits[8]
    for name in ("params", "rho", "ssr", "iterations", "converged"):
        np.testing.assert_allclose(getattr(closed, name), getattr(general, name), rtol=ROUNDING)
    np.testing.assert_allclose(cov_closed, cov, rtol=1e-9)


@pytest.mark.parametrize("order", [1, 3])
def test_variances_are_the_diagonal_of_the_covariance(order):
    X, Y = data(V=65)
    basis = lagged_basis(X, order)
    sums = sums_of_array(basis, Y)
    rho = fit_autoregressive(basis, sums, sums.shift, 3, 1e-4).rho
    C = np.eye(5)[:3]
    full = contrast_covariance(basis, rho, C)
    np.testing.assert_allclose(
        contrast_variance(basis, rho, C), np.einsum("qqv->qv", full), rtol=1e-12
    )


def test_closed_form_near_a_unit_root():
    """The two rank-one terms nearly cancel the diagonal there; digits must survive."""
    X, _ = data(T=300)
    basis = lagged_basis(X, 1)
    rho = np.array([[0.0, 0.5, 0.9, 0.99, 0.999, -0.9]])
    C = np.eye(5)
    ours = contrast_covariance(basis, rho, C)
    for v, r in enumerate(rho[0]):
        W = X[1:] - r * X[:-1]
        np.testing.assert_allclose(ours[:, :, v], np.linalg.inv(W.T @ W), rtol=1e-8, atol=1e-9)


def test_segments_are_cut_where_scans_were_removed():
    kept = np.array([False, True, True, False, True, True, True, False])
    assert cut_segments(kept).tolist() == [[0, 2], [2, 5]]


def test_the_constant_is_found_in_the_span():
    t = np.arange(20.0)
    assert lagged_basis(np.c_[t, 1 - t], 0).constant
    assert not lagged_basis(np.c_[t, t**2], 0).constant


def test_the_number_of_voxels_does_not_matter():
    """Blocks, lanes and threads leave no seam."""
    X, Y = data(V=64 * 3 + 1)
    basis = lagged_basis(X, 2)
    sums = sums_of_array(basis, Y)
    whole = fit_autoregressive(basis, sums, sums.shift, 3, 1e-4)
    one = sums_of_array(basis, Y[:, 192:])
    last = fit_autoregressive(basis, one, one.shift, 3, 1e-4)
    np.testing.assert_allclose(whole.params[:, 192:], last.params, rtol=1e-12)


def test_an_error_in_a_block_reaches_the_caller():
    def work(start, stop):
        if start:
            raise RuntimeError("block")

    with pytest.raises(RuntimeError, match="block"):
        over_blocks(10, 5, work)
