"""Runs without masks come to one mask, nilearn's."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nilearn.masking import compute_multi_epi_mask

from voxlm.bids.common import share_mask
from voxlm.bids.run import Run
from voxlm.errors import DataError
from voxlm.images.space import Volume


def image(seed: int, shape: tuple[int, int, int] = (20, 22, 18)) -> nib.Nifti1Image:
    rng = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    inside = ((place - 0.08 * seed) ** 2).sum(axis=0) < 0.5
    mean = np.where(inside, 1000 + 100 * rng.random(shape), 50 * rng.random(shape))
    return nib.Nifti1Image(mean[..., None] + rng.normal(0, 5, (*shape, 4)), np.eye(4))


@pytest.mark.parametrize("n_runs", [2, 3, 4])
def test_equals_nilearn(n_runs: int) -> None:
    images = [image(seed) for seed in range(n_runs)]
    runs = share_mask([Run(one, tr=2.0) for one in images])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(compute_multi_epi_mask(images, threshold=0.5).dataobj) > 0
    for run in runs:
        assert isinstance(run.space, Volume)
        np.testing.assert_array_equal(run.space.mask, expected)
        assert sum("no mask was given" in note for note in run.notes) == 1
        assert f"{n_runs} runs' mean images has {expected.sum():,} of" in run.notes[-1]


def test_runs_with_masks_are_left_alone() -> None:
    mask = nib.Nifti1Image(np.ones((20, 22, 18), dtype=np.uint8), np.eye(4))
    runs = [Run(image(0), tr=2.0, mask=mask), Run(image(1), tr=2.0)]
    assert share_mask(runs) == tuple(runs)
    arrays = [Run(np.ones((5, 3))), Run(np.ones((6, 3)))]
    assert share_mask(arrays) == tuple(arrays)


def test_other_grids() -> None:
    with pytest.raises(DataError, match="different grids"):
        share_mask([Run(image(0), tr=2.0), Run(image(0, (20, 22, 20)), tr=2.0)])


def test_real_runs(shared_data: Path) -> None:
    paths = [
        shared_data / "haxby_multirun" / f"sub-1_task-objectviewing_run-{n}_desc-25mm_bold.nii.gz"
        for n in ("01", "02", "10")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(compute_multi_epi_mask([str(p) for p in paths]).dataobj) > 0
    for run in share_mask([Run(path) for path in paths]):
        assert isinstance(run.space, Volume)
        np.testing.assert_array_equal(run.space.mask, expected)
