"""Rows on the nilearn-shaped face: the same script with another import."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from benchmarks.data import study
from benchmarks.face import first_level, second_level
from benchmarks.measure import Measured, Row, Settings, in_turn, same_maps
from benchmarks.rows_group import ROUNDING, group_files
from benchmarks.rows_inference import FLIPS, N_MAPS, _maps, _mask
from benchmarks.rows_processes import child

# nilearn scales int16 data in single precision; an AR coefficient on the edge between two bins may
# then fall on the other side.
SINGLE = 1 - 1e-6
# Five standard errors of the difference of two shares of 1,000 permutations.
MONTE_CARLO = 5 * (2 * 0.25 / FLIPS) ** 0.5


def _against(settings: Settings, work: Any, source: Any, picked: Any, mark: float) -> Measured:
    """Time the same function with both packages."""
    with tempfile.TemporaryDirectory() as folder:
        ours, peer, mine, theirs = in_turn(
            lambda: work("voxlm", source, Path(folder, "ours.nii.gz")),
            lambda: work("nilearn", source, Path(folder, "peer.nii.gz")),
            settings.repeat,
        )
    return Measured(ours, peer, same_maps(picked(mine), picked(theirs), "t", mark))


def runs(settings: Settings) -> Measured:
    """Time ``FirstLevelModel``, files to map."""
    files = study(settings.cache)
    inside = np.asarray(nib.load(files.mask).dataobj) != 0

    def picked(model: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = model.compute_contrast("face - house", output_type="stat")
        return np.asarray(image.dataobj)[inside]

    return _against(settings, first_level, files, picked, SINGLE)


def groups(settings: Settings) -> Measured:
    """Time ``SecondLevelModel``, files to map."""
    folder = group_files(settings.cache)
    inside = np.asarray(nib.load(folder / "mask.nii.gz").dataobj) != 0
    return _against(
        settings, second_level, folder, lambda image: np.asarray(image.dataobj)[inside], ROUNDING
    )


@cache
def _images() -> tuple[list[Any], Any]:
    inside = _mask(3)
    affine = np.diag([3.0, 3, 3, 1])
    images = []
    for values in _maps():
        full = np.zeros(inside.shape)
        full[inside] = values
        images.append(nib.Nifti1Image(full, affine))
    return images, nib.Nifti1Image(inside.astype(np.uint8), affine)


def _flipped(package: str) -> Any:
    module = importlib.import_module(f"{package}.glm.second_level")
    images, mask = _images()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = module.non_parametric_inference(
            images,
            design_matrix=pd.DataFrame({"intercept": np.ones(N_MAPS)}),
            mask=mask,
            n_perm=FLIPS,
            random_state=0,
        )
    return np.asarray(image.dataobj)[_mask(3)]


def permutations(settings: Settings) -> Measured:
    """Time ``non_parametric_inference``; other permutations are drawn, so p agrees to its error."""
    ours, peer, mine, theirs = in_turn(
        lambda: _flipped("voxlm"), lambda: _flipped("nilearn"), settings.repeat
    )
    gap = float(np.abs(10.0**-mine - 10.0**-theirs).max())
    if not gap < MONTE_CARLO:
        raise AssertionError(f"corrected p differ by {gap:.3f}")
    return Measured(ours, peer, f"corrected p of {mine.size:,} voxels differ by {gap:.3f} at most")


def _peaks(settings: Settings, work: str, folder: Path) -> Measured:
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as place:
        for _ in range(settings.repeat):
            peer.append(child("face", work, "nilearn", folder, Path(place, "p.nii.gz"))["mb"])
            ours.append(child("face", work, "voxlm", folder, Path(place, "o.nii.gz"))["mb"])
    return Measured(ours, peer)


def memory_of_runs(settings: Settings) -> Measured:
    """Measure peak memory of ``FirstLevelModel``, files to map."""
    return _peaks(settings, "first_level", study(settings.cache).folder)


def memory_of_groups(settings: Settings) -> Measured:
    """Measure peak memory of ``SecondLevelModel``, files to map."""
    return _peaks(settings, "second_level", group_files(settings.cache))


ROWS = (
    Row(
        "face-first",
        "voxlm.glm FirstLevelModel, files to z map, 64×76×64×240 int16: AR(1), one t",
        "nilearn FirstLevelModel",
        "faster",
        8,
        15,
        runs,
    ),
    Row(
        "face-second",
        "voxlm.glm SecondLevelModel, 100 maps of 107,000 voxels, files to t map",
        "nilearn SecondLevelModel",
        "faster",
        3,
        6,
        groups,
    ),
    Row(
        "face-permutations",
        f"voxlm.glm non_parametric_inference, {N_MAPS} maps of 69,765 voxels: {FLIPS:,} flips",
        "nilearn non_parametric_inference",
        "faster",
        20,
        40,
        permutations,
    ),
    Row(
        "face-first-memory",
        "peak memory of face-first",
        "nilearn FirstLevelModel",
        "within",
        1 / 3,
        1 / 4,
        memory_of_runs,
        "MB",
    ),
    Row(
        "face-second-memory",
        "peak memory of face-second",
        "nilearn SecondLevelModel",
        "within",
        1 / 3,
        1 / 4,
        memory_of_groups,
        "MB",
    ),
)
