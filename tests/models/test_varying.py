"""A regressor of each voxel's own against statsmodels, voxel by voxel."""

import numpy as np
import pytest
import statsmodels.api as sm

from voxlm.errors import DesignError
from voxlm.images.scans import array_scans
from voxlm.models.linear import fit_linear
from voxlm.models.reduce import COLUMN_NOT_FINITE, COLUMN_REPEATS, FITTED
from voxlm.models.varying import fit_linear_varying

# Normal equations on an orthonormal basis against pinv of whitened rows.
RTOL = 1e-10
T, V = 150, 70
NAMES = ("params", "bse", "scale", "rsquared", "rho")


class Streamed:
    """An array that gives itself away by blocks only."""

    def __init__(self, values):
        self.scans = array_scans(values)
        self.n_scans, self.n_voxels = values.shape
        self.dtype, self.array = values.dtype, None

    def blocks(self, size=16):
        return self.scans.blocks(size)


def made(seed=0, constant=True):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(T, 4))
    X[:, 3] = np.linspace(-1, 1, T)
    if constant:
        X = np.c_[X, np.ones(T)]
    z = rng.normal(size=(T, V)) + 0.5 * X[:, :1] + rng.normal(size=V)
    z *= 10.0 ** rng.uniform(-1, 1, V)
    noise = rng.normal(size=(T, V))
    for t in range(1, T):
        noise[t] += rng.uniform(0.2, 0.6) * noise[t - 1]
    y = X @ rng.normal(size=(X.shape[1], V)) + 0.3 * z / z.std(axis=0) + noise
    return X, y + (1000.0 if constant else 0.0), z


def theirs(y, X, z, order, maxiter, rtol):
    full = np.c_[X, z]
    if order == 0:
        return sm.OLS(y, full).fit()
    return sm.GLSAR(y, full, rho=order).iterative_fit(maxiter=maxiter, rtol=rtol)


def check(estimate, X, y, z, order, maxiter, rtol, every=7):
    bse, rsquared = estimate.bse(), estimate.rsquared()
    for v in range(0, y.shape[1], every):
        found = theirs(y[:, v], X, z[:, v], order, maxiter, rtol)
        # A coefficient near 0 is known to its standard error, not to itself.
        gap = np.abs(estimate.params[:, v] - found.params)
        assert np.all(gap <= RTOL * (np.abs(found.params) + found.bse))
        np.testing.assert_allclose(bse[:, v], found.bse, rtol=RTOL)
        np.testing.assert_allclose(estimate.scale[v], found.scale, rtol=RTOL)
        np.testing.assert_allclose(rsquared[v], found.rsquared, rtol=RTOL)
        C = np.random.default_rng(v).normal(size=(2, X.shape[1] + 1))
        np.testing.assert_allclose(
            estimate.vcov(C)[..., v], C @ found.cov_params() @ C.T, rtol=1e-9
        )
        assert estimate.df_resid == found.df_resid
        if order:
            np.testing.assert_allclose(estimate.rho[:, v], found.model.rho, rtol=1e-9)
            assert estimate.iterations[v] == found.iter


@pytest.mark.parametrize("wrap", [array_scans, Streamed])
@pytest.mark.parametrize(
    ("order", "maxiter", "rtol"),
    [(0, 1, 0), (1, 1, 0), (1, 2, 0), (1, 3, 1e-4), (1, 20, 1e-3), (3, 5, 1e-6)],
)
def test_equals_statsmodels(wrap, order, maxiter, rtol):
    X, y, z = made()
    estimate = fit_linear_varying(wrap(y), X, [wrap(z)], order=order, maxiter=maxiter, rtol=rtol)
    check(estimate, X, y, z, order, maxiter, rtol)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_without_a_constant(order):
    X, y, z = made(constant=False)
    estimate = fit_linear_varying(array_scans(y), X, [array_scans(z)], order=order)
    check(estimate, X, y, z, order, 3, 1e-4)


@pytest.mark.parametrize("order", [0, 1])
def test_a_shared_regressor_is_a_column(order):
    X, y, _ = made()
    shared = np.random.default_rng(1).normal(size=T)
    kept = np.ones(T, dtype=bool)
    kept[[5, 60, 61, 62]] = False
    options = {"order": order, "kept": kept, "scaling": "percent"}
    one = fit_linear_varying(
        array_scans(y), X, [array_scans(np.repeat(shared[:, None], V, axis=1))], **options
    )
    other = fit_linear(array_scans(y), np.c_[X, shared], **options)
    for name in ("params", "scale", "rho"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)
    np.testing.assert_allclose(one.bse(), other.bse(), rtol=1e-9)


