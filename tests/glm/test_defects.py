"""What nilearn 0.14 gets wrong, each with the behaviour here.

Where nilearn's designs are its definition (the grid of the response, Glover's derivative in width),
the name keeps its numbers and the right thing is to be had as a value. The docstring of each test
begins with its number; those that need files or permutations stand beside their kin, in
``test_save_to_bids``, ``test_from_bids`` and ``test_non_parametric``.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import nilearn.glm.first_level as theirs
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from nilearn.maskers import NiftiMasker
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
from nilearn_study import AFFINE, SHAPE, TR, T, events, group_maps, image, mask_image, series

import voxlm as vx
from voxlm.glm import Contrast, cluster_level_inference, expression_to_contrast_vector
from voxlm.glm.first_level import (
    FirstLevelModel,
    compute_regressor,
    make_first_level_design_matrix,
    mean_scaling,
    run_glm,
)
from voxlm.glm.second_level import SecondLevelModel

SAME = 1e-9
INSIDE = mask_image().get_fdata() > 0
TIMES = np.arange(T) * TR


def fitted(picture=None, table=None, **parameters):
    given = {"t_r": TR, "mask_img": mask_image(), "noise_model": "ols", **parameters}
    return FirstLevelModel(**given).fit(
        image(0) if picture is None else picture, events(0) if table is None else table
    )


def strip(n_vertices: int) -> PolyMesh:
    """Two hemispheres, each a strip of triangles whose vertices are numbered at random."""
    parts = {}
    for seed, side in enumerate(("left", "right")):
        order = np.random.default_rng(seed).permutation(n_vertices)
        places = np.zeros((n_vertices, 3))
        places[order, 0] = np.arange(n_vertices) // 2
        places[order, 1] = np.arange(n_vertices) % 2
        k = np.arange(n_vertices - 2)
        parts[side] = InMemoryMesh(places, order[np.c_[k, k + 1, k + 2]])
    return PolyMesh(**parts)


def test_clusters_of_a_surface_follow_its_mesh():
    """03: nilearn takes runs of vertex numbers for clusters."""
    mesh, n = strip(60), 60
    along = {side: np.argsort(mesh.parts[side].coordinates[:, 0]) for side in ("left", "right")}
    data = {side: np.random.default_rng(0).normal(0, 0.1, n) for side in ("left", "right")}
    data["left"][along["left"][:12]] = 5.0
    data["left"][along["left"][30:40]] = 4.0
    picture = SurfaceImage(mesh=mesh, data=data)
    found = cluster_level_inference(picture, threshold=2.5)
    left = found.data.parts["left"].ravel()
    assert set(np.flatnonzero(left)) == set(along["left"][:12]) | set(along["left"][30:40])
    assert np.unique(left[along["left"][:12]]).size == 1
    assert np.unique(left[left > 0]).size <= 2


@pytest.mark.parametrize("noise", ["ols", "ar1"])
@pytest.mark.parametrize("level", [0.0, 7.0])
def test_dead_voxels_have_no_statistic(noise, level):
    """04: rounding over rounding gives nilearn a z of several units."""
    data = series(0)
    data[3, 3, 3] = level
    model = fitted(nib.Nifti1Image(data, AFFINE), noise_model=noise)
    for name in ("z_score", "stat"):
        values = model.compute_contrast("face", output_type=name).get_fdata()
        assert np.isnan(values[3, 3, 3])
        assert np.isfinite(values[INSIDE]).sum() == INSIDE.sum() - 1


@pytest.mark.parametrize("how", [True, "zscore"])
def test_standardize_has_an_effect(how):
    """05: nilearn sets it to None whatever it is."""
    effect = fitted(signal_scaling=False, standardize=how).compute_contrast(
        "face", output_type="effect_size"
    )
    plain = fitted(signal_scaling=False).compute_contrast("face", output_type="effect_size")
    sd = series(0)[INSIDE].std(axis=1, ddof=1 if how is True else 0)
    np.testing.assert_allclose(
        effect.get_fdata()[INSIDE], plain.get_fdata()[INSIDE] / sd, rtol=1e-9
    )


def test_scaling_by_the_mean_of_each_scan():
    """06: nilearn raises a broadcast error."""
    data = series(0)[INSIDE].T
    expected = 100 * (data / data.mean(axis=1, keepdims=True) - 1)
    np.testing.assert_allclose(mean_scaling(data, axis=1)[0], expected, atol=SAME)
    model = fitted(signal_scaling=1)
    beta = np.linalg.lstsq(model.design_matrices_[0].to_numpy(), expected, rcond=None)[0]
    found = model.compute_contrast("face", output_type="effect_size").get_fdata()[INSIDE]
    np.testing.assert_allclose(found, beta[0], atol=SAME)


def test_residuals_are_in_the_units_of_the_data():
    """07: nilearn takes whitened predictions off raw data."""
    model = fitted(noise_model="ar1", minimize_memory=False)
    residuals, predicted, r_square = (
        getattr(model, name)[0].get_fdata() for name in ("residuals_", "predicted_", "r_square_")
    )
    data = mean_scaling(series(0)[INSIDE].T)[0]
    np.testing.assert_allclose((residuals + predicted)[INSIDE].T, data, atol=SAME)
    X = model.design_matrices_[0].to_numpy()
    inside = predicted[INSIDE].T
    np.testing.assert_allclose(X @ np.linalg.lstsq(X, inside, rcond=None)[0], inside, atol=1e-8)
    assert (r_square >= 0).all()
    assert (r_square <= 1).all()


def test_noise_of_a_voxel_is_its_own():
    """08: without a constant in the design, nilearn's rho depends on the other voxels."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(T, 2)), rng.normal(size=(T, 20)).cumsum(axis=0) + 30.0
    alone = run_glm(Y[:, :1], X)[0][0]
    assert run_glm(Y, X)[0][0] == alone
    residual = Y[:, 0] - X @ np.linalg.lstsq(X, Y[:, 0], rcond=None)[0]
    rho = sm.regression.yule_walker(residual, 1, method="adjusted")[0][0]
    assert float(alone) == np.trunc(rho * 100) / 100


