"""Slopes, nested and crossed factors are lme4's and dense algebra's, at every voxel."""

import numpy as np
import pytest
from lme4_pinned import MAPS, TABLE, answers, codes, columns

from voxlm.models.mixed import fit_mixed
from voxlm.models.terms import RandomTerm, lay_out

# Both sides do some 1e4 additions of order-one terms.
EXACT = 1e-9
# lme4 stops where its derivative-free search no longer sees the deviance change.
BETA, THETA, DF = 1e-6, 1e-4, 1e-5
DEVIANCE = 1e-8

N = len(TABLE)
ONE, TIME = np.ones((N, 1)), TABLE[["time"]].to_numpy(float)
SUBJECT, SITE, ITEM = codes("subject"), codes("site"), codes("item")
SLOPES, AGES = "group*time", "group + age + time"


def terms_of(model):
    both = np.c_[ONE, TIME]
    return {
        "intercept": ("group*age + time", [RandomTerm(SUBJECT, ONE, "subject", "")]),
        "slope": (SLOPES, [RandomTerm(SUBJECT, both, "subject", "")]),
        "apart": (
            SLOPES,
            [RandomTerm(SUBJECT, ONE, "subject", ""), RandomTerm(SUBJECT, TIME, "subject", "")],
        ),
        "nested": (
            AGES,
            [
                RandomTerm(codes("site", "subject"), ONE, "site:subject", ""),
                RandomTerm(SITE, ONE, "site", ""),
            ],
        ),
        "crossed": (
            AGES,
            [RandomTerm(SUBJECT, ONE, "subject", ""), RandomTerm(ITEM, ONE, "item", "")],
        ),
        "mixed": (
            SLOPES,
            [RandomTerm(SUBJECT, both, "subject", ""), RandomTerm(SITE, ONE, "site", "")],
        ),
        "two": (
            SLOPES,
            [RandomTerm(SUBJECT, both, "subject", ""), RandomTerm(SITE, both, "site", "")],
        ),
        "split": (
            SLOPES,
            [RandomTerm(SUBJECT, ONE, "subject", ""), RandomTerm(SITE, TIME, "site", "")],
        ),
    }[model]


MODELS = ["intercept", "slope", "apart", "nested", "crossed", "mixed", "two", "split"]


def fitted(model, reml, maps=MAPS):
    formula, terms = terms_of(model)
    return fit_mixed(lay_out(columns(formula), terms), maps, reml)


