"""Verdicts on conjunctions: p-values of the weakest, permutations by intersection and union."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import voxlm as vx
from voxlm.errors import VoxlmError

SHAPE, N = (7, 6, 5), 20
# Inverting a tail and taking it again.
TWICE = 1e-7


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(8)
    data = rng.standard_normal((N, *SHAPE))
    data[: N // 2, 1:4, 1:4, 1:4] += 3
    data[N // 2 :, 2:5, 1:4, 1:4] += 3
    data[: N // 2, 6], data[N // 2 :, 6] = 3, -3  # opposite directions
    data[:, 6] += rng.standard_normal((N, *SHAPE[1:]))
    table = pd.DataFrame({"group": np.repeat(["a", "b"], N // 2)})
    table["effect"] = [nib.Nifti1Image(x, np.diag([2.0, 2, 2, 1])) for x in data]
    fit = vx.lm("effect ~ 0 + group", vx.Maps(table))
    return fit.contrast("group[a]"), fit.contrast("group[b]")


def test_conjunction_null_takes_the_largest_p(pair):
    a, b = pair
    both = vx.conjunction(a, b)
    opposite = np.sign(a.t) != np.sign(b.t)
    p = np.where(opposite, 1.0, np.maximum(a.p, b.p))
    for method, known in (("holm", "holm"), ("fdr", "fdr_bh"), ("bonferroni", "bonferroni")):
        verdict = both.correct(method)
        reject, corrected, *_ = multipletests(p, 0.05, known)
        np.testing.assert_array_equal(verdict.significant, reject)
        np.testing.assert_allclose(verdict.p, corrected, rtol=TWICE)
    inside = np.zeros(SHAPE, bool)
    inside[2:4, 1:4, 1:4] = True
    assert verdict.significant.reshape(SHAPE)[inside].mean() > 0.8
    assert not verdict.significant.reshape(SHAPE)[6].any()
    assert repr(verdict).split(": ")[1].startswith("|z| >= ")
    assert verdict.table()["stat"].max() == pytest.approx(both.z.max())
    assert verdict.contrast.text == "group[a] & group[b]"


def test_global_null_multiplies_tails(pair):
    a, b = pair
    joint = vx.conjunction(a, b, null="global")
    largest = np.maximum(a.p, b.p) / 2
    p = np.where(np.sign(a.t) != np.sign(b.t), 1.0, 2 * largest**2)
    np.testing.assert_allclose(joint.correct("bonferroni").p, np.minimum(p * p.size, 1), rtol=TWICE)
    assert joint.correct("fdr").n_significant > vx.conjunction(a, b).correct("fdr").n_significant


def test_one_sided_conjunction_is_of_positive_effects(pair):
    a, b = pair
    verdict = vx.conjunction(a, b).correct("none", two_sided=False)
    agree = np.sign(a.t) == np.sign(b.t)
    up = np.maximum(stats.t.sf(a.t, 18), stats.t.sf(b.t, 18)) <= 0.05
    np.testing.assert_array_equal(verdict.significant, up & agree)


@pytest.mark.parametrize("method", ["maxt", "tfce", "cluster_extent"])
def test_permuted_by_intersection_and_union(pair, method, tmp_path):
    a, b = pair
    options = {"n_perm": 99, "seed": 2}
    verdict = vx.conjunction(a, b).correct(method, **options)
    each = [con.correct(method, **options) for con in pair]
    agree = np.sign(a.t) == np.sign(b.t)
    both = each[0].significant & each[1].significant & agree
    np.testing.assert_array_equal(verdict.significant, both)
    assert both.any()
    np.testing.assert_array_equal(verdict.p[agree], np.maximum(each[0].p, each[1].p)[agree])
    assert verdict.p[~agree].min() == 1.0
    assert repr(verdict).count("family-wise error 0.05") == 2
    assert vx.load_verdict(verdict.save(tmp_path / method)) == verdict


def test_three_contrasts_and_true_discoveries(pair):
    a, b = pair
    verdict = vx.conjunction(a, b, a).correct("ari", forming=2.5)
    assert 0 < verdict.tdp() < 0.5
    assert verdict.table()["tdp"].dropna().max() > 0.3


def test_what_conjunctions_lack(pair):
    for method in ("grf", "pari"):
        with pytest.raises(VoxlmError, match=f"{method}' is not for a conjunction"):
            vx.conjunction(*pair).correct(method)
    with pytest.raises(VoxlmError, match="against the global null hypothesis: use one of"):
        vx.conjunction(*pair, null="global").correct("maxt", n_perm=99)
    with pytest.raises(VoxlmError, match="did you mean 'maxt'"):
        vx.conjunction(*pair).correct("max_t")
