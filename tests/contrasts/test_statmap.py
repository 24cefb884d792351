"""t and Wald F against statsmodels, voxel by voxel."""

from dataclasses import dataclass

import numpy as np
import pytest
import statsmodels.api as sm
from nilearn.glm.contrasts import Contrast
from numpy.linalg import inv

from voxlm.contrasts import hypothesis, statmap
from voxlm.design.columns import Column
from voxlm.errors import ContrastError
from voxlm.models.linear import fit_linear

# The same arithmetic in another order: a few eps times the condition of X'X.
RTOL = 1e-10
# nilearn takes z from a rounded p, which near p = 0.5 and p = 1 holds few digits of it.
NILEARN_Z_RTOL, NILEARN_Z_ATOL = 1e-8, 1e-9
# A t near 0 loses digits of its estimate by cancellation.
FIT_RTOL = 1e-9
NAMES = ("face", "house", "tool", "constant")
COLUMNS = [Column(name, name, "task", name) for name in NAMES]
T, V = 80, 12


@dataclass
class Ols:
    """Ordinary least squares with the verbs that a test needs."""

    X: np.ndarray
    Y: np.ndarray

    @property
    def df_resid(self):
        return float(len(self.X) - self.X.shape[1])

    def effect(self, C):
        return C @ np.linalg.lstsq(self.X, self.Y, rcond=None)[0]

    def vcov(self, C):
        resid = self.Y - self.X @ self.effect(np.eye(self.X.shape[1]))
        scale = (resid**2).sum(axis=0) / self.df_resid
        return (C @ inv(self.X.T @ self.X) @ C.T)[:, :, None] * scale


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(5)
    X = np.column_stack([rng.standard_normal((T, 3)), np.ones(T)])
    Y = X @ rng.normal(0, 0.3, (4, V)) + rng.standard_normal((T, V))
    return Ols(X, Y)


@pytest.mark.parametrize("text", ["face", "face - house", "(face + house)/2 - tool = 0.3"])
def test_t_equals_t_test(fit, text):
    h = hypothesis(text, COLUMNS)
    s = statmap.test(fit, h)
    for v in range(V):
        expected = sm.OLS(fit.Y[:, v], fit.X).fit().t_test((h.C, h.null))
        assert s.effect[0, v] == pytest.approx(float(expected.effect[0]), rel=RTOL)
        assert s.se[v] == pytest.approx(float(expected.sd[0, 0]), rel=RTOL)
        assert s.stat[v] == pytest.approx(float(expected.tvalue[0, 0]), rel=RTOL)
        assert s.p[v] == pytest.approx(float(expected.pvalue), rel=RTOL)
    assert s.kind == "t"
    assert s.df == T - 4
    np.testing.assert_array_equal(np.sign(s.z), np.sign(s.stat))
    np.testing.assert_allclose(10**s.log10p, s.p, rtol=RTOL)


@pytest.mark.parametrize(
    "text",
    [
        "face, house",
        "face = house = tool",
        "face - house = 0.2, tool = -0.1",
        "F(face)",
        "F(tool=1)",
    ],
)
def test_f_equals_f_test(fit, text):
    h = hypothesis(text, COLUMNS)
    s = statmap.test(fit, h)
    for v in range(V):
        expected = sm.OLS(fit.Y[:, v], fit.X).fit().f_test((h.C, h.null))
        assert s.stat[v] == pytest.approx(float(expected.fvalue), rel=RTOL)
        assert s.p[v] == pytest.approx(float(expected.pvalue), rel=RTOL)
        assert s.df_num == expected.df_num
    assert s.se.shape == (len(h.C), V)
    np.testing.assert_allclose(10**s.log10p, s.p, rtol=RTOL)


@dataclass(frozen=True)
class Scans:
    """A run in memory."""

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


