"""Saved models of the nilearn-shaped face: names, numbers, clusters, pages."""

import json
import warnings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.reporting import get_clusters_table

import voxlm as vx
from voxlm.glm import save_glm_to_bids, threshold_stats_img
from voxlm.glm.first_level import FirstLevelModel, first_level_from_bids
from voxlm.glm.second_level import SecondLevelModel

MNI = "MNI152NLin2009cAsym"
RULE = {"height_control": None, "threshold": 2.5}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    made = vx.simulate.bids_dataset(
        tmp_path_factory.mktemp("study"), n_subjects=1, n_runs=2, n_scans=60
    )
    (model,), (images,), (events,), _ = first_level_from_bids(
        made.folder,
        "faces",
        derivatives_folder="derivatives/fmriprep",
        mask_img="derivatives",
        minimize_memory=False,
        noise_model="ols",
    )
    return model.fit(images, events)


@pytest.fixture
def undrawn(monkeypatch):
    """Leave pictures and page out, which take most of the time."""
    monkeypatch.setattr("voxlm.report.can_draw", lambda what: False)


def saved(model, folder, contrasts, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert save_glm_to_bids(model, contrasts, out_dir=folder, **RULE | options) is model
    return folder


@pytest.fixture(scope="module")
def out(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "out"
    return saved(fitted, folder, {"face > house": "face - house"}, cluster_threshold=2)


def of(out, name):
    (path,) = (out / "sub-01").glob(f"sub-01_task-faces_space-{MNI}_{name}")
    return path


def test_clusters_are_those_of_z_not_of_the_variance(out):
    """01: nilearn tabulates the clusters of the variance map."""
    z = nib.load(of(out, "contrast-faceGtHouse_stat-z_statmap.nii.gz"))
    table = pd.read_csv(of(out, "contrast-faceGtHouse_clusters.tsv"), sep="\t")
    thresholded, threshold = threshold_stats_img(
        z, threshold=2.5, height_control=None, cluster_threshold=2, two_sided=False
    )
    known = get_clusters_table(thresholded, threshold, 2, min_distance=8.0)
    assert len(table) == len(known) > 1
    assert list(table.columns) == list(known.columns)
    columns = ["X", "Y", "Z", "Peak Stat", "Cluster Size (mm3)"]
    order = ["Peak Stat", "X", "Y", "Z"]
    mine, theirs = (
        frame[columns].apply(pd.to_numeric, errors="coerce").sort_values(order)
        for frame in (table, known)
    )
    np.testing.assert_allclose(mine.to_numpy(), theirs.to_numpy(), rtol=1e-6)
    about = json.loads(of(out, "contrast-faceGtHouse_clusters.json").read_text())
    assert about["Threshold Z"] == 2.5
    assert about["Cluster size threshold (voxels)"] == 2


def test_maps_are_the_models(out, fitted):
    with pytest.warns(RuntimeWarning, match="same contrast"):
        maps = fitted.compute_contrast("face - house", output_type="all")
    names = {"effect_size": "effect", "stat": "t", "effect_variance": "variance"}
    for key, stat in {**names, "z_score": "z", "p_value": "p"}.items():
        file = nib.load(of(out, f"contrast-faceGtHouse_stat-{stat}_statmap.nii.gz"))
        np.testing.assert_array_equal(file.get_fdata(), maps[key].get_fdata())
    mask = nib.load(of(out, "mask.nii.gz")).get_fdata()
    np.testing.assert_array_equal(mask, fitted.mask_img_.get_fdata())


def test_every_run_has_its_files(out, fitted):
    for run, design in enumerate(fitted.design_matrices_, start=1):
        stem = f"sub-01_task-faces_run-{run}_space-{MNI}_"
        table = pd.read_csv(out / "sub-01" / f"{stem}design.tsv", sep="\t")
        np.testing.assert_allclose(table.to_numpy(), design.to_numpy(), rtol=1e-12)
        about = json.loads((out / "sub-01" / f"{stem}design.json").read_text())
        assert about == {"RepetitionTime": 2.0}
        for name in ("design.png", "corrdesign.png", "contrast-faceGtHouse_design.png"):
            assert (out / "sub-01" / f"{stem}{name}").read_bytes().startswith(b"\x89PNG")
        rsquared = nib.load(out / "sub-01" / f"{stem}stat-rsquared_statmap.nii.gz").get_fdata()
        np.testing.assert_array_equal(rsquared, fitted.r_square_[run - 1].get_fdata())
        assert (out / "sub-01" / f"{stem}stat-errorts_statmap.nii.gz").is_file()


def test_a_lone_cluster_of_one_peak_is_on_the_page(fitted, tmp_path):
    """22: nilearn's page says that such a map has no clusters."""
    with pytest.warns(RuntimeWarning, match="same contrast"):
        z = fitted.compute_contrast("face + house").get_fdata()
    highest = np.sort(z[np.isfinite(z)])[::-1]
    between = float(highest[:2].mean())
    out = saved(fitted, tmp_path, "face + house", threshold=between, prefix="")
    table = pd.read_csv(tmp_path / "contrast-facePlusHouse_clusters.tsv", sep="\t")
    assert len(table) == 1
    html = (out / "report.html").read_text(encoding="utf-8")
    assert f"{table['Peak Stat'][0]:.2f}" in html


def test_a_statistic_is_what_its_name_says(fitted, tmp_path, undrawn):
    """nilearn names a map F as told, and computes what it would anyway."""
    asked = {"one": "face - house", "two": "face - house"}
    saved(fitted, tmp_path, asked, contrast_types={"two": "F"}, prefix="a")
    t = nib.load(tmp_path / "a_contrast-one_stat-t_statmap.nii.gz").get_fdata()
    F = nib.load(tmp_path / "a_contrast-two_stat-F_statmap.nii.gz").get_fdata()
    inside = fitted.mask_img_.get_fdata() > 0
    np.testing.assert_allclose(F[inside], t[inside] ** 2, rtol=1e-8)


def test_contrasts_that_spell_alike_are_both_written(fitted, tmp_path, undrawn):
    saved(fitted, tmp_path, {"Face": "face", "face": "2*face"}, prefix="")
    first, second = (
        nib.load(tmp_path / f"contrast-{label}_stat-effect_statmap.nii.gz").get_fdata()
        for label in ("face", "face2")
    )
    inside = fitted.mask_img_.get_fdata() > 0
    np.testing.assert_allclose(second[inside], 2 * first[inside], rtol=1e-12)


def test_generators_add_up(fitted, tmp_path, undrawn):
    other = {"Name": "mine", "BIDSVersion": "1.8.0", "GeneratedBy": [{"Name": "other"}]}
    (tmp_path / "dataset_description.json").write_text(json.dumps(other))
    for _ in range(2):
        saved(fitted, tmp_path, "face", prefix="")
    about = json.loads((tmp_path / "dataset_description.json").read_text())
    assert [one["Name"] for one in about["GeneratedBy"]] == ["other", "voxlm"]
    assert about["Name"] == "mine"


def test_nothing_is_left_of_a_failure(fitted, tmp_path, undrawn):
    with pytest.raises(ValueError, match="not found in design matrix"):
        save_glm_to_bids(fitted, ["face", "fcae"], out_dir=tmp_path / "out", **RULE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"foo": 1}, ValueError, "must be one of"),
        ({"height_control": "holm"}, ValueError, "must be one of"),
        ({"plot_type": "cube"}, ValueError, "must be one of"),
        ({"cluster_threshold": -1}, ValueError, "must be > 0"),
        ({"contrasts": {5: "face"}}, TypeError, "contrast names must be strings"),
        ({"contrasts": {"a": 5}}, TypeError, "contrast definitions must be strings"),
    ],
)
def test_what_cannot_be(fitted, tmp_path, options, error, says):
    with pytest.raises(error, match=says):
        save_glm_to_bids(fitted, **{"contrasts": "face", "out_dir": tmp_path, **RULE, **options})
    assert not list(tmp_path.iterdir())


