"""Second-level maps, fixed effects, contrasts and thresholds against nilearn in one process."""

from __future__ import annotations

import nibabel as nib
import nilearn.glm as theirs
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel as TheirFirst
from nilearn.glm.second_level import SecondLevelModel as Theirs
from nilearn_study import AFFINE, SHAPE, TR, events, group_maps, image, mask_image
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from voxlm import glm as ours
from voxlm.glm.first_level import FirstLevelModel
from voxlm.glm.second_level import SecondLevelModel

SAME = 1e-9
N = 12
TWO_GROUPS = pd.DataFrame(
    {"patient": np.repeat([1.0, 0.0], 6), "control": np.repeat([0.0, 1.0], 6)}
).assign(age=np.linspace(-1, 1, 12) ** 3)


@pytest.fixture(scope="module")
def maps():
    return group_maps(N)


def assert_same_maps(one, other, **contrast):
    expected = one.compute_contrast(output_type="all", **contrast)
    mine = other.compute_contrast(output_type="all", **contrast)
    inside = other.mask_img_.get_fdata() > 0
    for name, image_ in expected.items():
        np.testing.assert_allclose(
            mine[name].get_fdata()[inside], image_.get_fdata()[inside], atol=SAME, err_msg=name
        )


@pytest.mark.parametrize(
    "parameters",
    [{}, {"smoothing_fwhm": 5.0}, {"mask_img": mask_image()}],
    ids=["plain", "smoothed", "masked"],
)
def test_maps(maps, parameters):
    models = [
        kind(**parameters).fit(maps, design_matrix=TWO_GROUPS)
        for kind in (Theirs, SecondLevelModel)
    ]
    np.testing.assert_array_equal(models[1].mask_img_.get_fdata(), models[0].mask_img_.get_fdata())
    assert_same_maps(*models, second_level_contrast="patient - control")
    assert_same_maps(*models, second_level_contrast=np.eye(3)[:2])
    assert_same_maps(*models, second_level_contrast=[0, 0, 1])


def test_kinds_of_input(maps, tmp_path):
    paths = []
    for k, one in enumerate(maps):
        paths.append(str(tmp_path / f"{k}.nii.gz"))
        nib.save(one, paths[-1])
    design = pd.DataFrame({"intercept": np.ones(N)})
    table = pd.DataFrame(
        {
            "subject_label": [f"s{k:02}" for k in range(N)][::-1],
            "map_name": "con",
            "effects_map_path": paths,
        }
    )
    first = SecondLevelModel().fit(maps, design_matrix=design).compute_contrast()
    expected = first.get_fdata()
    four = nib.Nifti1Image(np.stack([m.get_fdata() for m in maps], axis=-1), AFFINE)
    for given in (paths, pd.Series(paths), four):
        model = SecondLevelModel(mask_img=mask_image()).fit(given, design_matrix=design)
        np.testing.assert_allclose(
            model.compute_contrast().get_fdata()[mask_image().get_fdata() > 0],
            expected[mask_image().get_fdata() > 0],
            atol=1e-5,
        )
    model = SecondLevelModel().fit(table)
    found = model.compute_contrast("intercept", first_level_contrast="con").get_fdata()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_first_level_models_as_input():
    firsts = [
        [
            kind(t_r=TR, mask_img=mask_image(), noise_model="ols", subject_label=f"{k}").fit(
                image(k), events(k)
            )
            for k in range(4)
        ]
        for kind in (
            TheirFirst,
            FirstLevelModel,
        )
    ]
    ages = pd.DataFrame({"subject_label": list("0123"), "age": [20, 31, 45, 28]})
    one = Theirs().fit(firsts[0], confounds=ages)
    other = SecondLevelModel().fit(firsts[1], confounds=ages)
    pd.testing.assert_frame_equal(other.design_matrix_, one.design_matrix_, check_index_type=False)
    assert_same_maps(one, other, second_level_contrast="age", first_level_contrast="face")
    with pytest.raises(ValueError, match="first_level_contrast is mandatory"):
        other.compute_contrast("age")


def test_residuals(maps):
    given = {"minimize_memory": False}
    models = [
        kind(**given).fit(maps, design_matrix=TWO_GROUPS) for kind in (Theirs, SecondLevelModel)
    ]
    with pytest.raises(ValueError, match="The model has no results"):
        _ = models[1].residuals_
    for model in models:
        model.compute_contrast("patient")
    for name in ("residuals_", "predicted_"):
        np.testing.assert_allclose(
            getattr(models[1], name).get_fdata(), getattr(models[0], name).get_fdata(), atol=SAME
        )


def test_formula():
    model = SecondLevelModel().fit(group_maps(N), design_matrix=TWO_GROUPS)
    assert model.formula == "effect ~ 0 + patient + control + age"


