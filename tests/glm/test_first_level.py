"""First-level maps against nilearn in the same process."""

from __future__ import annotations

import pickle

import nibabel as nib
import numpy as np
import pytest
from nilearn.glm.first_level import FirstLevelModel as Theirs
from nilearn.glm.first_level import run_glm as their_run_glm
from nilearn_study import AFFINE, SHAPE, TR, T, confounds, events, image, mask_image, series
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

import voxlm as vx
from voxlm.glm.first_level import FirstLevelModel, run_glm

# The same arithmetic in another order, on data of a few per cent around 100.
SAME = 1e-9
KEPT = np.r_[0:30, 33:60, 61:T]


@pytest.fixture(scope="module")
def runs():
    return [image(0), image(1)]


def both(images, table, further=None, fit=None, **parameters):
    """Fit both models."""
    given = {"t_r": TR, "mask_img": mask_image(), **parameters}
    fit = fit or {}
    return [kind(**given).fit(images, table, further, **fit) for kind in (Theirs, FirstLevelModel)]


def assert_same_maps(one, other, contrast, **kind):
    theirs = one.compute_contrast(contrast, output_type="all", **kind)
    mine = other.compute_contrast(contrast, output_type="all", **kind)
    assert set(mine) == set(theirs)
    for name, expected in theirs.items():
        np.testing.assert_allclose(
            mine[name].get_fdata(), expected.get_fdata(), atol=SAME, rtol=SAME, err_msg=name
        )
        np.testing.assert_array_equal(mine[name].affine, expected.affine)


@pytest.mark.parametrize("noise", ["ols", "ar1"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"hrf_model": "spm + derivative", "slice_time_ref": 0.5},
        {"smoothing_fwhm": 5.0},
        {"signal_scaling": False},
        {"signal_scaling": (0, 1)},
        {"drift_model": "polynomial", "drift_order": 2},
        {"drift_model": None},
        {"minimize_memory": False},
        {"target_affine": np.diag([4.0, 4.0, 4.0])},
    ],
    ids=str,
)
def test_one_run(runs, noise, parameters):
    models = both(runs[0], events(0), confounds(0), noise_model=noise, **parameters)
    assert_same_maps(*models, "face - 0.5*house")
    assert_same_maps(*models, np.eye(2))


@pytest.mark.parametrize("noise", ["ols", "ar1"])
@pytest.mark.parametrize("masks", [None, [KEPT, KEPT[:-3]]])
def test_several_runs(runs, noise, masks):
    tables, further = [events(0), events(1)], [confounds(0), confounds(1)]
    models = both(runs, tables, further, {"sample_masks": masks}, noise_model=noise)
    for mine, theirs in zip(models[1].design_matrices_, models[0].design_matrices_, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=SAME)
    assert_same_maps(*models, "face - house")
    assert_same_maps(*models, ["face", "tool"])


def test_other_bins(runs):
    models = both(runs[0], events(0), fit={"bins": 20})
    assert_same_maps(*models, "face - house")
    np.testing.assert_array_equal(models[1].labels_[0], models[0].labels_[0])


def test_integer_image_with_header_scaling(tmp_path):
    """Stored as int16 with a slope, read from a file."""
    path = tmp_path / "bold.nii.gz"
    picture = nib.Nifti1Image(series(3), AFFINE)
    picture.set_data_dtype(np.int16)
    nib.save(picture, path)
    models = both(str(path), events(0))
    assert_same_maps(*models, "face - house")


def test_single_precision_is_no_worse_than_its_digits():
    """nilearn scales float32 in float32; we scale in float64, so maps differ by its rounding."""
    picture = nib.Nifti1Image(series(3).astype(np.float32), AFFINE)
    theirs, mine = both(picture, events(0), noise_model="ols")
    one, other = (
        m.compute_contrast("face", output_type="stat").get_fdata() for m in (theirs, mine)
    )
    # 100 (y / m - 1) in float32 has steps of 6e-6, against noise of about 1.
    np.testing.assert_allclose(other, one, atol=1e-5)


def test_designs_as_given(runs):
    design = both(runs[0], events(0))[0].design_matrices_[0]
    one = Theirs(mask_img=mask_image()).fit(runs[0], design_matrices=design)
    other = FirstLevelModel(mask_img=mask_image()).fit(runs[0], design_matrices=design)
    assert_same_maps(one, other, "house")
    with pytest.warns(UserWarning, match="events will be ignored"):
        FirstLevelModel(mask_img=mask_image()).fit(runs[0], events(0), design_matrices=design)


