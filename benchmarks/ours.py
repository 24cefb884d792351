"""The work as a user of voxlm writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import voxlm as vx
from benchmarks.study import Study
from voxlm.design.columns import Column, Design

FORMULA = "y ~ face + house + motion"
CONTRAST = "face - house"


def design_of(matrix: Any, names: list[str]) -> Design:
    """Take a matrix as a design."""
    return Design(matrix, tuple(Column(name, name, "confound") for name in names))


def fit_array(data: Any, design: Design, weights: Any, order: int) -> tuple[Any, Any]:
    """Fit an array and test one contrast; return t and z."""
    run = vx.Run(data, scaling=None)
    fit = vx.glsar(design, run, order=order) if order else vx.lm(design, run)
    contrast = fit.contrast(weights)
    return contrast.t, contrast.z


def file_to_map(
    study: Study, out: Path, fwhm: float | None = None, drift: str = "cosine(1/128)"
) -> np.ndarray:
    """From files to a z map in a file; return the t values in the order of the mask."""
    run = vx.Run(
        study.bold,
        events=study.events,
        confounds=study.confounds,
        mask=study.mask,
        tr=study.tr,
        smoothing_fwhm=fwhm,
    )
    contrast = vx.glsar(f"{FORMULA} + {drift}", run).contrast(CONTRAST)
    run.space.write(out, contrast.z, intent="z")
    return contrast.t
