"""What must hold for every model of maps, whatever the data: laws, solver by solver."""

from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxlm.kernels.randomintercept import intercept_basis
from voxlm.kernels.robust import BISQUARE, HUBER, fit_robust
from voxlm.models.grouplinear import fit_group_linear, linear_basis
from voxlm.models.intercept import fit_intercept
from voxlm.models.meta import fit_meta
from voxlm.models.mixed import fit_mixed
from voxlm.models.robust import fit_group_robust
from voxlm.models.terms import RandomTerm, lay_out

N, V = 24, 5
# Two paths to one optimum, each within Newton's last step of it.
CLOSE = 1e-6
GROUPS = np.tile([0, 1], N // 2)
FAMILIES = np.repeat(np.arange(8), 3)

Solver = Callable[..., object]


def slopes(X, Y, v):
    terms = [RandomTerm(FAMILIES, np.ones((N, 1)), "f", "(1|f)")]
    terms.append(RandomTerm(GROUPS, np.ones((N, 1)), "g", "(1|g)"))
    return fit_mixed(lay_out(X, terms), Y)


SOLVERS: dict[str, Solver] = {
    "ols": lambda X, Y, _: fit_group_linear(linear_basis(X), Y),
    "hc3": lambda X, Y, _: fit_group_linear(linear_basis(X), Y, "HC3"),
    "cluster": lambda X, Y, _: fit_group_linear(linear_basis(X), Y, "cluster", FAMILIES),
    "welch": lambda X, Y, _: fit_group_linear(linear_basis(X), Y, "variance_groups", GROUPS),
    "huber": lambda X, Y, _: fit_group_robust(X, Y, "huber"),
    "bisquare": lambda X, Y, _: fit_group_robust(X, Y, "bisquare"),
    **{k: lambda X, Y, v, k=k: fit_meta(X, Y, v, k) for k in ("fe", "dl", "pm", "ml", "reml")},
    "groups": lambda X, Y, v: fit_meta(X, Y, v, groups=GROUPS),
    "intercept": lambda X, Y, _: fit_intercept(intercept_basis(X, FAMILIES), Y),
    "crossed": slopes,
}


def simulate(seed, V=V):
    rng = np.random.default_rng(seed)
    X = np.c_[np.ones(N), rng.standard_normal((N, 2))]
    family = rng.standard_normal((8, V))[FAMILIES]
    return X, rng.standard_normal((N, V)) + family, rng.uniform(0.3, 1.5, (N, V))


def answers(solver, X, Y, v, C=None):
    """Return what is reported of some contrasts: effects and their covariance."""
    fit = SOLVERS[solver](X, Y, v)
    C = np.eye(X.shape[1]) if C is None else C
    return fit.effect(C), fit.test_parts(C)[0]


def same(found, known, unit=1.0):
    for a, b, power in zip(found, known, (1, 2), strict=True):
        scale = np.abs(b).max(initial=0.0)
        np.testing.assert_allclose(a / unit**power, b, rtol=CLOSE, atol=CLOSE * scale)


@pytest.mark.parametrize("solver", SOLVERS)
@settings(max_examples=4, deadline=None)
@example(seed=1, power=-4)
@given(seed=st.integers(0, 10_000), power=st.sampled_from([-12, -4, -1, 3, 9]))
def test_units_of_the_data_change_no_test(solver, seed, power):
    X, Y, v = simulate(seed)
    unit = 10.0**power
    same(answers(solver, X, Y * unit, v * unit**2), answers(solver, X, Y, v), unit)


@pytest.mark.parametrize("solver", SOLVERS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([1e-4, 1.0, 1e6]))
def test_units_and_origin_of_covariates_change_no_test(solver, seed, spread):
    X, Y, v = simulate(seed)
    moved = np.c_[X[:, 0], 3.0 + spread * X[:, 1], X[:, 2] - 0.5 * X[:, 1]]
    C = np.eye(3)[1:]
    back = np.array([[0.0, spread, -0.5], [0.0, 0.0, 1.0]])
    same(answers(solver, moved, Y, v, back), answers(solver, X, Y, v, C))


@pytest.mark.parametrize("solver", SOLVERS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), level=st.floats(-1e4, 1e4))
def test_what_the_columns_fit_adds_to_the_effects_alone(solver, seed, level):
    X, Y, v = simulate(seed)
    (effect, cov), (more, other) = (answers(solver, X, y, v) for y in (Y, Y + level * X[:, [1]]))
    same((more - level * np.eye(3)[:, [1]], other), (effect, cov))


@pytest.mark.parametrize("solver", SOLVERS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 64), width=st.sampled_from([65, 257, 513]))
def test_voxels_are_fitted_alone(solver, seed, cut, width):
    """Whatever block a voxel is worked on in, and beside which others."""
    X, Y, v = simulate(seed, 70)
    at = np.resize(np.random.default_rng(seed).permutation(70), width)
    effect, cov = answers(solver, X, Y, v)
    same(answers(solver, X, Y[:, at], v[:, at]), (effect[:, at], cov[:, :, at]))
    same(answers(solver, X, Y[:, :cut], v[:, :cut]), (effect[:, :cut], cov[:, :, :cut]))


@pytest.mark.parametrize("norm", [HUBER, BISQUARE])
def test_a_column_that_loses_all_its_rows_is_as_rlm_has_it(norm):
    X, Y, _ = simulate(0, 2)
    X = np.c_[X, np.r_[np.zeros(N - 2), 1.0, 1.0]]
    Y[-2:, 0] = 1e3, -1e3  # weights of 0 by Tukey's norm
    fit = fit_robust(X, Y, norm)
    theirs = {HUBER: sm.robust.norms.HuberT, BISQUARE: sm.robust.norms.TukeyBiweight}[norm]()
    for k in range(2):
        known = sm.RLM(Y[:, k], X, M=theirs).fit(maxiter=200, conv="weights")
        np.testing.assert_allclose(fit.params[:, k], known.params, rtol=CLOSE, atol=CLOSE)
        np.testing.assert_allclose(fit.scale[k], known.scale, rtol=CLOSE)


@pytest.mark.parametrize("solver", [s for s in SOLVERS if s != "fe"])
@pytest.mark.parametrize("level", [0.1, 1e9])
def test_voxels_without_noise_have_no_test(solver, level):
    X, Y, v = simulate(3)
    Y[:, 1], Y[:, 2] = level, X @ [level, 0.3 * level, -0.7 * level]
    cov = answers(solver, X, Y, v)[1]
    variance = np.einsum("qqv->qv", cov)
    assert (~(variance[:, 1:3] > 0)).all()
    assert (variance[:, [0, 3, 4]] > 0).all()


@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "cluster"])
def test_rows_of_maps_that_are_fitted_exactly_have_no_variance(cov_type):
    """Two maps for two columns leave nothing there; a family that has its own column, neither."""
    X, Y, _ = simulate(4)
    X[:2, 1:] = 0.0
    own = np.zeros((N, 2))
    own[:2, 0], own[1, 1] = 1.0, 1.0
    groups = np.r_[0, 0, 1 + FAMILIES[2:]]
    fit = fit_group_linear(linear_basis(np.c_[X, own]), Y, cov_type, groups)
    cov = fit.test_parts(np.eye(5))[0]
    known = np.isfinite(np.einsum("qqv->qv", cov))
    assert known[1:3].all()
    assert not known[4].any()
