"""Corrections by random-field theory: the field behind a contrast, and the decision."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError, VoxlmError, did_you_mean
from voxlm.inference.decision import Decision, check_level, name_of
from voxlm.inference.plan import forming_heights, read_forming
from voxlm.inference.randomfield import RandomField
from voxlm.inference.roughness import measure_roughness
from voxlm.kernels.graph import components

if TYPE_CHECKING:
    from voxlm.analysis.contrast import Contrast

OPTIONS = ("level", "forming_p", "forming", "connectivity")
LEVELS = ("voxel", "cluster")
NO_RESIDUALS = (
    "random-field theory takes the smoothness of the field from residual images, and this "
    "contrast keeps none: fit the maps or runs with lm or glsar"
)


def decide_by_field(
    contrast: Contrast, alpha: float, two_sided: bool, options: Mapping[str, Any]
) -> tuple[Decision, RandomField, float, int]:
    """Correct by random-field theory.

    Parameters
    ----------
    contrast : Contrast
    alpha : float
    two_sided : bool
    options : mapping
        ``level``, ``forming_p``, ``forming``, ``connectivity``.

    Returns
    -------
    decision : Decision
    field : RandomField
    forming : float
        Height that clusters are formed at: for the level of voxels, the threshold itself.
    connectivity : int

    Raises
    ------
    DataError, VoxlmError
        No residuals, a statistic that is no t or F of one df, no volume; unknown options.
    """
    for name in options:
        if name not in OPTIONS:
            raise VoxlmError(f"unknown option {name!r}; {did_you_mean(name, OPTIONS)}")
    level, connectivity = options.get("level", "voxel"), options.get("connectivity", 6)
    if level not in LEVELS:
        raise VoxlmError(f"level is 'voxel' or 'cluster', got {level!r}")
    if level == "voxel" and {"forming", "forming_p"} & options.keys():
        raise VoxlmError("forming and forming_p are for level='cluster'")
    check_level(alpha)
    field, inside = field_of(contrast, two_sided)
    graph = contrast.space.graph(connectivity)
    size = height_of(contrast, two_sided)
    name = name_of(contrast.result)
    said = f"|{name}|" if field.sides == 2 else name
    smooth = f"random-field theory over {field}"
    if level == "voxel":
        cut = field.threshold(alpha)
        p = np.where(inside, field.peak_p(np.maximum(size, 0.0)), np.nan)
        words = f"{said} >= {cut:.4f} (family-wise error {alpha:g}, {smooth})"
        forming = threshold = cut
    else:
        heights, chances = read_forming(options.get("forming"), options.get("forming_p"))
        if chances is not None:
            heights = forming_heights(chances, field.kind, field.df, field.df_num, two_sided)
        forming = threshold = _one(heights)
        p = _cluster_p(field, contrast.stat, size, inside, forming, graph)
        words = (
            f"clusters of {said} > {forming:.4f}, extent > {field.extent(alpha, forming):.1f} "
            f"voxels (family-wise error {alpha:g}, {smooth})"
        )
    with np.errstate(invalid="ignore"):
        significant = p <= alpha
    reached = alpha if significant.any() else 0.0
    decision = Decision(
        p, significant, "grf", alpha, int(inside.sum()), reached, threshold, name, words
    )
    return decision, field, forming, connectivity


def height_of(contrast: Contrast, two_sided: bool) -> NDArray[np.float64]:
    """Return the statistic's size where both signs count, else the statistic."""
    both = two_sided and contrast.kind == "t"
    return np.abs(contrast.stat) if both else contrast.stat


def field_of(contrast: Contrast, two_sided: bool) -> tuple[RandomField, NDArray[np.bool_]]:
    """Estimate the smoothness of a contrast's field; return it and the region it covers."""
    images = contrast.residuals
    if images is None:
        raise DataError(NO_RESIDUALS)
    if images.refusal:
        raise DataError(images.refusal)
    if contrast.space.grid is None:
        raise DataError("random-field theory is for volumes here: use a permutation instead")
    df = np.unique(np.asarray(contrast.df)[np.isfinite(contrast.df)])
    if df.size > 1:
        most = np.asarray(contrast.df) == df.max()
        # Voxels that lack a map have fewer degrees of freedom, and are outside the field.
        inside = np.isfinite(contrast.stat) & most
    else:
        inside = np.isfinite(contrast.stat)
    rows = images.rows()
    first = next(rows)
    inside &= np.isfinite(first[0])
    found = measure_roughness(chain([first], rows), contrast.space.grid.voxels, inside)
    freedom = float(df.max()) if df.size else float("inf")
    return RandomField(found, contrast.kind, freedom, contrast.df_num, two_sided), inside


def _one(heights: tuple[float, ...]) -> float:
    if len(heights) > 1:
        raise VoxlmError("random-field theory forms clusters at one threshold: give one")
    return heights[0]


def _cluster_p(
    field: RandomField,
    stat: NDArray[np.float64],
    size: NDArray[np.float64],
    inside: NDArray[np.bool_],
    forming: float,
    graph: Any,
) -> NDArray[np.float64]:
    """Give each voxel the p of its cluster; 1 outside clusters."""
    with np.errstate(invalid="ignore"):
        above = inside & (size > forming)
    labels = components(graph, above, np.sign(np.nan_to_num(stat)))
    p = np.where(inside, 1.0, np.nan)
    if above.any():
        p[above] = field.cluster_p(np.bincount(labels[above]), forming)[labels[above]]
    return p
