"""Every voxel's numbers are statsmodels' numbers."""

from dataclasses import dataclass

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag, toeplitz

from voxlm.errors import DataError, DesignError
from voxlm.models.linear import fit_linear
from voxlm.models.reduce import CONSTANT, FITTED, MEAN_NOT_POSITIVE, NOT_FINITE, ZERO

# Both sides round differently in some 1e4 additions of order-one terms.
EXACT = 1e-10
# Products are taken before the design is projected out, so digits go with the baseline's square.
STREAMED = 1e-6


@dataclass(frozen=True)
class InMemory:
    array: np.ndarray

    @property
    def n_scans(self):
        return self.array.shape[0]

    @property
    def n_voxels(self):
        return self.array.shape[1]

    @property
    def dtype(self):
        return self.array.dtype


@dataclass(frozen=True)
class Streamed:
    data: np.ndarray
    size: int = 7
    array = None

    @property
    def n_scans(self):
        return self.data.shape[0]

    @property
    def n_voxels(self):
        return self.data.shape[1]

    @property
    def dtype(self):
        return self.data.dtype

    def blocks(self, size=16):
        buffer = np.empty((self.size, self.n_voxels), self.data.dtype)
        for start in range(0, self.n_scans, self.size):
            part = self.data[start : start + self.size]
            buffer[: len(part)] = part
            yield start, buffer[: len(part)]


def simulate(T, P, V, *, seed=0, mean=0.0, sd=1.0, constant=True, rho=0.5):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((T, P))
    X[:, -1] = 1.0 if constant else X[:, -1]
    noise = rng.standard_normal((T, V))
    strength = rng.uniform(-0.3, rho, V)
    for t in range(1, T):
        noise[t] += strength * noise[t - 1]
    return X, mean + sd * (X @ rng.standard_normal((P, V)) + noise)


def relative(ours, theirs):
    return np.max(np.abs(ours - theirs) / np.max(np.abs(theirs)))


def assert_equal_to_glsar(fit, X, Y, order, maxiter, tolerance):
    for v in range(Y.shape[1]):
        model = sm.GLSAR(Y[:, v], X, rho=order)
        theirs = model.iterative_fit(maxiter=maxiter, rtol=1e-4)
        assert relative(fit.params[:, v], theirs.params) < tolerance
        assert relative(fit.bse()[:, v], theirs.bse) < tolerance
        assert relative((fit.params / fit.bse())[:, v], theirs.tvalues) < tolerance
        np.testing.assert_allclose(fit.rho[:, v], model.rho, rtol=tolerance, atol=tolerance)
        assert relative(fit.scale[v], theirs.scale) < tolerance
        assert relative(fit.rsquared()[v], theirs.rsquared) < tolerance
        assert fit.df_resid == theirs.df_resid
        assert fit.nobs == theirs.nobs
        assert fit.df_model == theirs.df_model
        assert fit.iterations[v] == theirs.iter
        assert fit.converged[v] == theirs.converged


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize(("T", "P", "maxiter"), [(40, 4, 3), (150, 9, 8), (300, 24, 2)])
def test_glsar_equals_statsmodels(T, P, maxiter, order):
    X, Y = simulate(T, P, 12, seed=order)
    fit = fit_linear(InMemory(Y), X, order=order, maxiter=maxiter)
    assert_equal_to_glsar(fit, X, Y, order, maxiter, EXACT)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("maxiter", [1, 2, 30])
def test_glsar_on_a_long_run_and_without_a_constant(constant, maxiter):
    X, Y = simulate(2000, 6, 5, constant=constant, rho=0.9)
    fit = fit_linear(InMemory(Y), X, order=1, maxiter=maxiter)
    assert_equal_to_glsar(fit, X, Y, 1, maxiter, EXACT)


def test_voxels_stop_at_different_iterations():
    X, Y = simulate(120, 8, 200, rho=0.8)
    fit = fit_linear(InMemory(Y), X, order=2, maxiter=30)
    assert len(set(fit.iterations.tolist())) > 2
    assert fit.converged.all()


