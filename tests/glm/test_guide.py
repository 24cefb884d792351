"""Every code block of nilearn's GLM guide, run in order, but for the name of the package."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn import datasets

from voxlm.glm.first_level import FirstLevelModel, compute_regressor, run_glm

mpl.use("Agg")
GUIDE = Path(__file__).with_name("guide.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHAPE, SCANS = (12, 13, 11), 200
AFFINE = np.diag([6.0, 6.0, 6.0, 1.0])
AFFINE[:3, 3] = (-36, -36, -30)
MOTION = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
PHYSIOLOGY = ["csf", "white_matter", "framewise_displacement"]


def blocks() -> list[str]:
    """The Python blocks, asking this package for what they ask nilearn.glm for."""
    found = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    changed = [block.replace("nilearn.glm", "voxlm.glm") for block in found]
    return [block.replace("from nilearn import glm", "from voxlm import glm") for block in changed]


def save_bold(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(0, 8, size=(*SHAPE, SCANS))
    data[2:10, 2:11, 2:9] += 900
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data.astype(np.float32), AFFINE), path)


def save_map(path: Path, seed: int) -> None:
    values = np.zeros(SHAPE)
    values[2:10, 2:11, 2:9] = np.random.default_rng(seed).normal(0.5, 1, size=(8, 9, 7))
    nib.save(nib.Nifti1Image(values, AFFINE), path)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The files that the guide speaks of, in the working folder."""
    monkeypatch.chdir(tmp_path)
    onset = np.arange(5.0, 380, 12.0)
    table = pd.DataFrame(
        {"onset": onset, "duration": 1.0, "trial_type": np.resize(["face", "house"], onset.size)}
    )
    rng = np.random.default_rng(0)
    names = MOTION + PHYSIOLOGY
    confounds = pd.DataFrame(rng.normal(size=(SCANS, len(names))), columns=names)
    deep = Path("sub-01/func")
    for seed, name in enumerate(
        [
            "func.nii.gz",
            "sub-01_task-faces_bold.nii.gz",
            "sub-01_task-block_bold.nii.gz",
            "sub-01_task-mixed_bold.nii.gz",
            str(deep / "sub-01_task-faces_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"),
        ]
    ):
        save_bold(Path(name), seed)
    for folder in (Path(), deep):
        table.to_csv(folder / "sub-01_task-faces_events.tsv", sep="\t", index=False)
        confounds.to_csv(
            folder / "sub-01_task-faces_desc-confounds_timeseries.tsv", sep="\t", index=False
        )
    for k in range(1, 7):
        for tail in ("faces-vs-houses_zmap", "zmap", "pre_zmap", "post_zmap"):
            save_map(Path(f"sub-0{k}_{tail}.nii.gz"), 10 * k + len(tail))
    fetched = SimpleNamespace(epi_img="func.nii.gz", events="sub-01_task-faces_events.tsv")
    monkeypatch.setattr(datasets, "fetch_localizer_button_task", lambda: fetched, raising=False)
    return tmp_path


def test_the_guide_runs_as_written(study):
    names: dict[str, object] = {}
    fitted = None
    for k, block in enumerate(blocks()):
        try:
            exec(compile(block, f"guide.md, block {k}", "exec"), names)
        except Exception as error:
            pytest.fail(f"block {k}: {type(error).__name__}: {error}\n{block}")
        plt.close("all")
        # One section on memory makes a model and does not fit it; the next speaks of a fitted one.
        if hasattr(names.get("fmri_glm"), "design_matrices_"):
            fitted = names["fmri_glm"]
        elif fitted is not None:
            names["fmri_glm"] = fitted
    assert k == len(blocks()) - 1 > 25
    custom = names["fmri_glm_custom"].design_matrices_[0]
    assert {"face_custom_hrf", "house_custom_hrf"} <= set(custom.columns)
    columns = names["fmri_glm_param"].design_matrices_[0].columns
    assert columns[:2].tolist() == ["target", "target*modulation"]
    assert names["f_map"].shape == SHAPE
    assert np.isfinite(names["threshold"])
    assert (study / "sub-01_faces-vs-houses_zmap.nii.gz").exists()


def test_a_modulation_is_tested_beside_its_condition(study):
    """The statistic is that of both regressors in one model."""
    events = pd.DataFrame(
        {
            "onset": [10.0, 70.0, 130.0, 190.0, 260.0],
            "duration": 1.0,
            "trial_type": "target",
            "modulation": [0.5, 1.2, 0.8, 1.5, 0.3],
        }
    )
    model = FirstLevelModel(t_r=2.0, hrf_model="spm", noise_model="ols").fit("func.nii.gz", events)
    found = model.compute_contrast("target*modulation", output_type="stat")
    times = np.arange(SCANS) * 2.0
    parts = [
        compute_regressor((events["onset"], events["duration"], heights), "spm", times)[0]
        for heights in (np.ones(5), events["modulation"])
    ]
    drift = model.design_matrices_[0].filter(regex="drift|constant").to_numpy()
    data = nib.load("func.nii.gz").get_fdata()[model.mask_img_.get_fdata() > 0].T
    _, results = run_glm(data, np.hstack([*parts, drift]), "ols")
    t = results[0.0].Tcontrast(np.eye(2 + drift.shape[1])[1]).t
    np.testing.assert_allclose(found.get_fdata()[model.mask_img_.get_fdata() > 0], t, atol=1e-8)
