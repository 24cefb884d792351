"""Corrections by permutation through the verbs: the same numbers, the words, the refusals."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

import voxlm as vx
from voxlm.analysis.group import lmer
from voxlm.analysis.lmmaps import lm_maps
from voxlm.analysis.meta import meta
from voxlm.bids.maps import Maps
from voxlm.errors import DataError, VoxlmError
from voxlm.inference.permutation import permutation_test
from voxlm.inference.plan import Plan
from voxlm.kernels.graph import volume_graph

SHAPE = (8, 7, 6)
V = 336
# Least squares of the fit and of the test: rounding; images hold float32.
RTOL, WRITTEN = 1e-9, 1e-4


def study(n=16, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "group": np.repeat(["control", "patient"], n // 2),
            "age": rng.uniform(20, 70, n),
            "pair": np.tile(np.arange(n // 2), 2),
        }
    )
    noise = ndimage.gaussian_filter(rng.standard_normal((n, *SHAPE)), (0, 1, 1, 1))
    noise /= noise.std()
    noise[n // 2 :, 2:5, 2:5, 2:4] += 2.5
    return table, noise


def images(n=16):
    table, data = study(n)
    affine = np.diag([2.0, 2, 2, 1])
    table["effect"] = [nib.Nifti1Image(x.astype(np.float32), affine) for x in data]
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), affine)
    return Maps(table, effect="effect", mask=mask), data.reshape(n, -1)


def arrays():
    table, data = study()
    return Maps(table, data=data.reshape(16, -1))


def test_maxt_of_arrays_is_the_test_of_the_design():
    maps = arrays()
    fit = lm_maps("~ group + age", maps)
    contrast = fit.contrast("group[T.patient]")
    verdict = contrast.correct("maxt", n_perm=300, seed=4)
    alone = permutation_test(
        maps.values, fit.design.matrix, contrast.hypothesis.C, Plan(n_perm=300, seed=4)
    )
    np.testing.assert_array_equal(verdict.p, alone.measure("maxt").p)
    np.testing.assert_allclose(verdict.permutations.statistic, contrast.stat, rtol=RTOL)
    assert verdict.n_significant >= 10
    assert verdict.method == "maxt"
    np.testing.assert_array_equal(verdict.significant, np.abs(contrast.stat) > verdict.threshold)
    assert "family-wise error 0.05, largest statistic of 300 random exchanges" in repr(verdict)
    assert len(verdict.table()) == verdict.n_significant


@pytest.mark.parametrize("method", ["cluster_extent", "cluster_mass", "tfce"])
def test_clusters_of_images(method):
    maps, data = images()
    contrast = lm_maps("~ group", maps).contrast("group[T.patient]")
    verdict = contrast.correct(method, n_perm=200, connectivity=26)
    graph = volume_graph(SHAPE, np.arange(V), 26)
    X = np.c_[np.ones(16), np.arange(16) >= 8]
    plan = Plan((method,), n_perm=200)
    alone = permutation_test(data.astype(np.float32), X, [0, 1], plan, graph=graph)
    np.testing.assert_allclose(verdict.p, alone.measure(method).p, atol=2 / 201)
    table = verdict.table(connectivity=26)
    assert table.loc[0, "cluster"] == "1"
    assert table["voxels"].sum() == verdict.n_significant > 10
    assert verdict.image("p").shape == SHAPE


def test_blocks_by_the_name_of_a_column():
    maps = arrays()
    contrast = lm_maps("~ group + C(pair)", maps).contrast("group[T.patient]")
    verdict = contrast.correct("maxt_step", blocks="pair", n_perm=500)
    assert verdict.permutations.n_perm == 2**8 - 1
    assert verdict.permutations.scheme == "all 255 exchanges"
    assert np.all(verdict.p <= verdict.permutations.measure("maxt").p + RTOL)


def test_the_mean_of_a_group_is_tested_by_flips_and_several_rows_jointly():
    maps = arrays()
    fit = lm_maps("~ 1", maps)
    verdict = fit.contrast("Intercept").correct("maxt", n_perm=99)
    assert "99 random sign flips" in repr(verdict)
    joint = lm_maps("~ group + age", maps).f_test("group[T.patient], age")
    found = joint.correct("maxt", n_perm=99)
    np.testing.assert_allclose(found.permutations.statistic, joint.stat, rtol=RTOL)
    assert "F > " in repr(found)


def test_a_shifted_null_hypothesis():
    maps = arrays()
    contrast = lm_maps("~ group", maps).contrast("group[T.patient] = 2.5")
    verdict = contrast.correct("maxt", n_perm=99)
    np.testing.assert_allclose(verdict.permutations.statistic, contrast.stat, rtol=WRITTEN)


def test_true_discoveries_in_regions():
    maps = arrays()
    contrast = lm_maps("~ group", maps).contrast("group[T.patient]")
    active = np.zeros(SHAPE, dtype=bool)
    active[2:5, 2:5, 2:4] = True
    found = contrast.discoveries()
    assert 10 < found.discoveries(active.ravel()) <= active.sum()
    assert found.discoveries(~active.ravel()) <= 2
    calibrated = contrast.discoveries(method="pari", n_perm=300, seed=2)
    assert 10 < calibrated.discoveries(active.ravel()) <= active.sum()
    np.testing.assert_allclose(calibrated.p, contrast.p, rtol=WRITTEN)


def test_conjunction_of_two_contrasts():
    table, data = study()
    table["effect"] = [nib.Nifti1Image(x, np.diag([2.0, 2, 2, 1])) for x in data]
    maps = Maps(table, mask=nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.diag([2.0, 2, 2, 1])))
    fit = lm_maps("~ 0 + group", maps)
    a, b = fit.contrast("group[patient]"), fit.contrast("group[patient] - group[control]")
    both = vx.conjunction(a, b)
    agree = np.sign(a.t) == np.sign(b.t)
    np.testing.assert_array_equal(both.p, np.where(agree, np.maximum(a.p, b.p), 1.0))
    decided = both.correct("fdr")
    assert decided.n_significant > 5
    assert not decided.significant[~agree].any()
    assert both.image("z").shape == SHAPE
    np.testing.assert_allclose(np.abs(both.z[agree]), np.minimum(abs(a.z), abs(b.z))[agree])
    assert "2 contrasts against the conjunction null" in repr(both)
    with pytest.raises(DataError, match="no map called 't'"):
        both.image("t")
    with pytest.raises(VoxlmError, match="two contrasts or more"):
        vx.conjunction(a)
    other = lm_maps("~ 1", arrays()).contrast("Intercept")
    with pytest.raises(DataError, match="lie on different"):
        vx.conjunction(a, other)


def test_refused():
    maps = arrays()
    fit = lm_maps("~ group", maps)
    contrast = fit.contrast("group[T.patient]")
    run = vx.Run(np.random.default_rng(0).normal(100, 1, (60, 5)), tr=2.0, events=events())
    table = maps.table.assign(pair=[f"p{k}" for k in maps.table["pair"]])
    again = Maps(table, data=maps.values, variance=np.ones_like(maps.values))
    mixed = lmer("~ group + (1 | pair)", again).contrast("group[T.patient]")
    known = meta("~ group", again).contrast("group[T.patient]")
    robust = lm_maps("~ group", maps, cov_type="HC3").contrast("group[T.patient]")
    for call, kind, said in [
        (lambda: vx.lm("y ~ face", run).contrast("face").correct("maxt"), DataError, "correlated"),
        (lambda: mixed.correct("tfce"), DataError, "do not have"),
        (lambda: known.correct("maxt"), DataError, "this is a fit with meta"),
        (lambda: robust.correct("maxt"), DataError, "weights or robust errors"),
        (lambda: contrast.correct("tfce"), DataError, "have neighbours|have not|do not have"),
        (lambda: contrast.correct("maxt", nperm=5), VoxlmError, "did you mean 'n_perm'"),
        (lambda: contrast.correct("fdr", n_perm=5), VoxlmError, "n_perm: not for 'fdr'"),
        (lambda: contrast.correct("maxt", blocks="pear"), DataError, "did you mean 'pair'"),
        (lambda: contrast.correct("maxt", n_perm=10), VoxlmError, "ask for n_perm >= 19"),
        (lambda: contrast.discoveries(method="arri"), DataError, "'ari' or 'pari': got 'arri'"),
        (lambda: contrast.discoveries(n_perm=9), DataError, "options n_perm are for 'pari'"),
        (lambda: contrast.discoveries(method="pari", E=1), VoxlmError, "unknown option 'E'"),
        (lambda: contrast.correct("tcfe"), VoxlmError, "did you mean 'tfce'"),
        (
            lambda: (
                lm_maps("~ group", images()[0])
                .contrast("group[T.patient]")
                .correct("tfce", connectivity=8)
            ),
            DataError,
            "connectivity is 6, 18 or 26, got 8",
        ),
    ]:
        with pytest.raises(kind, match=said):
            call()


def events():
    return pd.DataFrame({"onset": [10.0, 50.0, 80.0], "duration": 5.0, "trial_type": "face"})
