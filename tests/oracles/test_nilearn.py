"""Real runs against nilearn's FirstLevelModel: the same design, the same maps."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel

import voxlm as vx

# Regressors are of order one; both sides round some hundred sums of eps.
DESIGN = 1e-10
# Given the values as float64, nilearn's ordinary least squares is the same arithmetic as ours.
MAPS = 1e-10
# Given int16 files, nilearn scales them in float32; so do both where they smooth.
FLOAT32 = 3e-5
CONDITIONS = ["bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe"]
FORMULA = "y ~ " + " + ".join(CONDITIONS) + " + motion"
AXES = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
STEM = "sub-1_task-objectviewing_run-{:02d}_"


def files(folder: Path, number: int, kind: str) -> dict[str, Any]:
    stem = str(folder / STEM.format(number))
    return {
        "bold": f"{stem}desc-{kind}_bold.nii.gz",
        "events": f"{stem}events.tsv",
        "confounds": f"{stem}desc-motion_timeseries.tsv",
        "mask": str(folder / f"desc-{kind}_brain_mask.nii.gz"),
    }


@pytest.fixture(scope="module")
def haxby(shared_data: Path) -> Path:
    folder = shared_data / "haxby_multirun"
    if not folder.is_dir():
        pytest.skip(f"the data set haxby_multirun is not in {shared_data}")
    return folder


def exact(path: str) -> Any:
    """Load an image as float64, so that nilearn does not round it."""
    image = nib.load(path)
    return nib.Nifti1Image(image.get_fdata(), image.affine)


def nilearn_fit(runs: list[dict[str, Any]], load: Any = exact, **options: Any) -> FirstLevelModel:
    given = {"t_r": 2.5, "hrf_model": "spm", "high_pass": 1 / 128, "noise_model": "ols"}
    model = FirstLevelModel(mask_img=runs[0]["mask"], minimize_memory=False, **given | options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nilearn warns of its own defaults
        return model.fit(
            [load(run["bold"]) for run in runs],
            events=[pd.read_csv(run["events"], sep="\t") for run in runs],
            confounds=[pd.read_csv(run["confounds"], sep="\t")[AXES] for run in runs],
        )


def nilearn_maps(model: FirstLevelModel, contrast: Any, kind: str = "t") -> dict[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maps = model.compute_contrast(contrast, stat_type=kind, output_type="all")
    inside = np.asarray(model.masker_.mask_img_.dataobj) > 0
    return {name: np.asarray(image.dataobj)[inside] for name, image in maps.items()}


def assert_same_map(ours: np.ndarray, theirs: np.ndarray, tolerance: float = MAPS) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize(
    ("kind", "number", "hrf", "slice_time_ref"),
    [
        ("1slice", 1, "spm", 0.0),
        ("1slice", 7, "glover", 0.5),
        ("25mm", 12, "spm + derivative", 0.5),
        ("25mm", 3, "glover + derivative + dispersion", 0.0),
    ],
)
def test_one_run(haxby: Path, kind: str, number: int, hrf: str, slice_time_ref: float) -> None:
    given = files(haxby, number, kind)
    model = nilearn_fit([given], hrf_model=hrf, slice_time_ref=slice_time_ref)
    run = vx.Run(**given, slice_time_ref=slice_time_ref)
    fit = vx.lm(FORMULA, run, hrf=hrf)
    frame, theirs = fit.design.frame, model.design_matrices_[0]
    assert list(frame.columns) == list(theirs.columns)
    assert np.abs(frame.to_numpy() - theirs.to_numpy()).max() < DESIGN
    np.testing.assert_allclose(frame.index, theirs.index)
    for text in ("face - house", "(face + cat)/2 - scrambledpix"):
        con, maps = fit.contrast(text), nilearn_maps(model, text)
        assert_same_map(con.effect, maps["effect_size"])
        assert_same_map(con.se**2, maps["effect_variance"])
        assert_same_map(con.t, maps["stat"])
        assert_same_map(con.z, maps["z_score"])


def test_the_files_themselves(haxby: Path) -> None:
    given = files(haxby, 2, "1slice")
    maps = nilearn_maps(nilearn_fit([given], load=str), "face - house")
    con = vx.lm(FORMULA, vx.Run(**given)).contrast("face - house")
    assert_same_map(con.effect, maps["effect_size"], FLOAT32)
    assert_same_map(con.se**2, maps["effect_variance"], FLOAT32)
    assert_same_map(con.t, maps["stat"], FLOAT32)


def test_joint_f(haxby: Path) -> None:
    given = files(haxby, 5, "1slice")
    model, fit = nilearn_fit([given]), vx.lm(FORMULA, vx.Run(**given))
    rows = np.eye(len(fit.params))[: len(CONDITIONS)]
    ours = fit.f_test(", ".join(CONDITIONS))
    assert_same_map(ours.F, nilearn_maps(model, rows, "F")["stat"])
    assert_same_map(ours.z, nilearn_maps(model, rows, "F")["z_score"])


def test_smoothing_and_a_computed_mask(shared_data: Path) -> None:
    folder = shared_data / "nft_block"
    if not folder.is_dir():
        pytest.skip(f"the data set nft_block is not in {shared_data}")
    bold = folder / "sub-01_task-nfb_desc-lowres2x_bold.nii.gz"
    events = folder / "sub-01_task-nfb_events.tsv"
    fit = vx.lm("y ~ regulation", vx.Run(bold, events, tr=1.97, smoothing_fwhm=8.0))
    model = FirstLevelModel(
        t_r=1.97, hrf_model="spm", high_pass=1 / 128, noise_model="ols", smoothing_fwhm=8.0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(exact(str(bold)), events=pd.read_csv(events, sep="\t"))
    inside = np.asarray(model.masker_.mask_img_.dataobj) > 0
    np.testing.assert_array_equal(fit.run.space.mask, inside)
    maps = nilearn_maps(model, "regulation")
    assert_same_map(fit.contrast("regulation").effect, maps["effect_size"], FLOAT32)
    assert_same_map(fit.contrast("regulation").t, maps["stat"], FLOAT32)


def test_twelve_runs(haxby: Path) -> None:
    given = [files(haxby, number, "1slice") for number in range(1, 13)]
    model = nilearn_fit(given)
    fixed = vx.lm(FORMULA, [vx.Run(**one) for one in given])
    for fit, theirs in zip(fixed, model.design_matrices_, strict=True):
        names = list(fit.design.names)
        assert sorted(names) == sorted(theirs.columns)
        assert np.abs(fit.design.matrix - theirs[names].to_numpy()).max() < DESIGN
    con = fixed.contrast("face - house")
    maps = nilearn_maps(model, "face - house")
    assert_same_map(con.effect, maps["effect_size"])
    assert_same_map(con.se**2, maps["effect_variance"])
    assert_same_map(con.t, maps["stat"])
    assert_same_map(con.z, maps["z_score"])


@pytest.mark.slow
def test_ar1_differs_from_nilearns_by_design(haxby: Path) -> None:
    """nilearn rounds rho to bins of 0.01 and keeps the first scan; statsmodels does neither."""
    given = files(haxby, 1, "1slice")
    model = nilearn_fit([given], noise_model="ar1", n_jobs=1)
    fit = vx.glsar(FORMULA, vx.Run(**given))
    ours, theirs = fit.contrast("face - house").t, nilearn_maps(model, "face - house")["stat"]
    assert 0.97 < np.corrcoef(ours, theirs)[0, 1] < 0.999999
    assert fit.check(20)["largest_relative"].max() < 1e-6
