"""What the models share with nilearn's and scikit-learn's beside numbers."""

from __future__ import annotations

import re

import nibabel as nib
import nilearn.exceptions
import numpy as np
import pandas as pd
import pytest
import sklearn
from nilearn.glm.contrasts import compute_fixed_effect_contrast as their_fixed
from nilearn.glm.first_level import run_glm as their_run_glm
from nilearn.maskers import NiftiMasker, SurfaceMasker
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
from nilearn_study import AFFINE, TR, events, group_maps, image, mask_image
from sklearn.base import clone

from voxlm.errors import VoxlmError, VoxlmWarning
from voxlm.glm import cluster_level_inference
from voxlm.glm.contrasts import compute_fixed_effect_contrast
from voxlm.glm.first_level import FirstLevelModel, run_glm
from voxlm.glm.mapscans import MapScans, map_scans
from voxlm.glm.masking import make_masker, stack
from voxlm.glm.second_level import SecondLevelModel, non_parametric_inference

SAME = 1e-10


def mesh(n):
    rng = np.random.default_rng(n)
    faces = np.c_[np.arange(n - 2), np.arange(1, n - 1), np.arange(2, n)]
    return InMemoryMesh(rng.standard_normal((n, 3)), faces)


def surface(left, right, T):
    rng = np.random.default_rng(0)
    parts = {"left": mesh(left), "right": mesh(right)}
    data = {"left": rng.standard_normal((left, T)), "right": rng.standard_normal((right, T))}
    return SurfaceImage(PolyMesh(**parts), data)


@pytest.mark.parametrize("kind", [FirstLevelModel, SecondLevelModel])
def test_metadata_are_routed_as_scikit_learn_does(kind):
    asked = "events" if kind is FirstLevelModel else "confounds"
    with sklearn.config_context(enable_metadata_routing=True):
        model = kind().set_fit_request(**{asked: True})
        assert isinstance(model, kind)
        for one in (model, clone(model)):
            assert one.get_metadata_routing().fit.requests[asked] is True
        assert kind().get_metadata_routing().fit.requests[asked] is None
        with pytest.raises(TypeError, match="Unexpected args"):
            kind().set_fit_request(nothing=True)


def test_a_notebook_shows_a_model_with_its_parameters():
    model = FirstLevelModel(t_r=TR, mask_img=mask_image())
    assert "FirstLevelModel" in model._repr_html_()
    assert "Not fitted" in model._repr_html_()
    assert "Not fitted" not in model.fit(image(0), events(0))._repr_html_()


def test_tags_are_those_of_image_estimators():
    tags = FirstLevelModel().__sklearn_tags__()
    assert tags == SecondLevelModel().__sklearn_tags__()
    assert (tags.estimator_type, tags.input_tags.surf_img) == ("glm", True)


def test_the_masker_of_surfaces_is_nilearns():
    picture = surface(9, 7, 20)
    design = pd.DataFrame({"a": np.arange(20.0), "constant": 1.0})
    model = FirstLevelModel(mask_img=False).fit(picture, design_matrices=design)
    assert isinstance(model.masker_, SurfaceMasker)
    assert model.masker_.transform(picture).shape == (20, model.n_elements_)


def test_a_masker_that_is_given_is_used_and_said():
    masker = NiftiMasker(mask_image(), smoothing_fwhm=5.0, detrend=True).fit()
    with pytest.warns(
        UserWarning, match="Overriding provided-default estimator parameters"
    ) as said:
        model = FirstLevelModel(t_r=TR, mask_img=masker).fit(image(0), events(0))
    assert any("Parameter smoothing_fwhm" in str(one.message) for one in said)
    assert any("detrend :\n    True is not applied" in str(one.message) for one in said)
    assert model.masker_ is masker


def test_errors_are_of_nilearns_kinds_too():
    four = nib.Nifti1Image(np.zeros((3, 3, 3, 2)), np.eye(4))
    with pytest.raises(nilearn.exceptions.DimensionError, match="incompatible dimension") as caught:
        cluster_level_inference(four, threshold=0.5)
    assert isinstance(caught.value, VoxlmError)
    with pytest.raises(nilearn.exceptions.MeshDimensionError, match="Number of vertices") as caught:
        FirstLevelModel().fit([surface(9, 7, 5), surface(7, 9, 5)], design_matrices=None)
    assert isinstance(caught.value, VoxlmError)


def test_a_mean_contrast_over_runs():
    rng = np.random.default_rng(0)
    X = np.c_[rng.standard_normal((40, 2)), np.ones(40)]
    data = [rng.standard_normal((40, 8)) for _ in range(3)]
    weights = [np.array([1.0, -1, 0])] * 2 + [np.zeros(3)]
    found = []
    for make, fixed in ((run_glm, compute_fixed_effect_contrast), (their_run_glm, their_fixed)):
        fits = [make(Y, X, "ar1") for Y in data]
        with pytest.warns(UserWarning, match="Contrast for run 2 is null"):
            found.append(fixed(*zip(*fits, strict=True), weights))
    np.testing.assert_allclose(found[0].effect_size(), found[1].effect_size(), atol=SAME)
    np.testing.assert_allclose(found[0].z_score(), found[1].z_score(), atol=SAME)


@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_a_constant_series_has_a_mean_and_no_statistic(noise):
    rng = np.random.default_rng(0)
    X = np.c_[rng.standard_normal(30), np.ones(30)]
    Y = rng.standard_normal((30, 3))
    Y[:, 1] = 6.0
    labels, results = run_glm(Y, X, noise)
    fit = results[labels[1]]
    at = int(np.flatnonzero(np.flatnonzero(labels == labels[1]) == 1)[0])
    np.testing.assert_allclose(fit.theta[:, at], [0.0, 6.0], atol=SAME)
    np.testing.assert_allclose(fit.residuals[:, at], 0.0, atol=SAME)
    assert np.isnan(np.atleast_1d(fit.Tcontrast([1.0, 0]).t)[at])


