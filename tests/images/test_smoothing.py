"""Smoothing equals nilearn's ``smooth_img``."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.image import smooth_img
from small_images import AFFINE, image_of

from voxlm.errors import DataError
from voxlm.images.opening import open_image
from voxlm.images.scans import ImageScans
from voxlm.images.smoothing import check_fwhm
from voxlm.images.space import Volume
from voxlm.kernels.smooth import smooth, smoother

# Three float32 sums of at most a few dozen products: a few units in the 7th digit of the largest.
OF_SCALE = 1e-6


def smoothed(data: np.ndarray, mask: np.ndarray, fwhm: object) -> np.ndarray:
    opened = open_image(image_of(data), "bold")
    space = Volume(mask, opened.affine, opened.header)
    scans = ImageScans(opened, space, 2.0, check_fwhm(fwhm))  # type: ignore[arg-type]
    assert scans.dtype == np.float32
    return np.concatenate([rows.copy() for _, rows in scans.blocks(3)])


@pytest.mark.parametrize("fwhm", [6, 2.5, (4.0, 0.0, 9.0), 40])
@pytest.mark.parametrize("shape", [(24, 21, 18), (5, 30, 2), (40, 20, 1)])
@pytest.mark.parametrize("kind", [np.int16, np.float32, np.float64])
def test_equals_nilearn(shape: tuple[int, ...], fwhm: object, kind: type) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(10_000, 300, (*shape, 5)).astype(kind)
    mask = rng.random(shape) < 0.3
    mask[: shape[0] // 2] = False
    expected = smooth_img(nib.Nifti1Image(data, AFFINE), fwhm).get_fdata()[mask].T
    np.testing.assert_allclose(
        smoothed(data, mask, fwhm), expected, rtol=0, atol=OF_SCALE * np.abs(expected).max()
    )


def test_what_is_not_finite_counts_as_zero() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(100, 3, (12, 11, 10, 3)).astype(np.float32)
    data[rng.random(data.shape) < 0.1] = np.nan
    data[2, 2, 2, 1], data[4, 4, 4, 2] = np.inf, -np.inf
    mask = np.ones(data.shape[:3], dtype=bool)
    expected = smooth_img(nib.Nifti1Image(data.copy(), AFFINE), 6).get_fdata()[mask].T
    np.testing.assert_allclose(smoothed(data, mask, 6), expected, rtol=0, atol=OF_SCALE * 100)


def test_a_voxel_read_alone_is_the_same_number() -> None:
    data = np.random.default_rng(0).normal(100, 3, (16, 15, 14, 4)).astype(np.float32)
    opened = open_image(image_of(data), "bold")
    space = Volume(np.ones(data.shape[:3], dtype=bool), opened.affine)
    scans = ImageScans(opened, space, 2.0, (6.0, 6.0, 6.0))
    rows = np.concatenate([rows.copy() for _, rows in scans.blocks()])
    for column in (0, 1234, space.n_voxels - 1):
        np.testing.assert_array_equal(scans.read([column])[:, 0], rows[:, column])


@settings(deadline=None, max_examples=30)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    sigma=st.tuples(*[st.floats(0, 4)] * 3),
    seed=st.integers(0, 99),
)
def test_smoothing_is_linear_and_keeps_the_sum(
    shape: tuple[int, int, int], sigma: tuple[float, float, float], seed: int
) -> None:
    """With mirrored edges and a symmetric kernel no mass is lost."""
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, int(np.prod(shape))), dtype=np.float32)
    plan = smoother(np.argwhere(np.ones(shape)), shape, sigma)

    def run(volume: np.ndarray) -> np.ndarray:
        out = np.empty(volume.size, dtype=np.float32)
        smooth(volume, plan, 1.0, 0.0, out)
        return out

    np.testing.assert_allclose(run(first).sum(), first.sum(), rtol=1e-5)
    np.testing.assert_allclose(
        run(first + second), run(first) + run(second), rtol=0, atol=4 * OF_SCALE
    )


@pytest.mark.parametrize("bad", [-1, (1, 2), np.nan, "6", (1, 2, -3), (1, None, 2)])
def test_widths_that_are_none(bad: object) -> None:
    with pytest.raises(DataError, match="smoothing_fwhm is one width in millimetres"):
        check_fwhm(bad)  # type: ignore[arg-type]
