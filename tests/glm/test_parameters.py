"""Every parameter of the models has the effect that it says, or says that it has none."""

from __future__ import annotations

import inspect

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel as TheirFirst
from nilearn.glm.second_level import SecondLevelModel as TheirSecond
from nilearn_study import AFFINE, TR, confounds, events, group_maps, image, mask_image

from voxlm.glm.first_level import FirstLevelModel
from voxlm.glm.second_level import SecondLevelModel, make_second_level_design_matrix

SAME = 1e-9  # another order of the same arithmetic
COARSE = np.diag([5.0, 5.0, 5.0, 1.0])
COARSE[:3, 3] = (-12.0, -15.0, -10.0)
SMALL = nib.Nifti1Image(np.where(np.arange(9)[:, None, None] < 5, mask_image().dataobj, 0), AFFINE)
POLYNOMIAL = {"drift_model": "polynomial"}
FIR = {"hrf_model": "fir"}

# A parameter, what it is changed to, and what both models have besides.
FIRST = [
    ("slice_time_ref", 0.5, {}),
    ("hrf_model", "spm", {}),
    ("drift_model", None, {}),
    ("high_pass", 0.03, {}),
    ("drift_order", 3, POLYNOMIAL),
    ("fir_delays", [1], FIR),
    ("target_affine", COARSE, {}),
    ("target_shape", (4, 5, 4), {"target_affine": COARSE}),
    ("smoothing_fwhm", 5.0, {}),
    ("signal_scaling", False, {}),
    ("noise_model", "ols", {}),
    ("mask_img", False, {}),
]
OURS_ALONE = [("t_r", 2.5, {}), ("standardize", "psc", {"signal_scaling": False})]
FIRST_WITHOUT = [("n_jobs", 2), ("random_state", 3), ("reports", False), ("verbose", 1)]
FIRST_ELSEWHERE = {
    "min_onset": "test_an_early_event_counts_from_min_onset",
    "memory": "test_the_folder_of_fits",
    "memory_level": "test_the_folder_of_fits",
    "minimize_memory": "test_data_are_kept_where_asked",
    "subject_label": "test_labels_match_confounds",
}
SECOND = [
    ("target_affine", COARSE, {}),
    ("target_shape", (4, 5, 4), {"target_affine": COARSE}),
    ("smoothing_fwhm", 6.0, {}),
    ("mask_img", SMALL, {}),
]
SECOND_WITHOUT = [("n_jobs", 2), ("reports", False), ("verbose", 1)]
SECOND_ELSEWHERE = ("memory", "memory_level", "minimize_memory")


@pytest.fixture(scope="module")
def run():
    return image(0)


def first(kind, run, **parameters):
    return kind(**{"t_r": TR, "mask_img": mask_image(), **parameters}).fit(
        run, events(0), confounds(0)
    )


def second(kind, **parameters):
    design = make_second_level_design_matrix([str(k) for k in range(12)])
    model = kind(**{"mask_img": mask_image(), **parameters})
    return model.fit(group_maps(12), design_matrix=design)


def stat(model, output="stat"):
    """Return a map, of the first delay where the response has several."""
    weight = np.zeros(np.shape(design_of(model))[1])
    weight[0] = 1.0
    return model.compute_contrast(weight, output_type=output).get_fdata()


def design_of(model):
    return model.design_matrices_[0] if hasattr(model, "design_matrices_") else model.design_matrix_


def differ(one, other):
    return one.shape != other.shape or not np.allclose(one, other, atol=1e-4, equal_nan=True)


def test_no_parameter_is_left_untested():
    tried = {name for name, *_ in (*FIRST, *OURS_ALONE, *FIRST_WITHOUT)} | set(FIRST_ELSEWHERE)
    assert tried == set(FirstLevelModel().get_params())
    tried = {name for name, *_ in (*SECOND, *SECOND_WITHOUT)} | set(SECOND_ELSEWHERE)
    assert tried == set(SecondLevelModel().get_params())
    for kind, peer in ((FirstLevelModel, TheirFirst), (SecondLevelModel, TheirSecond)):
        for verb in ("fit", "compute_contrast", "generate_report"):
            ours, theirs = (inspect.signature(getattr(k, verb)).parameters for k in (kind, peer))
            assert [(p.name, p.default) for p in ours.values()] == [
                (p.name, p.default) for p in theirs.values()
            ]


