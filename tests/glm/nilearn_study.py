"""A small study that both packages can fit, made once."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd

SHAPE = (9, 10, 8)
AFFINE = np.diag([3.0, 3.0, 3.5, 1.0])
AFFINE[:3, 3] = (-12.0, -15.0, -10.0)
T = 90
TR = 2.0


def mask_image() -> nib.Nifti1Image:
    inside = np.zeros(SHAPE, dtype=np.int8)
    inside[2:7, 2:8, 2:6] = 1
    return nib.Nifti1Image(inside, AFFINE)


def events(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.uniform(2, T * TR - 20, 18))
    kinds = np.array(["face", "house", "tool"] * 6)
    return pd.DataFrame({"onset": onset, "duration": 2.5, "trial_type": rng.permutation(kinds)})


def confounds(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(100 + seed)
    return pd.DataFrame(rng.standard_normal((T, 3)).cumsum(axis=0), columns=["x", "y", "z"])


def series(seed: int) -> np.ndarray:
    rng = np.random.default_rng(200 + seed)
    noise = rng.standard_normal((*SHAPE, T))
    rho = np.linspace(-0.2, 0.7, SHAPE[0])[:, None, None]
    for t in range(1, T):
        noise[..., t] += rho * noise[..., t - 1]
    return 800.0 + 200.0 * rng.uniform(size=SHAPE)[..., None] + 9.0 * noise


def image(seed: int, dtype: type = np.float64) -> nib.Nifti1Image:
    return nib.Nifti1Image(series(seed).astype(dtype), AFFINE)


def group_maps(n: int, seed: int = 0) -> list[nib.Nifti1Image]:
    rng = np.random.default_rng(300 + seed)
    inside = mask_image().get_fdata() > 0
    found = []
    for _ in range(n):
        values = np.zeros(SHAPE)
        values[inside] = rng.standard_normal(int(inside.sum())) + 0.4
        found.append(nib.Nifti1Image(values, AFFINE))
    return found
