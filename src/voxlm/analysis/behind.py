"""What lies behind a contrast over maps: the maps to permute, and residuals to smooth by."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from voxlm.analysis.groupdesign import scaled_design
from voxlm.analysis.resampling import Resampling, ResidualImages, permute_mixed
from voxlm.analysis.residuals import map_residuals_of

if TYPE_CHECKING:
    from voxlm.analysis.groupfit import GroupFit

# What a message calls a fit that is not named by its verb.
CALLED = {"robust": "robust="}


def resampling_of(fit: GroupFit) -> Resampling:
    """Say what corrections may permute, or why they may not."""
    if fit.model == "lmer":
        maps = fit.maps.adjusted(fit.design.offset, fit.root)
        found = permute_mixed(scaled_design(fit.design, fit.root), maps, fit.pieces)
        return replace(found, weighted=fit.root is not None and bool(np.ptp(fit.root) > 0))
    least_squares = fit.options.get("cov_type") in ("nonrobust", "variance_groups")
    plain = least_squares and fit.options.get("weights") is None
    refusal = ""
    if fit.model != "lm" or not plain:
        what = "weights or robust errors" if fit.model == "lm" else CALLED.get(fit.model, fit.model)
        refusal = (
            f"permutation refits ordinary least squares at every exchange, and this is a fit "
            f"with {what}: use plain lm over the maps, with blocks= for maps that belong together"
        )
    groups = fit.options.get("variance_groups")
    return Resampling(fit.response, fit.design.matrix, refusal, variance_groups=groups)


def residuals_of(fit: GroupFit) -> ResidualImages:
    """Give residual images, or say why the statistic is no random field."""
    refusal = ""
    if fit.model != "lm" or fit.options.get("cov_type") != "nonrobust":
        what = "other errors" if fit.model == "lm" else CALLED.get(fit.model, fit.model)
        refusal = (
            f"random-field theory is for a t or F of one residual variance and the same degrees "
            f"of freedom everywhere, and this is a fit with {what}: use plain lm over the maps, or "
            f"a correction by permutation"
        )
    rows = partial(map_residuals_of, fit.response, fit.design.matrix, fit.options.get("weights"))
    return ResidualImages(rows, refusal)