def test_a_mask_is_computed_as_theirs():
    rng = np.random.default_rng(0)
    full = rng.normal(20, 2, size=(20, 21, 18, 40))
    full[5:15, 5:16, 4:14] += 900
    pictures = [nib.Nifti1Image(full, AFFINE), nib.Nifti1Image(full[..., ::-1] + 1, AFFINE)]
    theirs, mine = both(pictures, [events(0)] * 2, mask_img=None)
    np.testing.assert_array_equal(mine.mask_img_.get_fdata(), theirs.mask_img_.get_fdata())
    assert mine.n_elements_ == theirs.n_elements_


@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_results_have_their_shapes_and_numbers(noise):
    rng = np.random.default_rng(0)
    X = np.c_[rng.standard_normal((60, 4)), np.ones(60)]
    Y = rng.standard_normal((60, 25)).cumsum(axis=0) * 0.2 + rng.standard_normal((60, 25))
    labels, results = run_glm(Y, X, noise)
    their_labels, theirs = their_run_glm(Y, X, noise)
    np.testing.assert_array_equal(labels, their_labels)
    assert set(results) == set(theirs)
    for label, expected in theirs.items():
        mine = results[label]
        for name in ("theta", "dispersion", "cov", "SSE", "MSE", "whitened_residuals", "logL"):
            np.testing.assert_allclose(
                getattr(mine, name), getattr(expected, name), atol=SAME, rtol=SAME, err_msg=name
            )
        assert mine.df_residuals == expected.df_residuals
        con = np.array([1.0, -1, 0, 0, 0])
        np.testing.assert_allclose(mine.Tcontrast(con).t, expected.Tcontrast(con).t, rtol=SAME)
        F = np.eye(5)[:2]
        np.testing.assert_allclose(mine.Fcontrast(F).F, expected.Fcontrast(F).F, rtol=SAME)


def test_higher_orders_are_each_voxels_own(runs):
    """nilearn gives voxels the AR(2) of the middle of their cluster; with one a voxel we agree."""
    small = np.zeros(SHAPE, dtype=np.int8)
    small[3:6, 3:6, 3] = 1
    given = {"mask_img": nib.Nifti1Image(small, AFFINE), "noise_model": "ar2", "random_state": 0}
    theirs, mine = both(runs[0], events(0), **given)
    distinct = len(set(theirs.labels_[0]))
    assert distinct == 9, "labels of nilearn collided: choose other voxels"
    assert_same_maps(theirs, mine, "face - house")


def test_estimator_conventions():
    model = FirstLevelModel(t_r=2.0, noise_model="ols", mask_img=mask_image())
    assert set(model.get_params()) == set(Theirs().get_params())
    assert FirstLevelModel().get_params() == Theirs().get_params()
    copy = clone(model)
    assert copy is not model
    assert copy.get_params()["noise_model"] == "ols"
    assert model.set_params(t_r=3.0) is model
    assert model.t_r == 3.0
    with pytest.raises(ValueError, match="Invalid parameter 'tr'"):
        model.set_params(tr=1)
    assert repr(FirstLevelModel(t_r=2.0, hrf_model="spm")) == (
        "FirstLevelModel(t_r=2.0, hrf_model='spm')"
    )
    with pytest.raises(ValueError, match="not fitted yet"):
        model.compute_contrast("face")


def test_fitted_model(runs):
    model = FirstLevelModel(t_r=TR, mask_img=mask_image()).fit(runs[0], events(0))
    check_is_fitted(model)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.compute_contrast("face").get_fdata(), model.compute_contrast("face").get_fdata()
    )
    assert model.fir_delays_ == [0]
    assert model.standardize_ is None
    image = model.compute_contrast("face - house")
    assert b"z_score of contrast" in bytes(image.header["descrip"])


def test_memory_keeps_fits(runs, tmp_path):
    plain = FirstLevelModel(t_r=TR, mask_img=mask_image()).fit(runs[0], events(0))
    for _ in range(2):
        kept = FirstLevelModel(t_r=TR, mask_img=mask_image(), memory=str(tmp_path))
        kept.fit(runs[0], events(0))
        np.testing.assert_allclose(
            kept.compute_contrast("face").get_fdata(),
            plain.compute_contrast("face").get_fdata(),
            atol=SAME,
        )
    assert any(tmp_path.rglob("output.pkl"))