@pytest.mark.parametrize(("name", "value", "besides"), FIRST, ids=[case[0] for case in FIRST])
def test_of_a_first_level_as_nilearn_has_it(run, name, value, besides):
    with_it = {**besides, name: value}
    mine, plain = (first(FirstLevelModel, run, **given) for given in (with_it, besides))
    np.testing.assert_allclose(
        stat(mine)[mine.mask_img_.get_fdata() > 0],
        stat(first(TheirFirst, run, **with_it))[mine.mask_img_.get_fdata() > 0],
        atol=SAME,
        rtol=SAME,
    )
    assert differ(*(stat(model, "effect_size") for model in (mine, plain))) or name == "noise_model"
    assert differ(stat(mine), stat(plain)) or name == "signal_scaling"


@pytest.mark.parametrize(("name", "value", "besides"), OURS_ALONE, ids=["t_r", "standardize"])
def test_of_a_first_level(run, name, value, besides):
    one, other = (
        first(FirstLevelModel, run, **given)
        .compute_contrast("face", output_type="effect_size")
        .get_fdata()
        for given in ({**besides, name: value}, besides)
    )
    assert differ(one, other)


@pytest.mark.parametrize(("name", "value"), FIRST_WITHOUT, ids=[case[0] for case in FIRST_WITHOUT])
def test_of_a_first_level_that_change_no_map(run, name, value, capsys):
    mine = first(FirstLevelModel, run, **{name: value})
    assert ("Computing run 1" in capsys.readouterr().out) == (name == "verbose")
    np.testing.assert_array_equal(stat(mine), stat(first(FirstLevelModel, run)))


def test_an_early_event_counts_from_min_onset(run):
    table = events(0)
    table.loc[0, ["onset", "duration", "trial_type"]] = [-30.0, 28.0, "face"]
    columns = [
        FirstLevelModel(t_r=TR, mask_img=mask_image(), min_onset=start)
        .fit(run, table)
        .design_matrices_[0]["face"]
        for start in (-24, -40)
    ]
    assert np.abs(columns[1] - columns[0])[0] > 0.1


def test_the_folder_of_fits(run, tmp_path):
    for make in (lambda **given: first(FirstLevelModel, run, **given), _fitted_group):
        for level in (0, 1):
            folder = tmp_path / f"{make.__name__}-{level}"
            kept = make(memory=str(folder), memory_level=level)
            np.testing.assert_allclose(stat(kept), stat(make()), atol=SAME)
            assert any(folder.rglob("output.pkl")) == bool(level)


def _fitted_group(**parameters):
    return second(SecondLevelModel, **parameters)


def test_data_are_kept_where_asked(run):
    small = first(FirstLevelModel, run)
    with pytest.raises(AttributeError, match="`FirstLevelModel`-object needs to store"):
        _ = small.residuals_
    assert not hasattr(small.results_[0][small.labels_[0][0]], "Y")
    large = first(FirstLevelModel, run, minimize_memory=False)
    assert large.residuals_[0].shape == run.shape
    for keep in (True, False):
        group = second(SecondLevelModel, minimize_memory=keep)
        group.compute_contrast()
        if keep:
            with pytest.raises(AttributeError, match="`SecondLevelModel`-object needs to store"):
                _ = group.residuals_
        else:
            assert group.residuals_.shape[3] == 12


def test_labels_match_confounds(run):
    models = [first(FirstLevelModel, run, subject_label=name) for name in ("b", "a", "c")]
    table = pd.DataFrame({"subject_label": ["a", "b", "c"], "age": [1.0, 2.0, 4.0]})
    group = SecondLevelModel().fit(models, table)
    assert group.design_matrix_["age"].tolist() == [2.0, 1.0, 4.0]


@pytest.mark.parametrize(("name", "value", "besides"), SECOND, ids=[case[0] for case in SECOND])
def test_of_a_group_as_nilearn_has_it(name, value, besides):
    with_it = {**besides, name: value}
    mine, plain = (second(SecondLevelModel, **given) for given in (with_it, besides))
    there = np.isfinite(stat(mine)) & (mine.mask_img_.get_fdata() > 0)
    assert there.sum() > 20
    theirs = stat(second(TheirSecond, **with_it))
    np.testing.assert_allclose(stat(mine)[there], theirs[there], atol=SAME, rtol=SAME)
    assert differ(stat(mine), stat(plain))


@pytest.mark.parametrize(("name", "value"), SECOND_WITHOUT, ids=["n_jobs", "reports", "verbose"])
def test_of_a_group_that_change_no_map(name, value, capsys):
    mine = second(SecondLevelModel, **{name: value})
    assert ("Fitting second level model" in capsys.readouterr().out) == (name == "verbose")
    np.testing.assert_array_equal(stat(mine), stat(second(SecondLevelModel)))