@pytest.mark.parametrize("noise", ["ols", "ar1"])
@pytest.mark.parametrize("scaling", [False, 0, 1, (0, 1)])
def test_a_constant_voxel_has_coefficients_whether_or_not_data_are_kept(noise, scaling):
    """Its effect follows from its level; its statistics and maps are NaN."""
    data = np.random.default_rng(0).normal(50.0, 3.0, (3, 2, 2, 30))
    data[0, 0, 0], data[1, 0, 0], data[2, 0, 0] = 6.0, 0.0, 0.25
    design = pd.DataFrame({"a": np.sin(np.arange(30.0)), "constant": 1.0})
    keep, drop = (
        FirstLevelModel(
            mask_img=False, noise_model=noise, signal_scaling=scaling, minimize_memory=small
        ).fit(nib.Nifti1Image(data, AFFINE), design_matrices=design)
        for small in (False, True)
    )
    np.testing.assert_array_equal(keep.labels_[0], drop.labels_[0])
    for label, fit in keep.results_[0].items():
        assert np.isfinite(fit.theta).all()
        np.testing.assert_allclose(drop.results_[0][label].theta, fit.theta, rtol=SAME, atol=SAME)
    if scaling is False:
        first = drop.results_[0][drop.labels_[0][0]].theta[:, 0]
        np.testing.assert_allclose(first, [0.0, 6.0], atol=SAME)
    maps = drop.compute_contrast("a", output_type="all")
    for one in maps.values():
        found = np.isnan(one.get_fdata())
        assert found[0, 0, 0] == (scaling != 1 or scaling is False)
        assert not found[0, 1].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maps_are_streamed_to_the_same_result(tmp_path, dtype):
    """More maps than a block holds, from files, with a hole."""
    maps = []
    for k, one in enumerate(group_maps(21)):
        values = one.get_fdata().astype(dtype)
        if k == 4:
            values[3, 3, 3] = np.nan
        path = tmp_path / f"map-{k}.nii.gz"
        nib.save(nib.Nifti1Image(values, AFFINE), path)
        maps.append(str(path))
    masker = make_masker(maps, mask_image(), "background")
    source = map_scans(masker, maps)
    assert isinstance(source, MapScans)
    assert source.dtype == dtype
    whole = stack(masker, maps)
    np.testing.assert_array_equal(source.read(np.arange(source.n_voxels)), whole)
    design = pd.DataFrame({"age": np.linspace(-1, 1, 21), "intercept": 1.0})
    streamed, kept = (
        SecondLevelModel(mask_img=mask_image(), minimize_memory=small)
        .fit(maps, design_matrix=design)
        .compute_contrast("age", output_type="stat")
        .get_fdata()
        for small in (True, False)
    )
    np.testing.assert_allclose(streamed, kept, rtol=1e-9, atol=1e-9)
    assert np.isnan(streamed[3, 3, 3])


def test_a_vertex_without_a_value_is_no_vertex_of_zero():
    maps = [surface(9, 7, 1) for _ in range(6)]
    rng = np.random.default_rng(1)
    for one in maps:
        one.data.parts["left"] = rng.standard_normal(9)
        one.data.parts["right"] = rng.standard_normal(7)
    maps[2].data.parts["left"][4] = np.nan
    design = pd.DataFrame({"intercept": np.ones(6)})
    model = SecondLevelModel(mask_img=False).fit(maps, design_matrix=design)
    left = model.compute_contrast(output_type="stat").data.parts["left"]
    assert np.flatnonzero(np.isnan(left)).tolist() == [4]


def check_untested(images):
    """Statistics are NaN, and p is 1."""
    inside = mask_image().get_fdata() > 0
    for name, one in images.items():
        values = one.get_fdata()[inside]
        assert (values == 0).all() if name.startswith("logp") else np.isnan(values).all()


def test_nothing_to_permute_is_said():
    design = pd.DataFrame({"a": [0.0, 1, 2], "b": [1.0, 0, 4], "intercept": 1.0})
    with pytest.warns(VoxlmWarning, match="3 maps and 3 independent columns leave no residual"):
        found = non_parametric_inference(
            group_maps(3), design_matrix=design, second_level_contrast="a", n_perm=10,
            mask=mask_image(), tfce=True, threshold=0.001,
        )  # fmt: skip
    kinds = ("t", "tfce", "size", "mass")
    assert set(found) == {*kinds, *(f"logp_max_{kind}" for kind in kinds)}
    check_untested(found)


@pytest.mark.parametrize("tfce", [False, True])
def test_maps_that_all_agree_are_no_test(tfce):
    with pytest.warns(VoxlmWarning, match="no voxel can be tested.*so there are no statistics"):
        found = non_parametric_inference(
            [group_maps(1)[0]] * 5, design_matrix=pd.DataFrame({"intercept": np.ones(5)}),
            mask=mask_image(), n_perm=10, tfce=tfce,
        )  # fmt: skip
    check_untested(found if tfce else {"logp_max_t": found})


def test_verbose_says_how_long_it_took(capsys):
    FirstLevelModel(t_r=TR, mask_img=mask_image(), verbose=1).fit(image(0), events(0))
    assert re.search(r"Computation of 1 runs done in [0-9.]+ seconds", capsys.readouterr().out)
