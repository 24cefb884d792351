"""Several runs on one mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voxlm.bids.run import Run
from voxlm.errors import DataError
from voxlm.images.mask import largest_part
from voxlm.images.nifti import SAME_MM
from voxlm.images.space import Volume

AGREE = 0.5  # a voxel is in if more than this fraction of the runs has it


def share_mask(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Give runs that came without masks one mask in common.

    A mask is computed for each run; voxels that more than half of the runs have are in, and of
    those the largest connected part [1]_. Runs with masks of their own, arrays, and single runs
    are returned as they are.

    Parameters
    ----------
    runs : sequence of Run
        Runs of one person.

    Returns
    -------
    tuple of Run

    Raises
    ------
    DataError
        If the runs lie on different grids, or no voxel is in.

    References
    ----------
    .. [1] The rule of ``nilearn.masking.compute_multi_epi_mask``.
    """
    if len(runs) < 2 or any(run.mask is not None for run in runs):
        return tuple(runs)
    volumes = [run.space.grid for run in runs if run.space.grid is not None]
    if len(volumes) < len(runs):
        return tuple(runs)
    for run, space in zip(runs, volumes, strict=True):
        _check_same_grid(runs[0].name, volumes[0], run.name, space)
    inside = np.mean([space.mask for space in volumes], axis=0) > AGREE
    if not inside.any():
        raise DataError(
            f"the masks computed for {len(runs)} runs have no voxel in common; give mask="
        )
    inside = largest_part(inside)
    return tuple(run.within(inside, f"{len(runs)} runs' mean images") for run in runs)


def _check_same_grid(first: str, here: Volume, second: str, there: Volume) -> None:
    near = np.allclose(here.affine, there.affine, rtol=0, atol=SAME_MM)
    if here.shape != there.shape or not near:
        raise DataError(
            f"{first} and {second} lie on different grids, {here.shape} and {there.shape}, with "
            f"affines\n{here.affine}\n{there.affine}\nResample one to the other first"
        )