def test_the_true_derivative_of_glovers_response():
    """09: nilearn's has another undershoot; the true one is a value, and differs."""
    true = replace(vx.hrf.glover(dispersion=True), width_u_dispersion=0.9)
    triplet = ([10.0], [0.0], [1.0])
    kept, _ = compute_regressor(triplet, "glover + derivative + dispersion", TIMES)
    named, _ = theirs.compute_regressor(triplet, "glover + derivative + dispersion", TIMES)
    np.testing.assert_allclose(kept, named, atol=1e-10)
    right = true.kernels(TR, 50)[1]
    wide = replace(vx.hrf.glover(), dispersion=0.91)
    plain, wider = (g.kernels(TR, 50)[0] for g in (vx.hrf.glover(), wide))
    np.testing.assert_allclose(right, (plain - wider) / 0.01, atol=1e-12)
    found, names = compute_regressor(triplet, true, TIMES)
    assert names == ["cond", "cond_dispersion"]
    assert np.abs(found[:, 1] - kept[:, 2]).max() > 1e-3


def test_events_before_the_grid_are_left_out():
    """10: nilearn warns that they are not considered, and lets their response in."""
    with pytest.warns(UserWarning, match="are thus not considered"):
        early, _ = compute_regressor(([-30.0, 40.0], [5.0, 1.0], [1.0, 1.0]), "spm", TIMES)
    plain, _ = compute_regressor(([40.0], [1.0], [1.0]), "spm", TIMES)
    np.testing.assert_array_equal(early, plain)