@pytest.mark.parametrize("order", [0, 1, 3])
def test_equals_statsmodels_on_the_fits_of_this_package(fit, order):
    noise = np.random.default_rng(8).standard_normal((T + 1, V))
    Y = fit.Y + noise[1:] + 0.5 * noise[:-1]
    estimate = fit_linear(Scans(Y), fit.X, order=order)
    t, F = hypothesis("face - house = 0.1", COLUMNS), hypothesis("face = house = tool", COLUMNS)
    s_t, s_f = statmap.test(estimate, t), statmap.test(estimate, F)
    for v in range(V):
        if order:
            peer = sm.GLSAR(Y[:, v], fit.X, rho=order).iterative_fit(3, rtol=1e-4)
        else:
            peer = sm.OLS(Y[:, v], fit.X).fit()
        expected = peer.t_test((t.C, t.null))
        assert s_t.stat[v] == pytest.approx(float(expected.tvalue[0, 0]), rel=FIT_RTOL)
        assert s_t.p[v] == pytest.approx(float(expected.pvalue), rel=FIT_RTOL)
        expected = peer.f_test((F.C, F.null))
        assert s_f.stat[v] == pytest.approx(float(expected.fvalue), rel=FIT_RTOL)
        assert s_f.p[v] == pytest.approx(float(expected.pvalue), rel=FIT_RTOL)


def test_redundant_rows_give_the_f_of_the_rest(fit):
    few = statmap.test(fit, hypothesis("face = house = tool", COLUMNS))
    many = statmap.test(fit, hypothesis("face=house, house=tool, tool=face", COLUMNS))
    np.testing.assert_array_equal(few.stat, many.stat)
    assert many.df_num == 2


def test_law_f_of_one_row_is_t_squared(fit):
    t = statmap.test(fit, hypothesis("face - house", COLUMNS))
    f = statmap.test(fit, hypothesis("face - house", COLUMNS, kind="F"))
    np.testing.assert_allclose(f.stat, t.stat**2, rtol=RTOL)
    np.testing.assert_allclose(f.p, t.p, rtol=RTOL)


def test_law_f_does_not_depend_on_how_the_rows_are_written(fit):
    mix = np.array([[2.0, -1.0], [0.5, 3.0]])
    C = np.eye(4)[:2]
    one = statmap.test(fit, hypothesis(C, COLUMNS))
    other = statmap.test(fit, hypothesis(mix @ C, COLUMNS))
    np.testing.assert_allclose(one.stat, other.stat, rtol=RTOL)


def test_a_voxel_without_noise_or_data_has_no_statistic():
    effect = np.array([[1.0, np.nan, 1.0, 2.0, 1.0]])
    cov = np.array([[[0.0, 1.0, np.nan, 4.0, -1.0]]])
    for kind in ("t", "F"):
        s = statmap.wald(effect, cov, 30.0, kind)
        for values in (s.stat, s.p, s.z, s.log10p):
            assert np.isnan(values[[0, 1, 2, 4]]).all()
            assert np.isfinite(values[3])
    singular = np.ones((2, 2, 1))
    assert np.isnan(statmap.wald(np.array([[1.0], [2.0]]), singular, 9.0, "F").stat).all()


def test_df_per_voxel():
    effect, cov = np.full((1, 3), 2.5), np.ones((1, 1, 3))
    df = np.array([5.0, 50.0, 0.0])
    s = statmap.wald(effect, cov, df, "t")
    assert s.p[0] > s.p[1]
    assert np.isnan(s.stat[2])


@pytest.mark.parametrize("kind", ["t", "F"])
@pytest.mark.parametrize("df", [18.0, 195.0])
def test_z_equals_nilearn_where_its_does_not_saturate(kind, df):
    rng = np.random.default_rng(3)
    Q = 1 if kind == "t" else 3
    effect = rng.standard_normal((Q, 500)) * np.geomspace(0.1, 30, 500)
    cov = np.repeat(np.eye(Q)[:, :, None], 500, axis=2)
    s = statmap.wald(effect, cov, df, kind)
    peer = Contrast(effect, np.ones(500), dim=Q, dof=df, stat_type=kind)
    np.testing.assert_allclose(s.stat, peer.stat(), rtol=RTOL)
    np.testing.assert_allclose(s.z, peer.z_score(), rtol=NILEARN_Z_RTOL, atol=NILEARN_Z_ATOL)
    # nilearn's p is one-sided.
    half = s.p / 2 if kind == "t" else s.p
    upper = (s.stat > 0) | (kind == "F")
    np.testing.assert_allclose(half[upper], peer.p_value()[upper], rtol=1e-8)


def test_shapes_are_checked():
    with pytest.raises(
        ContrastError, match=r"covariance has shape \(1, 1, 2\), expected \(1, 1, 3\)"
    ):
        statmap.wald(np.ones((1, 3)), np.ones((1, 1, 2)), 9.0, "t")
    with pytest.raises(ContrastError, match="a t tests one row, got 2"):
        statmap.wald(np.ones((2, 3)), np.ones((2, 2, 3)), 9.0, "t")
