"""The same work as a user of nilearn writes it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.glm.contrasts import compute_contrast
from nilearn.glm.first_level import FirstLevelModel, run_glm

from benchmarks.study import Study


def nilearn_array(
    data: Any, matrix: Any, weights: Any, noise_model: str, n_jobs: int
) -> tuple[Any, Any]:
    """Fit an array and test one contrast; return t and z."""
    labels, results = run_glm(data, matrix, noise_model=noise_model, n_jobs=n_jobs)
    contrast = compute_contrast(labels, results, weights, stat_type="t")
    z = contrast.z_score()
    return contrast.stat_, z


def nilearn_file(study: Study, out: Path, fwhm: float | None, n_jobs: int) -> FirstLevelModel:
    """From files to a z map in a file; return the model, which still knows its t values."""
    model = FirstLevelModel(
        t_r=study.tr,
        mask_img=str(study.mask),
        smoothing_fwhm=fwhm,
        noise_model="ar1",
        hrf_model="spm",
        drift_model="cosine",
        high_pass=1 / 128,
        signal_scaling=0,
        n_jobs=n_jobs,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        events = pd.read_csv(study.events, sep="\t")
        confounds = pd.read_csv(study.confounds, sep="\t")
        model.fit(str(study.bold), events=events, confounds=confounds)
        model.compute_contrast("face - house", output_type="z_score").to_filename(str(out))
    return model


def nilearn_t(model: FirstLevelModel, study: Study) -> np.ndarray:
    """Return a fitted model's t values in the order of the mask."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = model.compute_contrast("face - house", output_type="stat")
    return np.asarray(image.dataobj)[np.asarray(nib.load(study.mask).dataobj) != 0]
