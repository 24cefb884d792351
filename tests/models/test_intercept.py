"""A random intercept is lme4's, statsmodels' and dense algebra's, at every voxel."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from lme4_pinned import MAPS, answers, codes, columns
from scipy.optimize import minimize_scalar

from voxlm.kernels.groupsums import merge_groups, reduce_groups
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import fit_intercept, solve_intercept

# Both sides do some 1e4 additions of order-one terms.
EXACT = 1e-9
# lme4 stops where its derivative-free search no longer sees the deviance change.
LME4_BETA, LME4_THETA, LME4_DF, LME4_KR = 1e-6, 1e-4, 1e-5, 1e-4
# lmerTest differentiates numerically: df of a variance near its boundary carry that noise.
LME4_DF_SMALL = 1e-3
DEVIANCE = 1e-8

SCALES = {"intercept": (1, 0), "offset4": (1, 1e4), "offset6": (1, 1e6), "small": (1e-3, 0)}
SCALES["large"] = (1e3, 0)


def unbalanced(seed=0, m=25, P=4, V=6, between=1.0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(m), rng.integers(1, 5, m))
    rng.shuffle(groups)
    n = groups.size
    X = np.c_[np.ones(n), rng.standard_normal((m, 1))[groups], rng.standard_normal((n, P - 2))]
    strength = rng.uniform(0, between, V)
    Y = rng.standard_normal((n, V)) + strength * rng.standard_normal((m, V))[groups]
    return X, groups, Y + X @ rng.standard_normal((P, V))


def dense(X, groups, y, reml, ratio):
    """Deviance, coefficients and their covariance by n × n algebra."""
    n, P = X.shape
    Z = (groups[:, None] == np.unique(groups)).astype(float)
    H = np.eye(n) + ratio * Z @ Z.T
    HX = np.linalg.solve(H, X)
    beta = np.linalg.solve(X.T @ HX, HX.T @ y)
    r = y - X @ beta
    N = n - P if reml else n
    scale = r @ np.linalg.solve(H, r) / N
    deviance = N * (1 + np.log(2 * np.pi * scale)) + np.linalg.slogdet(H)[1]
    if reml:
        deviance += np.linalg.slogdet(X.T @ HX)[1]
    modes = ratio * Z.T @ np.linalg.solve(H, r)
    return deviance, beta, scale, scale * np.linalg.inv(X.T @ HX), modes


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_dense_algebra_at_our_optimum(seed, reml):
    X, groups, Y = unbalanced(seed)
    fit = fit_intercept(intercept_basis(X, groups), Y, reml)
    modes = fit.modes(Y)
    assert fit.converged.all()
    for v in range(Y.shape[1]):
        deviance, beta, scale, cov, blups = dense(X, groups, Y[:, v], reml, fit.ratio[v])
        np.testing.assert_allclose(fit.deviance[v], deviance, rtol=EXACT)
        np.testing.assert_allclose(fit.params[:, v], beta, rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(fit.scale[v], scale, rtol=EXACT)
        np.testing.assert_allclose(fit.vcov(np.eye(4))[:, :, v], cov, rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(modes[:, v], blups, rtol=EXACT, atol=EXACT)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(4, 12), reml=st.booleans())
def test_no_ratio_is_better(seed, m, reml):
    X, groups, Y = unbalanced(seed, m=m, P=3, V=3)
    if np.bincount(groups).max() == 1 or groups.size < 6 or np.linalg.matrix_rank(X) < 3:
        return
    basis = intercept_basis(X, groups)
    if not basis.identified:
        return
    fit = fit_intercept(basis, Y, reml)
    for v in np.flatnonzero(fit.converged):
        best = min(
            dense(X, groups, Y[:, v], reml, ratio)[0] for ratio in [0, *np.logspace(-4, 4, 300)]
        )
        assert fit.deviance[v] <= best + DEVIANCE


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("model", SCALES)
def test_equal_to_lme4(model, reml):
    factor, offset = SCALES[model]
    Y = MAPS * factor + offset
    theirs = answers(model, reml)
    fit = fit_intercept(intercept_basis(columns("group*age + time"), codes("subject")), Y, reml)
    assert (fit.deviance <= theirs("deviance")[0] + DEVIANCE).all()
    np.testing.assert_array_equal(fit.singular, theirs("singular")[0].astype(bool))
    inside = np.flatnonzero(~fit.singular)
    gap = np.abs(fit.params - theirs("beta"))[:, inside]
    assert (gap / np.abs(fit.params).max(axis=0)[inside]).max() < LME4_BETA
    if offset == 1e6:  # lme4's own errors grow with the baseline; ours must not
        theirs = answers("intercept", reml)
    np.testing.assert_allclose(fit.bse()[:, inside], theirs("se")[:, inside], rtol=LME4_BETA)
    np.testing.assert_allclose(fit.theta[:, inside], theirs("theta")[:, inside], rtol=LME4_THETA)
    np.testing.assert_allclose(np.sqrt(fit.scale), theirs("sigma")[0], rtol=LME4_BETA)
    modes = fit.modes(Y)[:3, inside]
    np.testing.assert_allclose(modes, theirs("modes")[:, inside], rtol=1e-4, atol=1e-5 * factor)


@pytest.mark.parametrize("reml", [True, False])
def test_satterthwaite_equals_lmertest(reml):
    theirs = answers("intercept", reml)
    fit = fit_intercept(intercept_basis(columns("group*age + time"), codes("subject")), MAPS, reml)
    identity = np.eye(5)
    ours = np.stack([fit.df(identity[q : q + 1]) for q in range(5)])
    inside = ~fit.singular
    far = inside & (fit.theta[0] > 0.2)
    assert far.sum() >= 5
    np.testing.assert_allclose(ours[:, far], theirs("df")[:, far], rtol=LME4_DF)
    np.testing.assert_allclose(ours[:, inside], theirs("df")[:, inside], rtol=LME4_DF_SMALL)
    assert (ours[:, fit.singular] == fit.weight).all()
    cov, df = fit.test_parts(identity[1:3])
    effect = fit.effect(identity[1:3])
    F = np.einsum("qv,vqr,rv->v", effect, np.linalg.inv(np.moveaxis(cov, 2, 0)), effect) / 2
    np.testing.assert_allclose(F[inside], theirs("F")[0, inside], rtol=LME4_BETA)
    np.testing.assert_allclose(df[far], theirs("F_df")[0, far], rtol=LME4_DF)


def test_information_by_differences():
    X, groups, Y = unbalanced(3, m=30)
    fit = fit_intercept(intercept_basis(X, groups), Y, True)
    v = int(np.flatnonzero(~fit.singular)[0])
    at = np.array([fit.ratio[v], fit.scale[v]])

    def deviance(ratio, scale):
        best, _, profiled, _, _ = dense(X, groups, Y[:, v], True, ratio)
        N = X.shape[0] - X.shape[1]
        return best - N * np.log(profiled) - N + N * np.log(scale) + N * profiled / scale

    def variance(ratio, scale):
        _, _, profiled, cov, _ = dense(X, groups, Y[:, v], True, ratio)
        return cov[1, 1] / profiled * scale

    step = 1e-4 * at
    H, grad = np.empty((2, 2)), np.empty(2)
    for i in range(2):
        a = np.eye(2)[i] * step
        grad[i] = (variance(*(at + a)) - variance(*(at - a))) / (2 * step[i])
        for j in range(2):
            b = np.eye(2)[j] * step
            H[i, j] = (
                deviance(*(at + a + b)) - deviance(*(at + a - b))
                - deviance(*(at - a + b)) + deviance(*(at - a - b))
            ) / (4 * step[i] * step[j])  # fmt: skip
    expected = 2 * variance(*at) ** 2 / (grad @ np.linalg.solve(H / 2, grad))
    # second differences of a deviance near 100 keep six digits
    np.testing.assert_allclose(fit.df(np.eye(4)[1:2])[v], expected, rtol=1e-4)


def test_statsmodels_where_it_converged():
    X, groups, Y = unbalanced(5, m=40, V=4, between=2.0)
    fit = fit_intercept(intercept_basis(X, groups), Y, True)
    for v in np.flatnonzero(fit.theta[0] > 0.3):
        theirs = sm.MixedLM(Y[:, v], X, groups).fit(reml=True, method="bfgs", gtol=1e-8)
        np.testing.assert_allclose(fit.params[:, v], theirs.fe_params, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(fit.scale[v], theirs.scale, rtol=1e-4)
        np.testing.assert_allclose(fit.components[0, v], theirs.cov_re[0, 0], rtol=1e-3)


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_baseline_changes_nothing(offset):
    X, groups, Y = unbalanced(7)
    # whole numbers over a power of two: adding the baseline loses no bit
    Y = np.round(Y * 2**20) / 2**20
    basis = intercept_basis(X, groups)
    plain, high = fit_intercept(basis, Y), fit_intercept(basis, Y + offset)
    np.testing.assert_allclose(high.bse(), plain.bse(), rtol=1e-9)
    np.testing.assert_allclose(high.ratio, plain.ratio, rtol=1e-7, atol=1e-12)


def test_unit_and_columns_change_only_their_own():
    X, groups, Y = unbalanced(8)
    A = np.random.default_rng(1).standard_normal((4, 4))
    plain = fit_intercept(intercept_basis(X, groups), Y)
    turned = fit_intercept(intercept_basis(X @ A, groups), 1e3 * Y)
    np.testing.assert_allclose(turned.ratio, plain.ratio, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(A @ turned.params, 1e3 * plain.params, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(turned.df(np.eye(4)[:2] @ A), plain.df(np.eye(4)[:2]), rtol=1e-6)


def test_merge_is_stack():
    X, groups, Y = unbalanced(9, m=30)
    Y[:, 0] += 1e5
    first = groups < 11
    parts = []
    for rows in (first, ~first):
        basis = intercept_basis(X[rows], np.unique(groups[rows], return_inverse=True)[1])
        parts.append((basis, reduce_groups(basis, Y[rows])))
    merged = solve_intercept(*merge_groups(parts), True)
    stacked = fit_intercept(intercept_basis(X, groups), Y, True)
    np.testing.assert_allclose(merged.deviance, stacked.deviance, rtol=EXACT)
    np.testing.assert_allclose(merged.bse(), stacked.bse(), rtol=1e-8)
    np.testing.assert_allclose(merged.params, stacked.params, rtol=1e-8, atol=1e-8)


def test_refit_needs_no_data():
    X, groups, Y = unbalanced(10)
    basis = intercept_basis(X, groups)
    again = fit_intercept(basis, Y, True).refit(False)
    np.testing.assert_array_equal(again.deviance, fit_intercept(basis, Y, False).deviance)


def test_voxels_without_noise_are_nan():
    X, groups, Y = unbalanced(11)
    Y[:, 0], Y[:, 1], Y[3, 2] = 0.0, 7.0, np.nan
    Y[:, 3] = X @ np.arange(4.0)
    fit = fit_intercept(intercept_basis(X, groups), Y)
    assert np.isnan(fit.params[:, :4]).all()
    assert np.isnan(fit.bse()[:, :4]).all()
    assert not fit.converged[:4].any()
    assert np.isfinite(fit.params[:, 4:]).all()


def test_profile_of_large_groups_between_columns():
    rng = np.random.default_rng(12)
    groups = np.repeat(np.arange(40), 25)
    X = np.c_[np.ones(1000), rng.standard_normal((40, 2))[groups]]
    Y = rng.standard_normal((1000, 3)) + 3 * rng.standard_normal((40, 3))[groups]
    fit = fit_intercept(intercept_basis(X, groups), Y)
    for v in range(3):
        found = minimize_scalar(
            lambda x, y=Y[:, v]: dense(X, groups, y, True, np.exp(x))[0], bounds=(0, 5)
        )
        assert fit.deviance[v] <= found.fun + DEVIANCE
        np.testing.assert_allclose(np.log(fit.ratio[v]), found.x, atol=1e-3)