def dense(model, theta, y, reml):
    """Deviance, coefficients, covariance and modes by n × n algebra, θ as lme4 orders them."""
    formula, terms = terms_of(model)
    X = columns(formula)
    H, ZL, at = np.eye(N), [], 0
    for term in terms:
        q = term.matrix.shape[1]
        root = np.zeros((q, q))
        for b in range(q):
            for a in range(b, q):
                root[a, b] = theta[at]
                at += 1
        indicator = np.equal.outer(term.codes, np.unique(term.codes)).astype(float)
        Z = np.einsum("nm,nq->nmq", indicator, term.matrix @ root).reshape(N, -1)
        H += Z @ Z.T
        ZL.append((Z, root))
    solved = np.linalg.solve(H, np.c_[X, y])
    HX = solved[:, :-1]
    beta = np.linalg.solve(X.T @ HX, HX.T @ y)
    r, Hr = y - X @ beta, solved[:, -1] - HX @ beta
    count = N - X.shape[1] if reml else N
    scale = r @ Hr / count
    value = count * (1 + np.log(2 * np.pi * scale)) + np.linalg.slogdet(H)[1]
    value += reml * np.linalg.slogdet(X.T @ HX)[1]
    modes = [(Z.T @ Hr).reshape(-1, len(root)) @ root.T for Z, root in ZL]
    return value, beta, scale * np.linalg.inv(X.T @ HX), modes


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_equal_to_lme4(model, reml):
    theirs, fit = answers(model, reml), fitted(model, reml)
    assert fit.converged.all()
    assert (fit.deviance <= theirs("deviance")[0] + DEVIANCE).all()
    # where lme4 stopped in another valley there is nothing to compare
    same = np.abs(fit.deviance - theirs("deviance")[0]) < 1e-6
    assert same.sum() >= 11
    inside = same & ~fit.singular
    assert inside.sum() >= (0 if model == "two" else 6)
    if not inside.any():
        return
    np.testing.assert_array_equal(fit.singular[same], theirs("singular")[0, same].astype(bool))
    gap = np.abs(fit.params - theirs("beta")).max(axis=0) / np.abs(fit.params).max(axis=0)
    assert gap[inside].max() < BETA
    np.testing.assert_allclose(fit.bse()[:, inside], theirs("se")[:, inside], rtol=BETA)
    np.testing.assert_allclose(np.sqrt(fit.scale[inside]), theirs("sigma")[0, inside], rtol=BETA)
    np.testing.assert_allclose(
        fit.theta[:, inside], theirs("theta")[:, inside], rtol=THETA, atol=1e-5
    )


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_satterthwaite_equals_lmertest(model, reml):
    theirs, fit = answers(model, reml), fitted(model, reml)
    same = np.abs(fit.deviance - theirs("deviance")[0]) < 1e-6
    # next to its boundary lmerTest's numerical Hessian is what differs
    inside = same & ~fit.singular & (np.abs(fit.theta).min(axis=0) > 0.1)
    rows = np.eye(len(fit.params))
    ours = np.stack([fit.test_parts(row[None])[1] for row in rows])
    np.testing.assert_allclose(ours[:, inside], theirs("df")[:, inside], rtol=DF)
    joint = fit.test_parts(rows[1:3])[1]
    np.testing.assert_allclose(joint[inside], theirs("F_df")[0, inside], rtol=DF)
    assert np.isfinite(ours).all()


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_dense_algebra_at_our_optimum(model, reml):
    fit = fitted(model, reml)
    found = fit.modes()
    cov = fit.vcov(np.eye(len(fit.params)))
    rng = np.random.default_rng(0)
    for v in range(0, MAPS.shape[1], 3):
        theta = fit.theta[:, v]
        value, beta, expected, modes = dense(model, theta, MAPS[:, v], reml)
        np.testing.assert_allclose(fit.deviance[v], value, rtol=EXACT)
        np.testing.assert_allclose(fit.params[:, v], beta, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(cov[:, :, v], expected, rtol=1e-8, atol=1e-9)
        for ours, theirs in zip(found, modes, strict=True):
            np.testing.assert_allclose(ours[:, :, v], theirs, rtol=1e-7, atol=1e-8)
        for _ in range(20):
            other = theta + rng.choice([0.003, 0.1, 0.5]) * rng.standard_normal(theta.size)
            assert fit.deviance[v] <= dense(model, other, MAPS[:, v], reml)[0] + DEVIANCE


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_baseline_changes_nothing(offset):
    Y = np.round(MAPS * 2**20) / 2**20
    plain, high = fitted("slope", True, Y), fitted("slope", True, Y + offset)
    np.testing.assert_allclose(high.deviance, plain.deviance, rtol=1e-9)
    np.testing.assert_allclose(high.bse(), plain.bse(), rtol=1e-6)


def test_refit_needs_no_data():
    again = fitted("nested", True).refit(False)
    np.testing.assert_allclose(again.deviance, fitted("nested", False).deviance, rtol=1e-12)


def test_voxels_without_noise_are_nan():
    Y = MAPS.copy()
    Y[:, 0], Y[:, 1], Y[3, 2] = 0.0, 7.0, np.nan
    fit = fitted("crossed", True, Y)
    assert np.isnan(fit.params[:, :3]).all()
    assert not fit.converged[:3].any()
    np.testing.assert_allclose(fit.params[:, 3:], fitted("crossed", True).params[:, 3:], rtol=1e-6)


@pytest.mark.parametrize("reml", [True, False])
def test_slopes_in_two_factors_are_dense_algebra(reml):
    fit = fitted("two", reml)
    assert fit.converged.all()
    found = fit.modes()
    for v in range(0, MAPS.shape[1], 3):
        theta = fit.theta[:, v]
        value, beta, cov, modes = dense("two", theta, MAPS[:, v], reml)
        np.testing.assert_allclose(fit.deviance[v], value, rtol=EXACT)
        np.testing.assert_allclose(fit.params[:, v], beta, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(fit.vcov(np.eye(4))[:, :, v], cov, rtol=1e-8, atol=1e-9)
        for ours, theirs in zip(found, modes, strict=True):
            np.testing.assert_allclose(ours[:, :, v], theirs, rtol=1e-7, atol=1e-8)