def test_residuals_and_predictions(runs):
    theirs, mine = both(runs[0], events(0), noise_model="ols", minimize_memory=False)
    for name in ("residuals_", "predicted_", "r_square_"):
        np.testing.assert_allclose(
            getattr(mine, name)[0].get_fdata(), getattr(theirs, name)[0].get_fdata(), atol=1e-7
        )
    small = FirstLevelModel(t_r=TR, mask_img=mask_image()).fit(runs[0], events(0))
    with pytest.raises(AttributeError, match="To access voxelwise attributes"):
        _ = small.residuals_


@pytest.mark.parametrize(
    "parameters",
    [
        {"hrf_model": "spm"},
        {"hrf_model": "glover + derivative"},
        {"hrf_model": "fir", "fir_delays": [0, 1]},
        {"hrf_model": "spm", "drift_model": "polynomial", "drift_order": 2},
        {"hrf_model": "spm", "drift_model": None},
    ],
    ids=str,
)
def test_formula_says_the_same(parameters):
    table = events(0).replace({"trial_type": {"tool": "left-hand"}})
    model = FirstLevelModel(t_r=TR, mask_img=mask_image(), **parameters)
    model.fit(image(0), table, confounds(0))
    run = vx.Run(np.ones((T, 2)), events=table, confounds=confounds(0), tr=TR)
    design = vx.design(model.formula, run).frame
    frame = model.design_matrices_[0]
    assert len(design.columns) == len(frame.columns)
    for name in frame.columns:
        gaps = np.abs(design.to_numpy() - frame[name].to_numpy()[:, None]).max(axis=0)
        assert gaps.min() < SAME, name


def test_messages(runs):
    model = FirstLevelModel(t_r=TR, mask_img=mask_image())
    with pytest.raises(ValueError, match="events or design matrices must be provided"):
        model.fit(runs[0])
    with pytest.raises(ValueError, match=r"len\(run_imgs\) 2 does not match len\(events\) 1"):
        model.fit(runs, events(0))
    with pytest.raises(ValueError, match="Rows in confounds does not match"):
        model.fit(runs[0], events(0), confounds(0).iloc[1:])
    with pytest.raises(TypeError, match="'run_imgs' must be a single instance"):
        model.fit(np.ones((3, 3)), events(0))
    with pytest.raises(ValueError, match="field of view errors"):
        FirstLevelModel(t_r=TR).fit(
            [runs[0], nib.Nifti1Image(series(0)[1:], AFFINE)], [events(0)] * 2
        )
    with pytest.raises(ValueError, match="Acceptable noise models are"):
        FirstLevelModel(t_r=TR, noise_model="AR1").fit(runs[0], events(0))
    fitted = model.fit(runs[0], events(0))
    with pytest.raises(ValueError, match="Contrast not found in design matrix") as caught:
        fitted.compute_contrast("face - hose")
    assert "house" in str(caught.value)
    with pytest.raises(ValueError, match="'output_type' must be one of"):
        fitted.compute_contrast("face", output_type="t")
    with pytest.raises(ValueError, match="3 contrasts given, while there is 1 run"):
        fitted.compute_contrast([1, 0, 0])
    with pytest.raises(ValueError, match="All contrasts provided were null"):
        fitted.compute_contrast(np.zeros(4))


def test_a_contrast_that_a_singular_design_does_not_determine(runs):
    twice = confounds(0).assign(w=lambda c: c["x"] - c["y"])
    model = FirstLevelModel(t_r=TR, mask_img=mask_image(), noise_model="ols")
    model.fit(runs[0], events(0), twice)
    whole = FirstLevelModel(t_r=TR, mask_img=mask_image(), noise_model="ols")
    whole.fit(runs[0], events(0), confounds(0))
    np.testing.assert_allclose(
        model.compute_contrast("face").get_fdata(),
        whole.compute_contrast("face").get_fdata(),
        atol=SAME,
    )
    with pytest.raises(ValueError, match=r"Design matrix is singular: .*x, y, w"):
        model.compute_contrast("x")
