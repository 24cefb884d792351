"""Small images on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from small_images import N_SCANS, SHAPE, image_of


@pytest.fixture
def values() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.normal(1000, 50, (*SHAPE, N_SCANS))


@pytest.fixture
def mask() -> np.ndarray:
    inside = np.random.default_rng(4).random(SHAPE) < 0.6
    inside[0, 0, 0], inside[3, 3, 3] = False, True
    return inside


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(data: np.ndarray, name: str = "bold.nii.gz", tr: float | None = 2.0) -> Path:
        path = tmp_path / name
        nib.save(image_of(data, tr), path)
        return path

    return save
