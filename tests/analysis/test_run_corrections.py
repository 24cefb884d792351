"""Corrections of first-level contrasts: flips of whole runs, smoothness from a run's residuals."""

from itertools import product

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

import voxlm as vx
from voxlm.analysis.residuals import run_residuals
from voxlm.errors import DataError, VoxlmError
from voxlm.inference.roughness import measure_roughness

SHAPE, T, TR, R = (8, 8, 8), 60, 2.0, 6
AFFINE = np.diag([3.0, 3, 3, 1])
# Residuals in float64 by another route.
RTOL = 1e-8


def events(seed):
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.choice(np.arange(2, 100, 4), 12, replace=False)).astype(float)
    return pd.DataFrame({"onset": onset, "duration": 2.0, "trial_type": ["face", "house"] * 6})


def run(seed, **options):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((*SHAPE, T)), (1, 1, 1, 0))
    noise = 1000 + 10 * noise / noise.std()
    for t in range(1, T):
        noise[..., t] += 0.3 * (noise[..., t - 1] - 1000)
    table = events(seed)
    response = vx.design("y ~ face", vx.Run(np.zeros((T, 1)), events=table, tr=TR)).frame["face"]
    noise[2:5, 2:5, 2:5] += 30 * response.to_numpy()
    image = nib.Nifti1Image(noise, AFFINE)
    return vx.Run(
        image,
        events=table,
        tr=TR,
        mask=nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE),
        **options,
    )


@pytest.fixture(scope="module")
def runs():
    return [run(seed) for seed in range(R)]


@pytest.fixture(scope="module")
def fixed(runs):
    return vx.lm("y ~ face + house", runs)


@pytest.mark.parametrize("weighting", ["unweighted", "precision"])
def test_flips_of_runs_by_brute_force(fixed, weighting):
    con = fixed.contrast("face - house", weighting)
    verdict = con.correct("maxt")
    single = [fit.contrast("face - house") for fit in fixed]
    effect = np.array([c.effect for c in single])
    weight = np.ones_like(effect)
    if weighting == "precision":
        weight = np.array([c.se**-2.0 for c in single])
    variance = np.sum((weight * np.array([c.se for c in single])) ** 2, axis=0)
    largest = []
    for signs in product([1, -1], repeat=R):
        t = (np.array(signs)[:, None] * weight * effect).sum(axis=0) / np.sqrt(variance)
        largest.append(np.abs(t).max())
    expected = [(np.array(largest) >= t * (1 - 1e-9)).mean() for t in np.abs(con.t)]
    np.testing.assert_allclose(verdict.p, expected, atol=1e-12)
    np.testing.assert_allclose(verdict.permutations.statistic, con.t, rtol=RTOL)
    assert verdict.permutations.exhaustive
    assert verdict.permutations.least_p == 2.0 ** (1 - R) == verdict.p.min()
    assert "all 63 sign flips" in repr(verdict)
    assert verdict.significant.reshape(SHAPE)[2:5, 2:5, 2:5].sum() > 5


def test_clusters_and_enhancement_of_runs(fixed):
    con = fixed.contrast("face - house")
    for method in ("tfce", "cluster_mass", "maxt_step"):
        verdict = con.correct(method, two_sided=False)
        assert verdict.p.min() == 1 / 64
        assert verdict.significant.reshape(SHAPE)[2:5, 2:5, 2:5].sum() > 5
    assert con.correct("maxt", n_perm=40).permutations.exhaustive is False


def test_what_runs_cannot_give_is_refused(fixed, runs):
    few = vx.lm("y ~ face + house", runs[:4]).contrast("face - house")
    con = fixed.contrast("face - house")
    alone = vx.lm("y ~ face + house", runs[0]).contrast("face - house")
    for call, said in [
        (lambda: few.correct("maxt"), "15 permutations cannot reach p <= 0.05: the smallest p is"),
        (lambda: few.correct("maxt"), "0.125; the design allows no more"),
        (lambda: alone.correct("tfce"), "one run is one observation"),
        (lambda: fixed.contrast("face, house").correct("maxt"), "has no sign to flip"),
        (lambda: con.correct("maxt", blocks=[0, 0, 1, 1, 2, 2]), "unknown option 'blocks'"),
        (lambda: con.correct("pari"), "there are only runs: use 'ari'"),
    ]:
        with pytest.raises((DataError, VoxlmError), match=said):
            call()


def pieces(fits):
    return np.concatenate(list(run_residuals(fits)))


def test_residuals_of_a_run_are_those_of_statsmodels(runs):
    plain = vx.lm("y ~ face + house", runs[0])
    np.testing.assert_allclose(
        pieces([plain]), plain.resid / np.linalg.norm(plain.resid, axis=0), atol=1e-10
    )
    noise = vx.glsar("y ~ face + house", runs[0], order=2)
    found = pieces([noise])
    np.testing.assert_allclose(np.sum(found**2, axis=0), 1.0, rtol=RTOL)
    for i in (0, 200):
        results = noise.voxel(*np.unravel_index(i, SHAPE))
        white = results.wresid
        np.testing.assert_allclose(found[:, i], white / np.linalg.norm(white), atol=1e-8)


def test_removed_scans_cut_the_whitening():
    kept = np.ones(T, bool)
    kept[[7, 8, 30]] = False
    cut = vx.glsar("y ~ face + house", run(1, sample_mask=kept))
    found = pieces([cut])
    assert len(found) == kept.sum() - 3
    np.testing.assert_allclose(np.sum(found**2, axis=0), 1.0, rtol=RTOL)


def test_random_fields_of_runs(fixed, runs):
    single = vx.lm("y ~ face + house", runs[0])
    con = single.contrast("face - house")
    verdict = con.correct("grf")
    resid = single.resid / np.linalg.norm(single.resid, axis=0)
    expected = measure_roughness([resid], con.space.voxels, np.ones(512, bool))
    np.testing.assert_allclose(verdict.field.roughness.fwhm, expected.fwhm, rtol=RTOL)
    assert verdict.field.df == single.df_resid
    assert verdict.field.sides == 2
    pooled = fixed.contrast("face - house").correct("grf")
    np.testing.assert_allclose(pooled.field.roughness.fwhm, expected.fwhm, rtol=0.1)
    assert pooled.field.df == fixed.df_resid
    joint = vx.glsar("y ~ face + house", runs[0]).contrast("face, house").correct("grf")
    assert (joint.field.kind, joint.field.df_num, joint.field.sides) == ("F", 2, 1)


@pytest.mark.parametrize("method", ["none", "bonferroni", "holm", "fdr", "fdr_by", "ari", "grf"])
def test_every_parametric_method_takes_every_first_level_fit(fixed, runs, method):
    for fit in (fixed, vx.lm("y ~ face + house", runs[0]), vx.glsar("y ~ face + house", runs[0])):
        for spec in ("face - house", "face, house"):
            verdict = fit.contrast(spec).correct(method)
            assert verdict.significant.any() or method != "none"
            assert np.array_equal(verdict.p <= 0.05, verdict.significant)
