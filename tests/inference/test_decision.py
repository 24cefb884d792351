"""Corrections against statsmodels' multipletests and nilearn's fdr_threshold."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm import fdr_threshold
from scipy import stats
from statsmodels.stats.multitest import multipletests

from voxlm.contrasts import wald
from voxlm.errors import VoxlmError
from voxlm.inference import METHODS, correct

PEER = {"fdr": "fdr_bh", "fdr_by": "fdr_by", "bonferroni": "bonferroni", "holm": "holm"}
# The same operations in another order: one rounding each.
RTOL = 1e-14
# A threshold is the inverse of a tail; a t at the threshold has the cut as its p to this.
INVERSE_RTOL = 1e-9


def mixture(n=3000, effect=0.2, seed=0):
    """Mix uniform p with small ones."""
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    hit = rng.random(n) < effect
    p[hit] **= 8
    return p


def peer(p, method, alpha):
    reject, corrected, *_ = multipletests(p, alpha, PEER[method])
    return reject, corrected


@pytest.mark.parametrize("method", PEER)
@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_equals_statsmodels(method, alpha, seed):
    p = mixture(seed=seed)
    found = correct(p, method, alpha)
    reject, corrected = peer(p, method, alpha)
    np.testing.assert_array_equal(found.significant, reject)
    np.testing.assert_allclose(found.p, corrected, rtol=RTOL)
    assert found.n_significant == reject.sum()


P_VALUES = st.lists(
    st.one_of(
        st.floats(0, 1),
        st.sampled_from([0.0, 0.01, 0.0125, 0.02, 0.025, 0.05, 1.0]),  # ties, and exact bounds
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=120)
@given(p=P_VALUES, method=st.sampled_from(list(PEER)), alpha=st.sampled_from([0.01, 0.05, 0.5]))
def test_equals_statsmodels_with_ties_and_at_the_bounds(p, method, alpha):
    found = correct(p, method, alpha)
    reject, corrected = peer(np.array(p), method, alpha)
    np.testing.assert_array_equal(found.significant, reject)
    np.testing.assert_allclose(found.p, corrected, rtol=RTOL)


@settings(deadline=None, max_examples=100)
@given(p=P_VALUES, method=st.sampled_from(list(METHODS)))
def test_law_the_cut_is_the_decision(p, method):
    found = correct(p, method, 0.05)
    below = np.array(p) <= found.p_threshold
    if found.n_significant or method not in ("fdr", "fdr_by"):
        np.testing.assert_array_equal(found.significant, below)
    assert found.n_tests == len(p)


@settings(deadline=None, max_examples=100)
@given(p=P_VALUES, method=st.sampled_from(list(METHODS)), seed=st.integers(0, 99))
def test_law_order_of_voxels_and_nan_voxels_do_not_matter(p, method, seed):
    whole = correct(p, method)
    rng = np.random.default_rng(seed)
    scattered = np.full(len(p) + 5, np.nan)
    places = rng.choice(len(scattered), len(p), replace=False)
    scattered[places] = p
    found = correct(scattered, method)
    np.testing.assert_array_equal(found.significant[places], whole.significant)
    np.testing.assert_array_equal(found.p[places], whole.p)
    assert found.n_tests == whole.n_tests
    rest = np.setdiff1d(np.arange(len(scattered)), places)
    assert np.isnan(found.p[rest]).all()
    assert not found.significant[rest].any()


@pytest.mark.parametrize("seed", range(4))
def test_fdr_decides_as_nilearn_does(seed):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(4000)
    z[:400] += rng.choice([-3.5, 3.5], 400)
    found = correct(2 * stats.norm.sf(np.abs(z)), "fdr", 0.05)
    # One-sided p of |z| at half of alpha; no p here lies on its bound, where < and <= differ.
    np.testing.assert_array_equal(found.significant, np.abs(z) >= fdr_threshold(np.abs(z), 0.025))


def test_at_an_exact_bound_we_reject_and_nilearn_does_not():
    p = np.array([0.025, 0.9])  # the first bound is 0.05 * 1 / 2, exactly
    assert correct(p, "fdr", 0.05).significant.tolist() == [True, False]
    assert multipletests(p, 0.05, "fdr_bh")[0].tolist() == [True, False]
    z = stats.norm.isf(p)
    if stats.norm.sf(z[0]) == p[0]:
        assert not np.any(z >= fdr_threshold(z, 0.05))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["t", "F"])
@pytest.mark.parametrize("per_voxel", [False, True])
def test_threshold_in_units_of_the_statistic(method, kind, per_voxel):
    rng = np.random.default_rng(2)
    Q, V = (1, 800) if kind == "t" else (3, 800)
    effect = rng.standard_normal((Q, V)) + 4 * (rng.random(V) < 0.2)
    cov = np.repeat(np.eye(Q)[:, :, None], V, axis=2)
    df = rng.uniform(20, 60, V) if per_voxel else 33.0
    s = wald(effect, cov, df, kind)
    s.stat[5] = np.nan
    found = correct(s, method, 0.05)
    size = np.abs(s.stat)
    np.testing.assert_array_equal(found.significant, size >= found.threshold)
    assert found.statistic == kind
    assert found.n_tests == V - 1
    assert 10 < found.n_significant < 400
    at = wald(
        np.full((1, 1), np.ravel(found.threshold)[0]), np.ones((1, 1, 1)), np.ravel(df)[0], "t"
    )
    if kind == "t":
        assert at.p[0] == pytest.approx(found.p_threshold, rel=INVERSE_RTOL)


def test_words():
    s = wald(np.array([[6.0, 0.1, -7.0, np.nan]]), np.ones((1, 1, 4)), 100.0, "t")
    assert str(correct(s, "bonferroni")) == (
        "2 of 3 voxels significant: |t| >= 2.4349, p <= 0.01667 "
        "(family-wise error 0.05, Bonferroni over 3 tests)"
    )
    nothing = correct(wald(np.array([[0.1, 0.2]]), np.ones((1, 1, 2)), 100.0, "t"), "fdr")
    assert "0 of 2 voxels significant: nothing reaches the threshold" in str(nothing)
    assert nothing.threshold == np.inf
    assert not nothing.significant.any()


def test_underflowed_p_are_significant():
    s = wald(np.array([[1e6, 0.0]]), np.ones((1, 1, 2)), 1e4, "t")
    assert s.p[0] == 0
    assert correct(s, "bonferroni").significant.tolist() == [True, False]


def test_null_rate_of_fdr_and_bonferroni_is_the_level():
    rng = np.random.default_rng(11)
    hits = [
        correct(rng.random(200), m, 0.05).n_significant > 0
        for m in ("fdr", "bonferroni")
        for _ in range(1000)
    ]
    # Each holds 5 % under the global null; the bound is five binomial standard errors off.
    for share in (np.mean(hits[:1000]), np.mean(hits[1000:])):
        assert abs(share - 0.05) < 5 * np.sqrt(0.05 * 0.95 / 1000)


@pytest.mark.parametrize(
    ("p", "method", "alpha", "said"),
    [
        ([0.1], "fdrr", 0.05, "unknown correction 'fdrr'; did you mean 'fdr'"),
        ([0.1], "tukey", 0.05, "fdr, fdr_by, bonferroni, holm, none"),
        ([0.1], None, 0.05, "unknown correction None"),
        ([0.1], "fdr", 0.0, "alpha is a level between 0 and 1"),
        ([0.1], "fdr", "a", "got 'a'"),
        ([0.1], "fdr", 1.0, "got 1.0"),
        ([0.1], "fdr", np.nan, "got nan"),
        ([0.1], "fdr", 5, "got 5"),
        ([0.1, 3.2], "fdr", 0.05, "got 3.2: are these statistics rather than p"),
        ([0.1, -1.0], "fdr", 0.05, "got -1: are these"),
        ([np.nan, np.nan], "fdr", 0.05, "every p is NaN"),
        ([], "fdr", 0.05, "no test"),
        ([[0.1]], "fdr", 0.05, r"one axis, voxels \(V,\); got shape \(1, 1\)"),
    ],
)
def test_refused(p, method, alpha, said):
    with pytest.raises(VoxlmError, match=said):
        correct(p, method, alpha)


def test_it_is_frozen_and_leaves_p_alone():
    p = mixture(50)
    before = p.copy()
    found = correct(p)
    np.testing.assert_array_equal(p, before)
    with pytest.raises(FrozenInstanceError):
        found.alpha = 0.1