def test_useless_regressors_are_left_out_and_counted():
    X, y, z = made()
    z[:, 0] = 3.0
    z[:, 1] = 2 * X[:, 0] - X[:, 2]
    z[:, 2] = 0.0
    z[7, 3] = np.nan
    estimate = fit_linear_varying(array_scans(y), X, [array_scans(z)], order=1)
    assert estimate.status[:5].tolist() == [COLUMN_REPEATS] * 3 + [COLUMN_NOT_FINITE, FITTED]
    assert np.isnan(estimate.params[:, :4]).all()
    assert np.isnan(estimate.bse()[:, :4]).all()
    assert np.isfinite(estimate.params[:, 4:]).all()


def test_float32_regressors_that_repeat_are_found():
    X, y, z = made()
    z = z.astype(np.float32)
    z[:, 1] = (2 * X[:, 0] - X[:, 2]).astype(np.float32)
    estimate = fit_linear_varying(array_scans(y), X, [array_scans(z)])
    assert estimate.status[1] == COLUMN_REPEATS
    assert (np.delete(estimate.status, 1) == FITTED).all()


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_the_regressor_do_not_matter(scale):
    X, y, z = made()
    one, other = (
        fit_linear_varying(array_scans(y), X, [array_scans(values)], order=1)
        for values in (z, z * scale)
    )
    np.testing.assert_allclose(one.params[:-1], other.params[:-1], rtol=1e-9)
    np.testing.assert_allclose(one.bse()[-1], other.bse()[-1] * scale, rtol=1e-9)


def test_too_few_scans():
    X, y, z = made()
    with pytest.raises(DesignError, match="no degrees of freedom"):
        fit_linear_varying(array_scans(y[:7]), X[:7], [array_scans(z[:7])], order=1)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("wrap", [array_scans, Streamed])
@pytest.mark.parametrize(("order", "maxiter"), [(0, 1), (1, 1), (1, 4), (3, 3)])
def test_three_regressors_equal_statsmodels(constant, wrap, order, maxiter):
    X, y, z = made(constant=constant)
    rng = np.random.default_rng(11)
    more = [z, 50 + z * 1e-3 + rng.normal(size=(T, V)), 30 * rng.normal(size=(T, V))]
    wrapped = [wrap(values) for values in more]
    estimate = fit_linear_varying(wrap(y), X, wrapped, order=order, maxiter=maxiter, rtol=1e-4)
    bse, rsquared = estimate.bse(), estimate.rsquared()
    for v in range(0, V, 9):
        own = np.column_stack([values[:, v] for values in more])
        found = theirs(y[:, v], X, own, order, maxiter, 1e-4)
        gap = np.abs(estimate.params[:, v] - found.params)
        assert np.all(gap <= 1e-9 * (np.abs(found.params) + found.bse))
        np.testing.assert_allclose(bse[:, v], found.bse, rtol=1e-9)
        np.testing.assert_allclose(estimate.scale[v], found.scale, rtol=1e-9)
        np.testing.assert_allclose(rsquared[v], found.rsquared, rtol=1e-9)
        C = rng.normal(size=(2, X.shape[1] + 3)) / np.abs(found.params)
        np.testing.assert_allclose(
            estimate.vcov(C)[..., v], C @ found.cov_params() @ C.T, rtol=1e-7
        )
        assert estimate.df_resid == found.df_resid
        if order:
            assert estimate.iterations[v] == found.iter


def test_regressors_that_follow_from_each_other_are_left_out():
    X, y, z = made()
    other = np.random.default_rng(3).normal(size=(T, V))
    other[:, 4] = 3 * z[:, 4] - X[:, 1]
    estimate = fit_linear_varying(array_scans(y), X, [array_scans(z), array_scans(other)], order=1)
    assert estimate.status[4] == COLUMN_REPEATS
    assert (np.delete(estimate.status, 4) == FITTED).all()
    assert np.isnan(estimate.bse()[:, 4]).all()