@pytest.mark.parametrize("constant", [True, False])
def test_lm_equals_statsmodels(constant):
    X, Y = simulate(90, 7, 20, mean=1e4 if constant else 0.0, sd=10.0, constant=constant)
    fit = fit_linear(InMemory(Y), X)
    for v in range(Y.shape[1]):
        theirs = sm.OLS(Y[:, v], X).fit()
        assert relative(fit.params[:, v], theirs.params) < EXACT
        assert relative(fit.bse()[:, v], theirs.bse) < EXACT
        assert relative(fit.scale[v], theirs.scale) < EXACT
        assert relative(fit.rsquared()[v], theirs.rsquared) < EXACT
        assert fit.df_resid == theirs.df_resid


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_streamed_images_on_a_large_baseline(dtype, order):
    X, Y = simulate(200, 10, 10, mean=10_000.0, sd=10.0)
    data = Y.astype(dtype)
    fit = fit_linear(Streamed(data), X, order=order)
    exact = data.astype(np.float64)
    if order:
        assert_equal_to_glsar(fit, X, exact, order, 3, STREAMED)
    else:
        assert relative(fit.bse()[:, 0], sm.OLS(exact[:, 0], X).fit().bse) < STREAMED


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("scaling", ["percent", "grand_mean", None])
@pytest.mark.parametrize("order", [0, 2])
def test_scaling_is_that_of_the_data(scaling, constant, order):
    X, Y = simulate(80, 5, 9, mean=500.0, sd=3.0, constant=constant)
    mean = Y.mean(axis=0) if scaling == "percent" else Y.mean()
    scaled = Y if scaling is None else 100 * (Y / mean - 1)
    for source in (InMemory(Y), Streamed(Y)):
        ours = fit_linear(source, X, order=order, scaling=scaling)
        plain = fit_linear(InMemory(scaled), X, order=order)
        tolerance = EXACT if source.array is not None else STREAMED
        assert relative(ours.params, plain.params) < tolerance
        assert relative(ours.scale, plain.scale) < tolerance
        np.testing.assert_allclose(ours.factor * Y + ours.level, scaled, rtol=1e-9, atol=1e-9)


def brute_force_gaps(y, X, kept, order, maxiter):
    """Dense GLSAR on segments: rows and lag pairs that would cross a gap are left out."""
    scans = np.flatnonzero(kept)
    parts = np.split(scans, np.flatnonzero(np.diff(scans) > 1) + 1)

    def whiten(a, rho):
        filtered = [
            sum(w * a[s[order - j : len(s) - j]] for j, w in enumerate([1, *-rho]))
            for s in parts
            if len(s) > order
        ]
        return np.concatenate(filtered)

    rho = np.zeros(order)
    last = None
    for i in range(maxiter - 1):
        b = np.linalg.lstsq(whiten(X, rho), whiten(y, rho), rcond=None)[0]
        if i and np.max(np.abs(last - b) / np.abs(last)) < 1e-4:
            break
        last = b
        r = y - X @ b
        r = r - r[scans].mean()
        gamma = [
            sum((r[s[k:]] * r[s[: len(s) - k]]).sum() for s in parts if len(s) > k)
            / sum(max(len(s) - k, 0) for s in parts)
            for k in range(order + 1)
        ]
        rho = np.linalg.solve(toeplitz(gamma[:-1]), gamma[1:])
    WX, Wy = whiten(X, rho), whiten(y, rho)
    b = np.linalg.lstsq(WX, Wy, rcond=None)[0]
    scale = np.sum((Wy - WX @ b) ** 2) / (len(Wy) - X.shape[1])
    return b, rho, scale, np.sqrt(scale * np.diag(np.linalg.inv(WX.T @ WX)))


