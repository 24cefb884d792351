"""Effects of known variance are statsmodels', PyMARE's and dense algebra's."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from pymare.estimators import VarianceBasedLikelihoodEstimator
from scipy.optimize import minimize_scalar
from statsmodels.stats.meta_analysis import combine_effects

from voxlm.errors import DataError
from voxlm.models.meta import fit_meta

# Both sides do a few hundred additions of order-one terms.
EXACT = 1e-10
# statsmodels and PyMARE stop their own iterations near this.
ITERATED = 1e-4
DEVIANCE = 1e-9
# Two runs of one optimiser: a relative step of 1e-6, squared, times the condition of the problem.
LAW = 1e-6


def simulate(seed=0, n=20, P=2, V=12):
    rng = np.random.default_rng(seed)
    X = np.c_[np.ones(n), rng.standard_normal((n, P - 1))]
    v = rng.uniform(0.2, 3.0, (n, V))
    between = np.where(np.arange(V) % 3 == 0, 0.0, rng.uniform(0.3, 2.0, V))
    noise = np.sqrt(v + between**2) * rng.standard_normal((n, V))
    return X, X @ rng.standard_normal((P, V)) + noise, v


def dense(X, y, v, tau2, reml):
    W = np.diag(1 / (v + tau2))
    A = X.T @ W @ X
    b = np.linalg.solve(A, X.T @ W @ y)
    r = y - X @ b
    N = len(y) - reml * X.shape[1]
    value = N * np.log(2 * np.pi) + np.log(v + tau2).sum() + r @ W @ r
    return value + reml * np.linalg.slogdet(A)[1]


@pytest.mark.parametrize("method", ["ml", "reml"])
@pytest.mark.parametrize("P", [1, 2, 4])
def test_global_minimum(method, P):
    X, Y, v = simulate(P, P=P)
    fit = fit_meta(X, Y, v, method)
    assert fit.converged.all()
    assert (fit.tau2 == 0).any()
    for k in range(Y.shape[1]):
        reml = method == "reml"
        ours = dense(X, Y[:, k], v[:, k], fit.tau2[k], reml)
        np.testing.assert_allclose(fit.deviance[k], ours, rtol=EXACT)
        values = [dense(X, Y[:, k], v[:, k], t, reml) for t in [0, *np.logspace(-4, 3, 200)]]
        assert ours <= min(values) + DEVIANCE
        if fit.tau2[k] > 0:
            best = minimize_scalar(
                lambda x, k=k, reml=reml: dense(X, Y[:, k], v[:, k], np.exp(x), reml),
                bracket=(np.log(fit.tau2[k]) - 0.3, np.log(fit.tau2[k]) + 0.3),
            )
            # a minimum is found to the root of what is left of the deviance's digits
            np.testing.assert_allclose(fit.tau2[k], np.exp(best.x), rtol=1e-5, atol=1e-6)


def test_moments_and_iterated_moments_equal_statsmodels():
    _, Y, v = simulate(3)
    one = np.ones((20, 1))
    dl, pm, fe = (fit_meta(one, Y, v, m) for m in ("dl", "pm", "fe"))
    for k in range(Y.shape[1]):
        theirs = combine_effects(Y[:, k], v[:, k], method_re="dl")
        # statsmodels lets a variance be negative
        np.testing.assert_allclose(dl.tau2[k], max(theirs.tau2, 0), rtol=EXACT, atol=EXACT)
        if theirs.tau2 > 0:
            np.testing.assert_allclose(dl.params[0, k], theirs.mean_effect_re, rtol=EXACT)
            np.testing.assert_allclose(dl.bse()[0, k], theirs.sd_eff_w_re_hksj, rtol=EXACT)
        np.testing.assert_allclose(fe.params[0, k], theirs.mean_effect_fe, rtol=EXACT)
        np.testing.assert_allclose(fe.bse()[0, k], theirs.sd_eff_w_fe, rtol=EXACT)
        np.testing.assert_allclose(dl.i2[k], max(theirs.i2, 0), rtol=EXACT, atol=EXACT)
        other = combine_effects(Y[:, k], v[:, k], method_re="iterated", atol=1e-10)
        if other.tau2 > 0:  # else its iteration gave up: the equation below is the method's own
            np.testing.assert_allclose(pm.tau2[k], other.tau2, rtol=ITERATED)
    left = pm.fit.heterogeneity - pm.df_resid
    np.testing.assert_allclose(np.where(pm.tau2 > 0, left, 0), 0, atol=1e-8)
    assert (left[pm.tau2 == 0] <= 0).all()


def test_fixed_effects_are_weighted_least_squares():
    X, Y, v = simulate(4, P=3)
    fit = fit_meta(X, Y, v, "fe")
    for k in range(3):
        theirs = sm.WLS(Y[:, k], X, 1 / v[:, k]).fit()
        np.testing.assert_allclose(fit.params[:, k], theirs.params, rtol=EXACT)
        np.testing.assert_allclose(fit.bse()[:, k], theirs.bse / np.sqrt(theirs.scale), rtol=EXACT)
        scaled = fit_meta(X, Y, v, "fe", knapp_hartung=True)
        np.testing.assert_allclose(scaled.bse()[:, k], theirs.bse, rtol=EXACT)


@pytest.mark.parametrize("method", ["ml", "reml"])
def test_equal_to_pymare(method):
    X, Y, v = simulate(5)
    fit = fit_meta(X, Y, v, method, knapp_hartung=False)
    theirs = VarianceBasedLikelihoodEstimator(method=method.upper())
    found = theirs.fit(y=Y, v=v, X=X).params_
    tau2 = np.ravel(found["tau2"])
    for k in range(Y.shape[1]):
        reml = method == "reml"
        other = dense(X, Y[:, k], v[:, k], max(tau2[k], 0), reml)
        assert fit.deviance[k] <= other + DEVIANCE
    inside = (fit.tau2 > 0.05) & (np.abs(tau2 - fit.tau2) < 0.1 * fit.tau2)
    assert inside.sum() >= 6
    np.testing.assert_allclose(fit.tau2[inside], tau2[inside], rtol=1e-3)
    np.testing.assert_allclose(
        fit.params[:, inside], found["fe_params"][:, inside], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_variances_must_be_positive(bad):
    X, Y, v = simulate(6)
    v[4, 2] = bad
    with pytest.raises(DataError, match="map 5 has 1 voxels"):
        fit_meta(X, Y, v)


def test_unknown_method_is_refused():
    X, Y, v = simulate(7)
    with pytest.raises(DataError, match="one of fe, dl, pm, ml, reml"):
        fit_meta(X, Y, v, "flame")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), unit=st.sampled_from([1e-3, 0.5, 40.0]))
def test_units_and_columns_change_no_answer(seed, unit):
    """In other units τ² is in their square; other columns of the same span fit the same values."""
    X, Y, v = simulate(seed, P=3, V=4)
    turn = np.array([[1.0, 0.5, -2.0], [0.0, 2.0, 1.0], [0.0, 0.0, 0.3]])
    plain, other = fit_meta(X, Y, v), fit_meta(X @ turn, Y * unit, v * unit**2)
    np.testing.assert_allclose(other.tau2, plain.tau2 * unit**2, rtol=LAW, atol=LAW * unit**2)
    np.testing.assert_allclose(turn @ other.params, plain.params * unit, rtol=LAW, atol=LAW * unit)
    c = np.array([[0.0, 1.0, 0.0]])
    np.testing.assert_allclose(other.vcov(c @ turn), plain.vcov(c) * unit**2, rtol=LAW)
