"""Rows at the group level: files of a group to a t map, and maps of known variance."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.glm.second_level import SecondLevelModel
from pymare.estimators import VarianceBasedLikelihoodEstimator
from scipy.ndimage import gaussian_filter

import voxlm as vx
from benchmarks.data import AFFINE, GRID, brain
from benchmarks.measure import Measured, Row, Settings, in_turn, same_maps

N_MAPS = 100
FORMULA = "effect ~ group + age"
ROUNDING = 1 - 1e-10  # nilearn's maps pass through float32 images
ITERATED = 1 - 1e-6  # two optimisers


def group_files(cache_folder: Path) -> Path:
    """Return a folder of maps, a mask and ``maps.tsv``, made on the first call."""
    folder = cache_folder / f"group-{N_MAPS}-maps"
    if not folder.exists():
        cache_folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache_folder))
        try:
            _make(made)
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder


def _make(folder: Path) -> None:
    rng = np.random.default_rng(2)
    inside = brain()[0]
    nib.save(nib.Nifti1Image(inside.astype(np.uint8), AFFINE), folder / "mask.nii.gz")
    table = pd.DataFrame(
        {
            "effect": [f"map-{row:03d}.nii.gz" for row in range(N_MAPS)],
            "group": np.where(np.arange(N_MAPS) % 2, "patient", "control"),
            "age": rng.uniform(20, 70, N_MAPS).round(1),
        }
    )
    for name in table["effect"]:
        values = np.where(inside, gaussian_filter(rng.standard_normal(GRID), 1), 0)
        nib.save(nib.Nifti1Image(values.astype(np.float32), AFFINE), folder / name)
    table.to_csv(folder / "maps.tsv", sep="\t", index=False)


def _ours(folder: Path, out: Path) -> Any:
    maps = vx.Maps(folder / "maps.tsv", mask=folder / "mask.nii.gz")
    contrast = vx.lm(FORMULA, maps).contrast("age")
    maps.space.write(out, contrast.t, intent="t", df=N_MAPS - 3)
    return contrast.t


def _nilearn(folder: Path, out: Path, n_jobs: int) -> Any:
    table = pd.read_csv(folder / "maps.tsv", sep="\t")
    patient = (table["group"] == "patient").astype(float)
    design = pd.DataFrame({"intercept": 1.0, "patient": patient, "age": table["age"]})
    model = SecondLevelModel(mask_img=str(folder / "mask.nii.gz"), n_jobs=n_jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit([str(folder / name) for name in table["effect"]], design_matrix=design)
        image = model.compute_contrast("age", output_type="stat")
        image.to_filename(str(out))
    return image


def files_to_t(settings: Settings) -> Measured:
    """Time a group of files to a t map against nilearn."""
    folder = group_files(settings.cache)
    with tempfile.TemporaryDirectory() as out:
        ours, peer, mine, image = in_turn(
            lambda: _ours(folder, Path(out, "ours.nii.gz")),
            lambda: _nilearn(folder, Path(out, "peer.nii.gz"), settings.peer_jobs),
            settings.repeat,
        )
    inside = np.asarray(nib.load(folder / "mask.nii.gz").dataobj) != 0
    return Measured(ours, peer, same_maps(mine, np.asarray(image.dataobj)[inside], "t", ROUNDING))


@cache
def _known() -> tuple[pd.DataFrame, Any, Any]:
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"age": rng.standard_normal(30)})
    variance = rng.uniform(0.2, 2.0, (30, 50_000))
    between = rng.uniform(0, 1, 50_000)
    return table, rng.standard_normal((30, 50_000)) * np.sqrt(variance + between), variance


def _meta() -> Any:
    table, data, variance = _known()
    maps = vx.Maps(table, data=data, variance=variance)
    return vx.meta("~ age", maps).contrast("age")


def _pymare() -> Any:
    table, data, variance = _known()
    X = np.c_[np.ones(30), table["age"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = VarianceBasedLikelihoodEstimator(method="REML")
        estimator.fit(y=data, v=variance, X=X)
        stats = estimator.summary().get_fe_stats()
    return stats["est"][1] / stats["se"][1]


def known_variances(settings: Settings) -> Measured:
    """Time random effects by REML, with Knapp and Hartung's t, against PyMARE."""
    ours, peer, mine, theirs = in_turn(_meta, _pymare, settings.repeat)
    return Measured(ours, peer, same_maps(mine.t, theirs, "t", ITERATED))


ROWS = (
    Row(
        "group-files",
        f"{N_MAPS} maps of 107,000 voxels, files to t map: least squares",
        "nilearn SecondLevelModel",
        "faster",
        3,
        6,
        files_to_t,
    ),
    Row(
        "meta-reml",
        "30 maps × 2 columns × 50,000 voxels of known variance: REML",
        "PyMARE",
        "faster",
        60,
        150,
        known_variances,
    ),
)