def test_a_response_without_shift_or_stretch():
    """11: nilearn's kernel is a grid step late; a function of seconds is convolved as it is."""

    def density(t):
        return np.where(t > 0, t**5 * np.exp(-t) / 120, 0.0)

    found, _ = compute_regressor(([10.0], [20.0], [1.0]), density, TIMES)
    fine = np.arange(0, 20, 0.002) + 0.001
    truth = np.array([density(t - 10.0 - fine).sum() * 0.002 for t in TIMES])
    # What is left is linear reading between steps of 0.04 s.
    np.testing.assert_allclose(found[:, 0], truth, atol=5e-3)


def test_missing_values_of_events_are_said():
    """12: nilearn drops rows without trial_type, and takes a missing modulation for 0."""
    table = events(0)
    table.loc[2, "trial_type"] = None
    with pytest.warns(UserWarning, match="trial_type is missing in row 3 of the events"):
        found = make_first_level_design_matrix(TIMES, table)
    kept = make_first_level_design_matrix(TIMES, table.drop(index=2))
    np.testing.assert_array_equal(found, kept)
    scaled = events(0).assign(modulation=1.5)
    scaled.loc[4, "modulation"] = np.nan
    with pytest.raises(ValueError, match="modulation is missing in row 5"):
        make_first_level_design_matrix(TIMES, scaled)
    with pytest.raises(ValueError, match="modulation is missing"):
        fitted(table=scaled)


def test_noise_of_higher_order_survives_zeros_and_likeness():
    """13: nilearn merges clusters whose rounded names agree; one zero series stops it all."""
    rng = np.random.default_rng(0)
    X, Y = np.c_[rng.normal(size=T), np.ones(T)], rng.normal(size=(T, 30)).cumsum(axis=0)
    Y[:, 7] = 0.0
    labels, results = run_glm(Y, X, "ar2")
    assert np.unique(np.delete(labels, 7)).size == 29
    for k in (0, 29):
        white = results[labels[k]]
        alone = run_glm(Y[:, [k]], X, "ar2")
        np.testing.assert_allclose(white.theta[:, 0], alone[1][alone[0][0]].theta[:, 0], rtol=1e-9)
    assert np.isnan(results[labels[7]].dispersion[0])


@pytest.mark.parametrize("text", ["a>b", "a<b", "a*b", "a==b", "1", "a-", "__import__('os')"])
def test_a_contrast_is_a_sum_of_columns(text):
    """14: nilearn reads 'a>b' as 'a'."""
    with pytest.raises(ValueError, match="Contrast not found in design matrix"):
        expression_to_contrast_vector(text, ["a", "b"])


def test_a_new_baseline_is_a_new_z():
    """15: nilearn keeps the lower tail of the first."""
    con = Contrast(np.array([1.0]), np.array([1.0]), dof=50)
    con.z_score(0.0)
    fresh = Contrast(np.array([1.0]), np.array([1.0]), dof=50)
    assert con.z_score(4.0) == fresh.z_score(4.0)
    assert con.z_score(4.0)[0] == pytest.approx(-con.z_score(-2.0)[0], abs=1e-12)


def test_one_rank_for_scale_and_degrees_of_freedom():
    """17: nilearn divides by rows less columns, and counts rows less rank."""
    rng = np.random.default_rng(0)
    one = np.c_[rng.normal(size=(T, 2)), np.ones(T)]
    X, Y = np.c_[one, one[:, 0]], rng.normal(size=(T, 5))
    result = run_glm(Y, X, "ols")[1][0.0]
    expected = [sm.OLS(Y[:, k], X).fit() for k in range(5)]
    np.testing.assert_allclose(result.dispersion, [e.scale for e in expected], rtol=1e-10)
    np.testing.assert_allclose(result.MSE, result.dispersion, rtol=1e-10)
    assert result.df_residuals == expected[0].df_resid


