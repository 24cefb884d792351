"""Groups with variances between maps of their own: by brute force, apart, and by the verb."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize

import voxlm as vx
from voxlm.errors import DataError, DesignError
from voxlm.kernels.variancegroups import fit_variance_groups
from voxlm.models.meta import fit_meta

# A few hundred additions of order-one terms.
EXACT = 1e-10
# Two optimisers of one function: what they leave is of the square of a step.
DEVIANCE = 1e-9
# tau² where the deviance is flat to its last digits.
OPTIMUM = 1e-6

GROUPS = np.repeat([0, 1, 2], [9, 12, 10])


def simulate(seed=0, V=10, groups=GROUPS):
    rng = np.random.default_rng(seed)
    n = groups.size
    v = rng.uniform(0.2, 1.5, (n, V))
    tau = np.array([0.0, 0.7, 3.0])[groups]
    Y = rng.standard_normal((n, V)) * np.sqrt(v + tau[:, None])
    return np.c_[np.ones(n), rng.standard_normal(n)], Y, v


def dense(X, y, v, tau2, groups, reml):
    total = v + tau2[groups]
    A = X.T @ (X / total[:, None])
    b = np.linalg.solve(A, X.T @ (y / total))
    r = y - X @ b
    value = np.log(total).sum() + r @ (r / total)
    return value + reml * np.linalg.slogdet(A)[1]


@pytest.mark.parametrize("reml", [True, False])
def test_global_minimum_where_groups_share_columns(reml):
    X, Y, v = simulate()
    tau2, converged = fit_variance_groups(X, Y, v, GROUPS, reml)
    assert converged.all()
    assert (tau2 == 0).any()
    for k in range(Y.shape[1]):
        ours = dense(X, Y[:, k], v[:, k], tau2[:, k], GROUPS, reml)
        starts = np.random.default_rng(k).exponential(1.0, (4, 3))
        for start in starts:
            found = minimize(
                lambda t, k=k: dense(X, Y[:, k], v[:, k], t, GROUPS, reml),
                start,
                method="L-BFGS-B",
                bounds=[(0, None)] * 3,
            )
            assert ours <= found.fun + DEVIANCE


@pytest.mark.parametrize("method", ["reml", "ml", "dl", "pm"])
def test_groups_with_columns_of_their_own_are_fitted_apart(method):
    X, Y, v = simulate(1)
    columns = np.eye(3)[GROUPS]
    both = np.c_[columns, columns * X[:, 1:]]
    fit = fit_meta(both, Y, v, method, groups=GROUPS)
    for g in range(3):
        here = g == GROUPS
        alone = fit_meta(X[here], Y[here], v[here], method)
        np.testing.assert_allclose(fit.tau2[g], alone.tau2, rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(fit.params[[g, g + 3]], alone.params, rtol=1e-8)
    for k in range(4):
        total = v[:, k] + fit.tau2[GROUPS, k]
        theirs = sm.WLS(Y[:, k], both, 1 / total).fit()
        np.testing.assert_allclose(fit.params[:, k], theirs.params, rtol=1e-9)
        np.testing.assert_allclose(fit.bse()[:, k], theirs.bse, rtol=1e-9)
        np.testing.assert_allclose(fit.between(k), fit.tau2[GROUPS, k])


@pytest.mark.parametrize("reml", [True, False])
def test_both_ways_agree_where_both_may_be_used(reml):
    _, Y, v = simulate(2)
    columns = np.eye(3)[GROUPS]
    joint = fit_variance_groups(columns, Y, v, GROUPS, reml)[0]
    apart = fit_meta(columns, Y, v, "reml" if reml else "ml", groups=GROUPS).tau2
    np.testing.assert_allclose(joint, apart, rtol=OPTIMUM, atol=OPTIMUM)


def test_one_group_is_the_plain_fit():
    X, Y, v = simulate(3)
    one = fit_variance_groups(X, Y, v, np.zeros(len(X), dtype=np.int64), True)[0]
    np.testing.assert_allclose(one[0], fit_meta(X, Y, v).tau2, rtol=OPTIMUM, atol=OPTIMUM)


def maps(seed=4, V=10):
    X, Y, v = simulate(seed, V)
    table = pd.DataFrame({"site": np.array(["a", "b", "c"])[GROUPS], "age": X[:, 1]})
    return vx.Maps(table, data=Y, variance=v)


def test_the_verb_answers_by_group():
    given = maps()
    fit = vx.meta("~ age", given, variance_groups="site")
    assert fit.tau2.shape == (3, 10)
    assert np.median(fit.tau2[2]) > np.median(fit.tau2[0])
    assert all(f"tau² {level}:" in repr(fit) for level in "abc")
    assert (fit.check(n=6)["largest_relative"] < 1e-8).all()
    assert fit.image("tau2").shape == (3, 10)
    assert fit.converged.all()


def test_a_group_that_a_voxel_lacks_has_no_variance():
    given = maps(5)
    Y = given.values.copy()
    Y[GROUPS == 1, 0] = np.nan
    Y[np.flatnonzero(GROUPS == 2)[1:], 1] = np.nan
    fit = vx.meta("~ age", vx.Maps(given.table, data=Y, variance=given.variances))
    grouped = vx.meta(
        "~ age", vx.Maps(given.table, data=Y, variance=given.variances), variance_groups="site"
    )
    assert np.isnan(grouped.tau2[:, 0]).tolist() == [False, True, False]
    assert grouped.nobs[0] == fit.nobs[0] == 19
    assert np.isfinite(grouped.params[:, 0]).all()


BAD = [
    ({"variance_groups": "site", "method": "dl"}, DataError, "columns that belong to one group"),
    ({"variance_groups": "site", "method": "fe"}, DataError, "no variance between maps"),
    ({"variance_groups": "sit"}, DataError, "did you mean 'site'"),
    ({"variance_groups": "one"}, DataError, "one has one level, x"),
    ({"variance_groups": "holey"}, DataError, "holey is missing in row 3 of the table"),
]


@pytest.mark.parametrize(("options", "error", "words"), BAD, ids=[words for *_, words in BAD])
def test_bad_groups_are_named(options, error, words):
    given = maps()
    table = given.table.assign(one="x", holey=given.table["site"])
    table.loc[2, "holey"] = np.nan
    with pytest.raises(error, match=words):
        vx.meta("~ age", vx.Maps(table, data=given.values, variance=given.variances), **options)


@pytest.mark.parametrize("verb", ["lm", "meta"])
def test_groups_without_residuals_are_named(verb):
    given = maps()
    table = given.table.assign(own=["first", *["rest"] * 30])
    made = vx.Maps(table, data=given.values, variance=given.variances)
    with pytest.raises(DesignError, match="variance group first has no residual degrees of free"):
        getattr(vx, verb)("~ 0 + own", made, variance_groups="own")


def test_the_last_group_may_be_lacking_too():
    """The rows of τ² are the groups of the table, whatever maps a voxel has."""
    given = maps()
    holes = given.values.copy()
    holes[GROUPS == 2, :4] = np.nan
    fit = vx.meta(
        "~ age", vx.Maps(given.table, data=holes, variance=given.variances), variance_groups="site"
    )
    assert np.isnan(fit.tau2[2, :4]).all()
    assert np.isfinite(np.delete(fit.tau2.ravel(), np.arange(20, 24))).all()
    assert "tau² c:" in repr(fit)
