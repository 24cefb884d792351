"""What lies under a map: the mean of the data that were fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm import report
from voxlm.analysis.fitted import Fitted
from voxlm.models.stacked import Stacked


def mean_values(fit: Fitted) -> NDArray[np.float64]:
    """Return the mean over scans of each voxel in the units of the data; 0 where left out.

    It follows from the fit: no image is read. Of stacked runs, the mean of the first.

    Parameters
    ----------
    fit : Fitted

    Returns
    -------
    ndarray, shape (V,)
    """
    source = fit.run.scans
    if isinstance(source, Stacked):
        part = source.parts[0]
        return np.nan_to_num((fit.estimate.level - part.level) / part.factor, posinf=0.0)
    estimate = fit.estimate
    shared = estimate.X.shape[1]
    fitted = estimate.X.mean(axis=0) @ estimate.params[:shared]
    return np.nan_to_num((fitted - estimate.level) / estimate.factor, posinf=0.0, neginf=0.0)


def mean_image(fit: Fitted) -> Any:
    """Return :func:`mean_values` of what lies in voxels as an image; None where nothing does.

    Data that were centred have no anatomy to show: a flat brain stands for it.
    """
    mean = mean_values(fit)
    spread = float(np.abs(mean).max(initial=0.0))
    if spread == 0.0 or mean.mean() < 0.1 * spread:
        mean = np.ones_like(mean)
    return fit.run.space.volume(mean)


def outline(space: Any) -> Any:
    """Return the brain's outline as a background where there is no anatomy to lie on.

    None in MNI space, where there is a template, and for what has no voxels.
    """
    image = space.volume(np.ones(space.n_voxels))
    return None if image is None or report.in_mni(image) else image
