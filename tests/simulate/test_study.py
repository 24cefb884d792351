"""A study on disk: files as fMRIPrep writes them, and a truth that is true."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import make_first_level_design_matrix

from voxlm.errors import DataError
from voxlm.simulate import study
from voxlm.simulate.motion import PARAMETERS, framewise_displacement, leak
from voxlm.simulate.task import response, trials

# nilearn samples the response on a grid of TR/50 with the onset rounded to it, and cuts it at
# 32 s; the exact integral differs from that by up to 2 % of its peak.
GRID_TOLERANCE = 0.02
# A mean over some 200 voxels whose noise is smooth over about ten of them.
REGION_TOLERANCE = 0.35


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return study(tmp_path_factory.mktemp("study"), seed=0)


def _digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _table(path):
    return pd.read_csv(path, sep="\t", na_values="n/a")


def test_header_and_sidecar_agree(made):
    image = nib.load(made.bold[0])
    assert image.get_data_dtype() == np.int16
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert image.header.get_zooms() == (4.0, 4.0, 4.0, 2.0)
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    np.testing.assert_allclose(image.header.get_qform(), image.affine, atol=1e-5)
    assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
    sidecar = json.loads(made.bold[0].with_name("sub-01_task-faces_bold.json").read_text())
    assert sidecar["RepetitionTime"] == 2.0
    np.testing.assert_array_equal(nib.load(made.mask).affine, image.affine)


def test_confounds_have_fmriprep_columns(made):
    confounds = _table(made.confounds[0])
    assert len(confounds) == nib.load(made.bold[0]).shape[3]
    for name in PARAMETERS:
        for suffix in ("", "_derivative1", "_power2", "_derivative1_power2"):
            assert f"{name}{suffix}" in confounds
    assert {"csf", "white_matter", "global_signal", "std_dvars", "a_comp_cor_00"} <= set(confounds)
    differences = [c for c in confounds if "derivative1" in c or "dvars" in c] + [
        "framewise_displacement"
    ]
    assert confounds[differences].iloc[0].isna().all()
    assert not confounds.iloc[1:].isna().to_numpy().any()
    assert made.confounds[0].read_text().splitlines()[1].count("n/a") == len(differences)
    motion = confounds[list(PARAMETERS)].to_numpy()
    np.testing.assert_allclose(
        confounds["framewise_displacement"], framewise_displacement(motion), rtol=1e-6
    )
    outliers = [c for c in confounds if c.startswith("motion_outlier")]
    assert (confounds[outliers].sum() == 1).all()


def test_tissue_signals_are_the_means_of_the_image(made):
    image = nib.load(made.bold[0]).get_fdata()
    mask = nib.load(made.mask).get_fdata() > 0
    # Rounding to int16 moves a mean over thousands of voxels by far less than 0.1.
    np.testing.assert_allclose(
        _table(made.confounds[0])["global_signal"], image[mask].mean(axis=0), atol=0.1
    )


def test_same_seed_same_bytes(made, tmp_path):
    again = study(tmp_path / "again", seed=0)
    assert _digests(again.folder) == _digests(made.folder)
    other = study(tmp_path / "other", seed=1)
    assert _digests(other.folder)["truth/rho.nii.gz"] != _digests(made.folder)["truth/rho.nii.gz"]


def test_truth_maps_and_labels_say_the_same(made):
    mask = nib.load(made.mask).get_fdata() > 0
    labels = np.asarray(nib.load(made.truth_maps["region"]).dataobj)
    np.testing.assert_array_equal(labels[mask], made.truth.labels)
    for name, effect in made.truth.effects.items():
        stored = nib.load(made.truth_maps[name]).get_fdata()
        np.testing.assert_allclose(stored[mask], effect, rtol=1e-6)
        assert ((effect > 0) == (made.truth.labels > 0)).all()
    truth = json.loads((made.folder / "truth" / "truth.json").read_text())
    assert {n: r["voxels"] for n, r in truth["regions"].items()} == {
        n: int((made.truth.labels == k).sum()) for k, n in enumerate(made.truth.regions, start=1)
    }


def test_ordinary_least_squares_finds_the_truth(made):
    """With nilearn's design and numpy's solver, none of the package's own fitting."""
    events, confounds = _table(made.events[0]), _table(made.confounds[0])
    image = nib.load(made.bold[0])
    data = image.get_fdata()[nib.load(made.mask).get_fdata() > 0].T
    design = make_first_level_design_matrix(
        np.arange(len(data)) * made.tr,
        events[["onset", "duration", "trial_type"]],
        hrf_model="spm",
        high_pass=1 / 128,
        add_regs=confounds[list(PARAMETERS)],
    )
    params = np.linalg.lstsq(design, 100 * (data / data.mean(axis=0) - 1), rcond=None)[0]
    for name, effect in made.truth.effects.items():
        found = params[list(design.columns).index(name)]
        for label in range(1 + len(made.truth.regions)):
            here = made.truth.labels == label
            assert found[here].mean() == pytest.approx(effect[here].mean(), abs=REGION_TOLERANCE)


def test_motion_leaks_into_the_signal(made):
    """At the rim, the motion columns explain what they do not explain in the middle."""
    image = nib.load(made.bold[0]).get_fdata()
    mean = nib.load(made.mean).get_fdata()
    mask = nib.load(made.mask).get_fdata() > 0
    spread = np.abs(leak(mean, mask, nib.load(made.mask).affine)[:3]).sum(axis=0)
    motion = _table(made.confounds[0])[list(PARAMETERS)].to_numpy()
    data = image[mask].T
    data = data - data.mean(axis=0)
    motion = motion - motion.mean(axis=0)
    fitted = motion @ np.linalg.lstsq(motion, data, rcond=None)[0]
    share = (fitted**2).sum(axis=0) / (data**2).sum(axis=0)
    assert share[spread > np.quantile(spread, 0.9)].mean() > 1.5 * share[spread < 1.0].mean()


def test_response_is_the_exact_integral_of_the_double_gamma():
    events = trials(300.0, np.random.default_rng(4))
    times = np.arange(150) * 2.0
    design = make_first_level_design_matrix(
        times, events[["onset", "duration", "trial_type"]], hrf_model="spm", drift_model=None
    )
    for name in ("face", "house"):
        exact = response(events[events.trial_type == name], times)
        assert np.abs(exact - design[name]).max() < GRID_TOLERANCE * exact.max()


def test_several_runs_have_their_own_files_and_noise(tmp_path):
    two = study(tmp_path, n_runs=2, n_scans=60, shape=(20, 24, 18), voxel_mm=8.0)
    names = [path.name for path in two.bold]
    assert names == [f"sub-01_task-faces_run-{r}_bold.nii.gz" for r in (1, 2)]
    one, other = (nib.load(path).get_fdata() for path in two.bold)
    assert not np.array_equal(one, other)
    assert not _table(two.events[0]).equals(_table(two.events[1]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_scans": 20}, "last 40 s; the task needs 90 s"),
        ({"tr": 0.0}, "positive number of seconds"),
        ({"n_runs": 0}, "n_runs must be at least 1"),
        ({"shape": (4, 40, 40)}, "not a grid of 8 voxels a side"),
        ({"shape": (10, 10, 10)}, "does not hold every region"),
    ],
)
def test_what_cannot_be_a_study_is_said(tmp_path, change, said):
    with pytest.raises(DataError, match=said):
        study(tmp_path, **change)
    assert not list(tmp_path.rglob("*.nii.gz"))