def test_thresholds_that_are_not_used_are_said_once(fitted, tmp_path, undrawn):
    with pytest.warns(UserWarning, match="'threshold' was set to 'None'") as said:
        save_glm_to_bids(fitted, ["face", "house"], out_dir=tmp_path, threshold=3.0)
    assert sum("was set to 'None'" in str(one.message) for one in said) == 1


def test_groups_and_models_that_kept_no_data(fitted, tmp_path):
    rng = np.random.default_rng(0)
    maps = [nib.Nifti1Image(rng.normal(1, 1, (6, 6, 6)), np.eye(4)) for _ in range(8)]
    mask = nib.Nifti1Image(np.ones((6, 6, 6), np.uint8), np.eye(4))
    design = pd.DataFrame({"intercept": np.ones(8)})
    group = SecondLevelModel(mask_img=mask).fit(maps, design_matrix=design)
    with pytest.warns(UserWarning, match="residuals and R-squared are not written"):
        save_glm_to_bids(group, "intercept", out_dir=tmp_path, prefix="task-x", **RULE)
    files = {path.name for path in (tmp_path / "group").iterdir()}
    assert "task-x_contrast-intercept_stat-t_statmap.nii.gz" in files
    assert "task-x_report.html" in files
    assert not [name for name in files if "errorts" in name]


def test_a_model_that_is_not_fitted(tmp_path):
    with pytest.raises(AttributeError, match="not fitted"):
        save_glm_to_bids(FirstLevelModel(), "face", out_dir=tmp_path, **RULE)
