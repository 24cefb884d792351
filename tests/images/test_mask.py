"""Masks: given ones are checked, computed ones equal nilearn's."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nilearn.masking import compute_epi_mask
from small_images import AFFINE, SHAPE, image_of

from voxlm.errors import DataError
from voxlm.images.mask import epi_mask, mean_volume, open_mask, read_mask
from voxlm.images.opening import open_image

REAL = [
    "nft_block/sub-01_task-nfb_bold.nii.gz",
    "nft_block/sub-01_task-nfb_desc-lowres2x_bold.nii.gz",
    "haxby_multirun/sub-1_task-objectviewing_run-01_desc-25mm_bold.nii.gz",
    "haxby_multirun/sub-1_task-objectviewing_run-10_desc-25mm_bold.nii.gz",
    "pyhrf_localizer/subj0_bold_session0.nii.gz",
    "pyhrf_localizer/real_data_vol_4_regions_BOLD.nii.gz",
]


def brain(shape: tuple[int, int, int] = (22, 24, 20), n_scans: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    place = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    inside = (place**2).sum(axis=0) < 0.5
    mean = np.where(inside, 1000 + 100 * rng.random(shape), 50 * rng.random(shape))
    return mean[..., None] + rng.normal(0, 5, (*shape, n_scans))


def nilearn_mask(source: object) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(compute_epi_mask(source).dataobj) > 0


@pytest.mark.parametrize("name", REAL)
def test_real_runs_give_nilearns_mask(shared_data: Path, name: str) -> None:
    path = shared_data / name
    found = epi_mask(mean_volume(open_image(path, "bold")))
    np.testing.assert_array_equal(found, nilearn_mask(str(path)))


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.float64])
@pytest.mark.parametrize("hole", [False, True])
def test_made_runs_give_nilearns_mask(kind: type, hole: bool) -> None:
    data = brain()
    if hole:
        data[8:10, 8:10, 8:10] = np.nan if kind is not np.int16 else 0
        data[1:5, 1:5, 1:5] = 1500
    image = nib.Nifti1Image(data.astype(kind), AFFINE)
    found = epi_mask(mean_volume(open_image(image, "bold")))
    np.testing.assert_array_equal(found, nilearn_mask(image))
    assert 0 < found.sum() < found.size


def test_no_brain_is_an_error() -> None:
    with pytest.raises(DataError, match="no brain was found"):
        epi_mask(np.zeros((1, 20, 20)) + np.arange(20))
    with pytest.raises(DataError, match="too small"):
        epi_mask(np.zeros((1, 1, 1)))


def test_a_mask_is_what_is_neither_zero_nor_nan() -> None:
    bold = open_image(image_of(np.zeros((*SHAPE, 3), dtype=np.float32)), "bold")
    values = np.zeros(SHAPE, dtype=np.float32)
    values[1, 2, 3], values[3, 2, 1], values[0, 0, 0] = 0.2, -7, np.nan
    found = read_mask(open_mask(image_of(values), bold))
    assert np.argwhere(found).tolist() == [[1, 2, 3], [3, 2, 1]]


def test_a_mask_with_a_fourth_axis_of_one(tmp_path: Path) -> None:
    bold = open_image(image_of(np.zeros((*SHAPE, 3), dtype=np.float32)), "bold")
    path = tmp_path / "mask.nii.gz"
    nib.save(image_of(np.ones((*SHAPE, 1), dtype=np.uint8)), path)
    assert read_mask(open_mask(path, bold)).shape == SHAPE


def test_an_empty_mask() -> None:
    bold = open_image(image_of(np.zeros((*SHAPE, 3), dtype=np.float32)), "bold")
    with pytest.raises(DataError, match="is empty: all of its 210 voxels are 0 or NaN"):
        read_mask(open_mask(image_of(np.zeros(SHAPE, dtype=np.uint8)), bold))


def test_a_mask_on_another_grid_shows_both() -> None:
    bold = open_image(image_of(np.zeros((*SHAPE, 3), dtype=np.float32)), "bold")
    shifted = nib.Nifti1Image(np.ones(SHAPE, dtype=np.uint8), AFFINE + 0.5 * np.eye(4, k=3))
    other = image_of(np.ones((8, 6, 5), dtype=np.uint8))
    for mask in (shifted, other):
        with pytest.raises(DataError, match="another grid") as caught:
            open_mask(mask, bold)
        said = str(caught.value)
        assert "30.5" in said or "(8, 6, 5)" in said
        assert str(SHAPE)[:-1] in said
        assert said.count("affine") == 2
        assert "resample_to_img" in said


def test_rounding_of_affines_is_no_other_grid() -> None:
    bold = open_image(image_of(np.zeros((*SHAPE, 3), dtype=np.float32)), "bold")
    near = nib.Nifti1Image(np.ones(SHAPE, dtype=np.uint8), AFFINE + 1e-5)
    assert read_mask(open_mask(near, bold)).all()