def test_group_messages(maps):
    model = SecondLevelModel()
    with pytest.raises(TypeError, match="'second_level_input' must be"):
        model.fit(1)
    with pytest.raises(TypeError, match="at least two"):
        model.fit([maps[0]], design_matrix=TWO_GROUPS)
    with pytest.raises(ValueError, match="require a design matrix"):
        model.fit(maps)
    with pytest.raises(ValueError, match="does not match the number of maps"):
        model.fit(maps[:-1], design_matrix=TWO_GROUPS)
    with pytest.raises(ValueError, match=r"File not found: 'a\.nii'"):
        model.fit(["a.nii", "b.nii"], design_matrix=TWO_GROUPS)
    fitted = model.fit(maps, design_matrix=TWO_GROUPS)
    with pytest.raises(ValueError, match="No second-level contrast is specified"):
        fitted.compute_contrast()
    with pytest.raises(ValueError, match="Contrast is null"):
        fitted.compute_contrast([0, 0, 0])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dofs", [None, [50, 80]])
def test_fixed_effects(weighted, dofs):
    models = [
        FirstLevelModel(t_r=TR, mask_img=mask_image()).fit(image(k), events(k)) for k in (0, 1)
    ]
    found = [m.compute_contrast("face", output_type="all") for m in models]
    effects, variances = ([f[n] for f in found] for n in ("effect_size", "effect_variance"))
    mine = ours.compute_fixed_effects(effects, variances, mask_image(), weighted, dofs)
    expected = theirs.compute_fixed_effects(effects, variances, mask_image(), weighted, dofs)
    for one, other in zip(mine, expected, strict=True):
        np.testing.assert_allclose(one.get_fdata(), other.get_fdata(), atol=SAME)


def test_contrast_object():
    rng = np.random.default_rng(0)
    effect, variance = rng.normal(size=(3, 40)), rng.uniform(0.5, 2, size=40)
    for shape in (effect[0], effect):
        pair = [
            package.Contrast(shape, variance, dof=20, stat_type="t" if shape.ndim == 1 else "F")
            for package in (ours, theirs)
        ]
        for name in ("stat", "p_value", "z_score", "one_minus_pvalue"):
            one, other = (getattr(c, name)() for c in pair)
            np.testing.assert_allclose(one, other, atol=SAME, err_msg=name)
        summed = [2 * (c + c) for c in pair]
        np.testing.assert_allclose(summed[0].z_score(), summed[1].z_score(), atol=SAME)


@pytest.fixture(scope="module")
def z_image():
    rng = np.random.default_rng(1)
    values = np.zeros(SHAPE)
    inside = mask_image().get_fdata() > 0
    values[inside] = rng.standard_normal(int(inside.sum()))
    values[3:6, 3:6, 3:5] += 3.5
    values[6, 2:5, 5] -= 4.0
    return nib.Nifti1Image(values, AFFINE)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("control", ["fpr", "fdr", "bonferroni", None])
@pytest.mark.parametrize("cluster", [0, 6])
@pytest.mark.parametrize("mask", [None, mask_image()], ids=["guess", "mask"])
def test_thresholds(z_image, two_sided, control, cluster, mask):
    given = {
        "alpha": 0.05,
        "height_control": control,
        "threshold": 2.2 if control is None else None,
        "cluster_threshold": cluster,
        "two_sided": two_sided,
    }
    image_, threshold = ours.threshold_stats_img(z_image, mask, **given)
    expected, their_threshold = theirs.threshold_stats_img(z_image, mask, **given)
    assert threshold == pytest.approx(their_threshold, abs=1e-14)
    np.testing.assert_array_equal(image_.get_fdata(), expected.get_fdata())


def test_family_wise_error(z_image):
    _, threshold = ours.threshold_stats_img(z_image, mask_image(), alpha=0.05, height_control="fwe")
    z = z_image.get_fdata()[mask_image().get_fdata() > 0]
    rejected = multipletests(2 * norm.sf(np.abs(z)), 0.05, "holm")[0]
    np.testing.assert_array_equal(np.abs(z) >= threshold, rejected)


def test_fdr_threshold():
    z = np.r_[np.random.default_rng(0).standard_normal(400), 3.0 + np.arange(20) / 10]
    for alpha in (0.001, 0.05, 0.2, 1.0):
        assert ours.fdr_threshold(z, alpha) == pytest.approx(
            theirs.fdr_threshold(z, alpha), abs=1e-14
        )
    assert ours.fdr_threshold(np.zeros(10), 0.05) == np.inf
    with pytest.raises(ValueError, match="alpha should be between 0 and 1"):
        ours.fdr_threshold(z, -0.1)


@pytest.mark.parametrize("threshold", [2.0, [1.5, 2.5, 3.5]], ids=str)
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_true_discoveries(z_image, threshold, alpha):
    found = ours.cluster_level_inference(z_image, mask_image(), threshold, alpha)
    expected = theirs.cluster_level_inference(z_image, mask_image(), threshold, alpha)
    np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), atol=1e-12)
    assert found.get_fdata().max() > 0
