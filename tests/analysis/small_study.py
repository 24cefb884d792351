"""A small run on disk whose every voxel can be refitted by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.errors import VoxlmError

SHAPE, N_SCANS, TR = (6, 5, 4), 90, 2.0
AFFINE = np.array([[-3.0, 0, 0, 30], [0, 3.0, 0, -40], [0, 0, 4.0, -20], [0, 0, 0, 1]])
FORMULA = "y ~ face + house + motion"


@dataclass(frozen=True)
class Study:
    """Files of one run, and the values in them."""

    folder: Path
    bold: Path
    events: Path
    confounds: Path
    mask: Path
    inside: np.ndarray
    values: np.ndarray
    tr: float = TR

    def run(self, **options: Any) -> vx.Run:
        """Return the run as a user would name it."""
        given = {"events": self.events, "confounds": self.confounds, "mask": self.mask}
        return vx.Run(self.bold, **{**given, **options})

    def array_run(self, **options: Any) -> vx.Run:
        """Return the same data as an array."""
        given = {"events": self.events, "confounds": self.confounds, "tr": self.tr}
        return vx.Run(self.rows, **{**given, **options})

    @property
    def rows(self) -> np.ndarray:
        """Data in the mask, shape (T, V)."""
        return self.values[self.inside].T

    @property
    def percent(self) -> np.ndarray:
        """Percent change, shape (T, V)."""
        return 100 * (self.rows / self.rows.mean(axis=0) - 1)


def make_study(folder: Path, seed: int = 0, dtype: str = "<f8", odd_voxels: bool = False) -> Study:
    """Write a run with task, motion and autocorrelated noise."""
    rng = np.random.default_rng(seed)
    onsets = np.arange(6.0, N_SCANS * TR - 20, 12.0)
    kinds = np.where(np.arange(onsets.size) % 2, "house", "face")
    rng.shuffle(kinds)
    events = pd.DataFrame({"onset": onsets, "duration": 4.0, "trial_type": kinds})
    events["rt"] = rng.uniform(0.4, 1.2, onsets.size).round(3)
    axes = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
    motion = pd.DataFrame(np.cumsum(rng.normal(0, 0.02, (N_SCANS, 6)), axis=0), columns=axes)
    noise = rng.normal(0, 1, (*SHAPE, N_SCANS))
    for t in range(1, N_SCANS):
        noise[..., t] += 0.4 * noise[..., t - 1]
    task = np.zeros(N_SCANS)
    task[(onsets[kinds == "face"] / TR + 3).astype(int)] = 8.0
    values = 1000 + 10 * noise + rng.normal(1, 0.5, (*SHAPE, 1)) * task
    inside = rng.random(SHAPE) < 0.4
    inside[2, 2, 2] = inside[3, 2, 2] = inside[0, 0, 1] = inside[1, 1, 1] = True
    inside[0, 0, 0] = False
    values = np.round(values) if dtype[-2] == "i" else values
    if odd_voxels:
        values[2, 2, 2], values[3, 2, 2] = 0.0, 500.0
        values[0, 0, 1, 7], values[1, 1, 1] = np.nan, values[1, 1, 1] - 2000
    values = values.astype(dtype)
    image = nib.Nifti1Image(values, AFFINE, dtype=values.dtype)
    image.header["pixdim"][4] = TR
    image.header.set_xyzt_units("mm", "sec")
    study = Study(
        folder,
        folder / "sub-01_task-faces_bold.nii.gz",
        folder / "sub-01_task-faces_events.tsv",
        folder / "sub-01_task-faces_desc-confounds_timeseries.tsv",
        folder / "sub-01_desc-brain_mask.nii.gz",
        inside,
        values.astype(np.float64),
    )
    nib.save(image, study.bold)
    nib.save(nib.Nifti1Image(inside.astype(np.uint8), AFFINE), study.mask)
    events.to_csv(study.events, sep="\t", index=False)
    motion.to_csv(study.confounds, sep="\t", index=False, na_rep="n/a")
    return study


def events_of(study: Study, **changed: Any) -> pd.DataFrame:
    return pd.read_csv(study.events, sep="\t").assign(**changed)


def fitted(study: Study, formula: str = FORMULA, **options: Any) -> vx.Fit:
    return vx.glsar(formula, study.run(**options))


def refused(
    kind: type[VoxlmError], act: Callable[[], Any], *says: str, never: str = "Traceback"
) -> str:
    """Require an error whose message has all these words; return the message."""
    with pytest.raises(kind) as caught:
        act()
    text = str(caught.value)
    for words in says:
        assert words in text, f"{words!r} is not in:\n{text}"
    assert never not in text
    return text
