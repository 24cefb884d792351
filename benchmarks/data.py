"""The data of the benchmarks, made from a seed: an array, and a run of files kept in a cache.

The files are what a scanner and fMRIPrep would leave: int16 in a ``.nii.gz`` as nibabel writes it,
a mask of about 107,000 voxels, events every 30 s, six motion parameters that leak into the signal,
smooth AR(1) noise and drift.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix
from scipy.ndimage import gaussian_filter

from benchmarks.study import TR, Study

GRID, VOXEL_MM = (64, 76, 64), 2.5
N_INSIDE = 107_000
AFFINE = np.array(
    [[-VOXEL_MM, 0, 0, 78.75], [0, VOXEL_MM, 0, -110], [0, 0, VOXEL_MM, -60], [0, 0, 0, 1]]
)
MOTION = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
VERSION = 1  # a new recipe makes new files


def array_data(
    n_scans: int = 300, n_columns: int = 24, n_voxels: int = 50_000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a run in memory: data ``(T, V)``, design ``(T, P)``, contrast weights ``(P,)``.

    Eight task columns, six of motion, drift, the constant; AR(1) noise whose ρ differs from voxel
    to voxel (0 to 0.6).
    """
    rng = np.random.default_rng(seed)
    time = np.arange(n_scans)
    task = gaussian_filter((rng.random((n_scans, 8)) < 0.06).astype(float), (2, 0))
    motion = np.cumsum(rng.standard_normal((n_scans, 6)), axis=0) / np.sqrt(n_scans)
    n_drift = n_columns - 15
    drift = np.cos(np.pi * (time[:, None] + 0.5) * np.arange(1, n_drift + 1) / n_scans)
    matrix = np.hstack([task, motion, drift, np.ones((n_scans, 1))])
    rho = rng.uniform(0, 0.6, n_voxels)
    data = rng.standard_normal((n_scans, n_voxels))
    for t in range(1, n_scans):
        data[t] *= np.sqrt(1 - rho**2)
        data[t] += rho * data[t - 1]
    data += matrix @ (0.5 * rng.standard_normal((n_columns, n_voxels)))
    data += 100.0
    weights = np.zeros(n_columns)
    weights[:2] = 1.0, -1.0
    return data, matrix, weights


def study(cache: Path, n_scans: int = 240) -> Study:
    """Return the files of a run, made on the first call; whole or not at all."""
    folder = cache / f"v{VERSION}-{n_scans}-scans"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache))
        try:
            _make(Study(made), n_scans)
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return Study(folder)


def brain() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an ellipsoid of N_INSIDE voxels, the depth in it, and the grid's places in -1 … 1."""
    place = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in GRID], indexing="ij"))
    radius = np.sqrt(sum((place[i] / axis) ** 2 for i, axis in enumerate((0.87, 0.92, 0.83))))
    edge = np.partition(radius, N_INSIDE, axis=None)[N_INSIDE]
    return radius < edge, radius / edge, place


def _make(files: Study, n_scans: int) -> None:
    rng = np.random.default_rng(1)
    inside, depth, place = brain()
    task, motion = _tables(files, n_scans, rng)
    mean = _anatomy(inside, depth, rng)
    maps = _maps(inside, place, rng)
    volumes = np.empty((*GRID, n_scans), np.int16, order="F")
    noise = np.zeros(GRID)
    for t in range(n_scans):
        noise = 0.35 * noise + np.sqrt(1 - 0.35**2) * _smooth_noise(rng)
        signal = np.tensordot(np.r_[task[t], motion[t]], maps, 1)
        drift = 40 * inside * np.cos(np.pi * t / n_scans)
        volume = mean + np.where(inside, 90, 12) * noise + signal + drift
        volumes[..., t] = np.rint(np.clip(volume, 0, 32000))
    _save(files.bold, volumes, AFFINE)
    _save(files.mask, inside.astype(np.uint8), AFFINE)
    sidecar = {"RepetitionTime": TR, "TaskName": "faces"}
    files.bold.with_name("bold.json").write_text(json.dumps(sidecar))


def _tables(files: Study, n_scans: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Write events and confounds; return the task's columns and motion in standard units."""
    onsets = np.arange(10, n_scans * TR - 30, 30.0)
    kinds = np.where(np.arange(onsets.size) % 2 == 0, "face", "house")
    events = pd.DataFrame({"onset": onsets, "duration": 12.0, "trial_type": kinds})
    events.to_csv(files.events, sep="\t", index=False)
    frame_times = np.arange(n_scans) * TR
    columns = make_first_level_design_matrix(frame_times, events, hrf_model="spm")
    steps = np.r_[[0.02] * 3, [0.0004] * 3]  # mm and radians a scan
    motion = np.cumsum(rng.standard_normal((n_scans, 6)) * steps, axis=0)
    motion -= motion[0]
    pd.DataFrame(motion, columns=MOTION).to_csv(files.confounds, sep="\t", index=False)
    return columns[["face", "house"]].to_numpy(), motion / motion.std(axis=0)


def _anatomy(inside: np.ndarray, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a mean image: bright inside, with texture, on a dim background."""
    texture = gaussian_filter(rng.standard_normal(GRID), 2)
    brain = 10000 * (1 - 0.25 * depth) + 800 * texture / texture.std()
    background = 250 + 300 * np.abs(gaussian_filter(rng.standard_normal(GRID), 1))
    return gaussian_filter(np.where(inside, brain, 0) + background, 0.7)


def _maps(inside: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return where face, house and the six motion parameters act, shape ``(8, X, Y, Z)``."""

    def blob(x: float) -> np.ndarray:
        squares = sum((place[i] - at) ** 2 for i, at in enumerate((x, -0.4, -0.2)))
        return 150 * np.exp(-squares / (2 * 0.12**2)) * inside

    leaks = [100 * gaussian_filter(rng.standard_normal(GRID), 3) * inside for _ in MOTION]
    return np.stack([blob(0.4), blob(-0.4), *leaks])


def _smooth_noise(rng: np.random.Generator) -> np.ndarray:
    """Return one volume of unit noise, half of its variance smooth."""
    smooth = gaussian_filter(rng.standard_normal(GRID), 0.8)
    return np.sqrt(0.5) * (smooth / smooth.std() + rng.standard_normal(GRID))


def _save(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    if data.ndim == 4:
        image.header["pixdim"][4] = TR
    nib.save(image, path)