@settings(max_examples=25, deadline=None)
@given(
    removed=st.sets(st.integers(0, 89), max_size=25),
    order=st.integers(1, 3),
    streamed=st.booleans(),
)
def test_no_lag_product_crosses_a_gap(removed, order, streamed):
    X, Y = simulate(90, 4, 3, seed=5)
    kept = np.ones(90, dtype=bool)
    kept[list(removed)] = False
    source = Streamed(Y) if streamed else InMemory(Y)
    fit = fit_linear(source, X, order=order, kept=kept)
    for v in range(3):
        b, rho, scale, bse = brute_force_gaps(Y[:, v], X, kept, order, 3)
        np.testing.assert_allclose(fit.params[:, v], b, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(fit.rho[:, v], rho, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(fit.scale[v], scale, rtol=1e-8)
        np.testing.assert_allclose(fit.bse()[:, v], bse, rtol=1e-8)


def test_contrast_covariance_equals_statsmodels():
    X, Y = simulate(100, 6, 70, seed=3)
    C = np.random.default_rng(0).standard_normal((3, 6))
    fit = fit_linear(InMemory(Y), X, order=2)
    for v in (0, 64, 69):
        theirs = sm.GLSAR(Y[:, v], X, rho=2).iterative_fit(3)
        assert relative(fit.vcov(C)[:, :, v], C @ theirs.cov_params() @ C.T) < EXACT
        assert relative(fit.effect(C)[:, v], C @ theirs.params) < EXACT


def test_reparameterising_the_design_changes_no_contrast():
    X, Y = simulate(100, 5, 6)
    T = np.random.default_rng(1).standard_normal((5, 5))
    C = np.eye(5)[:2]
    # A fixed number of fits: the stopping rule looks at coefficients, which T changes.
    plain = fit_linear(InMemory(Y), X, order=2, rtol=0.0)
    mixed = fit_linear(InMemory(Y), X @ T, order=2, rtol=0.0)
    K = C @ np.linalg.inv(T)
    np.testing.assert_allclose(plain.effect(K @ T), mixed.effect(K @ T @ T), rtol=1e-8)
    np.testing.assert_allclose(plain.vcov(K @ T), mixed.vcov(K @ T @ T), rtol=1e-8)


def test_voxels_that_cannot_be_fitted_are_told_apart():
    X, Y = simulate(60, 4, 100, mean=100.0)
    Y[:, 0] = 0.0
    Y[:, 1] = 7.3
    Y[5, 2] = np.nan
    Y[0, 3] = np.inf
    Y[:, 4] -= 1000.0
    for source in (InMemory(Y), Streamed(Y)):
        for order in (0, 1):
            fit = fit_linear(source, X, order=order, scaling="percent")
            expected = [ZERO, CONSTANT, NOT_FINITE, NOT_FINITE, MEAN_NOT_POSITIVE, FITTED]
            assert fit.status[:6].tolist() == expected
            for values in (fit.params, fit.scale[None], fit.bse(), fit.rsquared()[None]):
                assert np.isnan(values[:, :5]).all()
                assert np.isfinite(values[:, 5:]).all()


def test_a_constant_voxel_blurred_by_rounding_is_constant():
    X, Y = simulate(60, 4, 3, mean=100.0)
    wobble = np.float32(3000.1) * (1 + np.float32(1e-7) * (np.arange(60) % 2))
    Y[:, 0] = wobble
    fit = fit_linear(Streamed(Y.astype(np.float32)), X)
    assert fit.status.tolist() == [CONSTANT, FITTED, FITTED]


def test_centred_data_refuse_percent():
    X, Y = simulate(60, 4, 30)
    with pytest.raises(DataError, match="pass scaling=None"):
        fit_linear(InMemory(Y), X, scaling="percent")
    with pytest.raises(DataError, match="pass scaling=None"):
        fit_linear(InMemory(Y - Y.mean() - 1), X, scaling="grand_mean")


def test_too_few_scans_are_refused():
    X, Y = simulate(10, 8, 2)
    with pytest.raises(DesignError, match="no degrees of freedom"):
        fit_linear(InMemory(Y), X, order=2)


def test_runs_of_scans_shorter_than_the_order_are_left_out():
    X, Y = simulate(60, 3, 2)
    kept = np.ones(60, dtype=bool)
    kept[[20, 22, 23, 25]] = False  # leaves scans 21 and 24 alone
    fit = fit_linear(InMemory(Y), X, order=2, kept=kept)
    b, *_ = brute_force_gaps(Y[:, 0], X, kept, 2, 3)
    np.testing.assert_allclose(fit.params[:, 0], b, rtol=1e-8)


def test_stacked_dense_gls_agrees():
    """Runs as one block-diagonal GLS: the segments are independent series with one rho."""
    X, Y = simulate(60, 4, 1, seed=9)
    kept = np.ones(60, dtype=bool)
    kept[30] = False
    fit = fit_linear(InMemory(Y), X, order=1, kept=kept)
    rho = fit.rho[0, 0]
    filters = [np.eye(n)[1:] - rho * np.eye(n)[:-1] for n in (30, 29)]
    W = block_diag(*filters)
    theirs = sm.OLS(W @ Y[kept, 0], W @ X[kept]).fit()
    assert relative(fit.params[:, 0], theirs.params) < EXACT
    assert relative(fit.bse()[:, 0], theirs.bse) < EXACT
