"""The regressor of each voxel's own, where a design has one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.plan import Plan
from voxlm.bids.regressor import read_regressor, read_slices
from voxlm.errors import DesignError
from voxlm.models.source import Scans


def own_column(planned: Plan) -> Scans | None:
    """Return the regressor that ``voxel("…")`` names, opened; None where there is none."""
    if not planned.design.varying:
        return None
    (regressor,) = planned.design.meaning.regressors
    read = read_slices if regressor.slicewise else read_regressor
    return read(regressor.path, planned.run)


def own_series(planned: Plan, voxels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the regressor at some voxels, shape ``(n, k)``; no columns where there is none."""
    column = own_column(planned)
    if column is None:
        return np.empty((0, voxels.size))
    values = column.read(voxels)
    return values if planned.kept is None else values[planned.kept]


def forbid_several(plans: Sequence[Plan]) -> None:
    """Refuse one image for several runs.

    Raises
    ------
    DesignError
        Naming the regressor.
    """
    varying = [column.name for plan in plans for column in plan.design.varying]
    if varying and len(plans) > 1:
        raise DesignError(
            f"{varying[0]} has the scans of one run, and there are {len(plans)} runs; fit each by "
            "itself"
        )
