"""Least squares over maps is statsmodels', whatever is assumed of the errors."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from voxlm.errors import DesignError
from voxlm.kernels.robust import BISQUARE, HUBER, fit_robust
from voxlm.models.grouplinear import fit_group_linear, linear_basis
from voxlm.models.patterns import patterns

# Both sides round differently in some 1e3 additions of order-one terms.
EXACT = 1e-10
# Both stop where a deviance moves by 1e-8, a few roundings apart.
ITERATED = 1e-9


def simulate(seed=0, n=24, P=4, V=5):
    rng = np.random.default_rng(seed)
    X = np.c_[np.ones(n), rng.standard_normal((n, P - 1))]
    spread = rng.uniform(0.5, 2.0, n)[:, None]
    return X, X @ rng.standard_normal((P, V)) + spread * rng.standard_normal((n, V)), rng


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("constant", [False, True])
def test_equal_to_statsmodels(cov_type, weighted, constant):
    X, Y, rng = simulate()
    X = X if constant else X[:, 1:]
    P = X.shape[1]
    weights = rng.uniform(0.5, 3.0, 24) if weighted else None
    groups = np.repeat(np.arange(8), 3)
    fit = fit_group_linear(linear_basis(X, weights), Y, cov_type, groups)
    C = rng.standard_normal((2, P))
    cov, df = fit.test_parts(C)
    for v in range(Y.shape[1]):
        model = sm.OLS(Y[:, v], X) if weights is None else sm.WLS(Y[:, v], X, weights)
        extra = {"groups": groups} if cov_type == "cluster" else None
        theirs = model.fit(cov_type=cov_type, cov_kwds=extra, use_t=True)
        np.testing.assert_allclose(fit.params[:, v], theirs.params, rtol=EXACT)
        np.testing.assert_allclose(fit.scale[v], theirs.scale, rtol=EXACT)
        np.testing.assert_allclose(fit.bse()[:, v], theirs.bse, rtol=EXACT)
        np.testing.assert_allclose(cov[:, :, v], theirs.cov_params(r_matrix=C), rtol=EXACT)
        np.testing.assert_allclose(fit.rsquared[v], theirs.rsquared, rtol=EXACT)
        assert df == (7 if cov_type == "cluster" else theirs.df_resid)


@pytest.mark.filterwarnings("ignore:The design matrix is rank")
def test_rank_deficient_columns_as_statsmodels():
    X, Y, _ = simulate(1)
    wide = np.c_[X, X[:, 0] - X[:, 1]]
    fit = fit_group_linear(linear_basis(wide), Y)
    for v in range(Y.shape[1]):
        theirs = sm.OLS(Y[:, v], wide).fit()
        np.testing.assert_allclose(fit.params[:, v], theirs.params, rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(fit.bse()[:, v], theirs.bse, rtol=EXACT)
        assert fit.df_resid == theirs.df_resid


def test_two_groups_of_their_own_variance_are_welch():
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1], [9, 16])
    Y = rng.standard_normal((25, 4)) * np.where(groups, 3.0, 1.0)[:, None]
    X = np.c_[np.ones(25), groups]
    fit = fit_group_linear(linear_basis(X), Y, "variance_groups", groups)
    cov, df = fit.test_parts(np.array([[0.0, 1.0]]))
    theirs = stats.ttest_ind(Y[9:], Y[:9], equal_var=False)
    np.testing.assert_allclose(fit.params[1] / np.sqrt(cov[0, 0]), theirs.statistic, rtol=EXACT)
    np.testing.assert_allclose(df, theirs.df, rtol=EXACT)


def test_baseline_and_float32():
    X, Y, _ = simulate(3)
    Y = np.round(Y * 64) / 64
    plain = fit_group_linear(linear_basis(X), Y)
    high = fit_group_linear(linear_basis(X), (Y + 1e4).astype(np.float32))
    np.testing.assert_allclose(high.scale, plain.scale, rtol=EXACT)
    np.testing.assert_allclose(high.params[1:], plain.params[1:], rtol=1e-9)


def test_voxels_without_noise_are_nan():
    X, Y, _ = simulate(4)
    Y[:, 0], Y[:, 1], Y[:, 2], Y[2, 3] = 0.0, 5.0, X @ np.arange(4.0), np.nan
    fit = fit_group_linear(linear_basis(X), Y)
    assert np.isnan(fit.params[:, :4]).all()
    assert np.isnan(fit.bse()[:, :4]).all()
    assert np.isfinite(fit.bse()[:, 4]).all()


def test_as_many_columns_as_maps_are_refused():
    with pytest.raises(DesignError, match="3 maps for 3 independent columns"):
        linear_basis(np.eye(3))


@pytest.mark.parametrize(("norm", "theirs"), [(HUBER, "HuberT"), (BISQUARE, "TukeyBiweight")])
def test_robust_equals_rlm(norm, theirs):
    X, Y, rng = simulate(5, n=40, V=12)
    Y += (rng.uniform(size=Y.shape) < 0.1) * 15
    fit = fit_robust(X, Y, norm)
    unscaled = np.diag(np.linalg.inv(X.T @ X))
    for v in range(Y.shape[1]):
        model = sm.RLM(Y[:, v], X, M=getattr(sm.robust.norms, theirs)())
        other = model.fit(maxiter=200, conv="weights")
        np.testing.assert_allclose(fit.params[:, v], other.params, rtol=ITERATED, atol=ITERATED)
        assert fit.converged[v] == (other.fit_history["iteration"] < 200)
        np.testing.assert_allclose(fit.scale[v], other.scale, rtol=ITERATED)
        np.testing.assert_allclose(np.sqrt(unscaled * fit.factor[v]), other.bse, rtol=ITERATED)


def test_patterns_cover_every_voxel_once():
    rng = np.random.default_rng(6)
    Y = rng.standard_normal((11, 300))
    Y[rng.integers(11, size=100), rng.integers(300, size=100)] = np.nan
    found = patterns(Y)
    assert np.array_equal(np.sort(np.concatenate([p.voxels for p in found])), np.arange(300))
    for pattern in found:
        assert (np.isfinite(Y[:, pattern.voxels]) == pattern.rows[:, None]).all()
    assert found[0].rows.all()