def test_f_over_runs_is_that_of_the_mean_effect():
    """18: nilearn averages whitened effects."""
    table = [events(0), events(1)]
    model = FirstLevelModel(t_r=TR, mask_img=mask_image(), noise_model="ols")
    model.fit([image(0), image(1)], table)
    F = model.compute_contrast(np.eye(3)[:2], output_type="stat").get_fdata()[INSIDE]
    effects, covs = [], []
    for k in (0, 1):
        frame, Y = model.design_matrices_[k].to_numpy(), mean_scaling(series(k)[INSIDE].T)[0]
        beta = np.linalg.lstsq(frame, Y, rcond=None)[0]
        scale = ((Y - frame @ beta) ** 2).sum(axis=0) / (T - frame.shape[1])
        effects.append(beta[:2])
        covs.append(np.linalg.inv(frame.T @ frame)[:2, :2, None] * scale)
    mean, cov = sum(effects) / 2, sum(covs) / 4
    wald = np.einsum("iv,vij,jv->v", mean, np.linalg.inv(np.moveaxis(cov, 2, 0)), mean) / 2
    np.testing.assert_allclose(F, wald, rtol=1e-8)


def test_a_masker_is_not_changed_and_smoothing_is_done():
    """19: nilearn writes to the masker and leaves smoothing_fwhm out."""
    masker = NiftiMasker(mask_image(), standardize=None).fit()
    before = dict(masker.get_params())
    model = fitted(mask_img=masker, smoothing_fwhm=6.0)
    assert {k: v is before[k] or v == before[k] for k, v in masker.get_params().items()}
    assert masker.standardize is None
    assert masker.smoothing_fwhm is None
    found = model.compute_contrast("face").get_fdata()
    np.testing.assert_array_equal(
        found, fitted(smoothing_fwhm=6.0).compute_contrast("face").get_fdata()
    )
    assert np.abs(found - fitted().compute_contrast("face").get_fdata()).max() > 0.1
    unchanged = FirstLevelModel(t_r=TR, mask_img=False)
    unchanged.fit(image(0), events(0))
    assert unchanged.mask_img is False


def test_a_map_without_a_value_is_no_map_of_zero():
    """20: nilearn puts 0 where a subject has NaN."""
    maps = group_maps(8)
    hole = maps[3].get_fdata().copy()
    hole[4, 4, 4] = np.nan
    maps[3] = nib.Nifti1Image(hole, AFFINE)
    model = SecondLevelModel(mask_img=mask_image())
    model.fit(maps, design_matrix=pd.DataFrame({"intercept": np.ones(8)}))
    with pytest.warns(UserWarning, match="1 of 120 voxels are NaN in some map"):
        found = model.compute_contrast().get_fdata()
    assert np.isnan(found[4, 4, 4])
    assert np.isfinite(found[INSIDE]).sum() == INSIDE.sum() - 1


def test_a_table_of_several_maps_a_subject():
    """20: nilearn makes a design with a row for each map, which no contrast fits."""
    subjects = [f"s{k}" for k in range(6)]
    table = pd.DataFrame(
        {
            "subject_label": subjects * 2,
            "map_name": np.repeat(["one", "two"], 6),
            "effects_map_path": group_maps(12),
        }
    )
    model = SecondLevelModel(mask_img=mask_image()).fit(table)
    assert model.design_matrix_.shape == (6, 1)
    found = model.compute_contrast("intercept", first_level_contrast="two")
    plain = SecondLevelModel(mask_img=mask_image())
    plain.fit(group_maps(12)[6:], design_matrix=pd.DataFrame({"intercept": np.ones(6)}))
    np.testing.assert_array_equal(found.get_fdata(), plain.compute_contrast().get_fdata())


def test_nothing_is_said_of_good_data():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted().compute_contrast("face - house", output_type="all")
    assert mask_image().shape == SHAPE


def test_every_defect_has_its_test():
    """All 22 are numbered; a test that goes away takes its number with it."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        found |= {int(n) for n in re.findall(r'def test_\w+\([^)]*\):\n    """(\d\d): ', text)}
    assert found == set(range(1, 23))
