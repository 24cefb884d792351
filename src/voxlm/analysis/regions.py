"""All-resolution inference as a verdict: clusters, and the true discoveries in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import lazy_loader
import numpy as np
from numpy.typing import NDArray

from voxlm.errors import VoxlmError, did_you_mean
from voxlm.inference.ari import AllResolution, ari
from voxlm.inference.decision import Decision, name_of, p_of
from voxlm.inference.plan import read_forming
from voxlm.kernels.graph import components

if TYPE_CHECKING:
    from voxlm.analysis.contrast import Contrast

permuting = lazy_loader.load("voxlm.analysis.permuting", suppress_warning=True)

Bools = NDArray[np.bool_]
OPTIONS = ("forming_p", "forming", "connectivity")


def decide_by_region(
    contrast: Contrast, method: str, alpha: float, two_sided: bool, options: Mapping[str, Any]
) -> tuple[Decision, AllResolution, Bools, int]:
    """Form clusters and bound the true discoveries in each.

    Parameters
    ----------
    contrast : Contrast
    method : {"ari", "pari"}
    alpha : float
    two_sided : bool
    options : mapping
        ``forming_p``, ``forming``, ``connectivity``; for ``pari`` those of permutation.

    Returns
    -------
    decision : Decision
        Significant are the voxels of clusters that hold a true discovery; p is the least level at
        which they do.
    bounds : AllResolution
        Of any region.
    formed : ndarray of bool, shape (V,)
        Voxels of clusters.
    connectivity : int

    Raises
    ------
    VoxlmError, DataError
        Options that are unknown, one-sided ``pari``, more than one threshold.
    """
    own = {name: options[name] for name in OPTIONS if name in options}
    rest = {name: value for name, value in options.items() if name not in OPTIONS}
    if method == "ari":
        if rest:
            known = f"the options of 'ari' are {', '.join(OPTIONS)}"
            raise VoxlmError(
                f"unknown option {next(iter(rest))!r}; {did_you_mean(next(iter(rest)), OPTIONS)} "
                f"({known})"
            )
        bounds = ari(p_of(contrast.result, two_sided), alpha)
    else:
        if not two_sided and contrast.kind == "t":
            raise VoxlmError("pari counts both signs: leave two_sided=True, or use 'ari'")
        bounds = permuting.bound(contrast.resampling, contrast.hypothesis, alpha, rest)
    connectivity = own.get("connectivity", 6)
    formed, cut, said = _formed(contrast, two_sided, own)
    labels = label(contrast, formed, connectivity)
    inside = labels >= 0
    p = np.where(np.isnan(bounds.p), np.nan, 1.0)
    p[inside] = bounds.levels(labels)[labels[inside]]
    _, found, _ = bounds.by_label(labels + 1)
    significant = np.zeros(len(p), dtype=np.bool_)
    significant[inside] = found[labels[inside]] > 0
    confidence = f"all-resolution inference, simultaneous confidence {1 - alpha:g}"
    by = "Simes" if method == "ari" else f"{len(bounds.null) - 1} permutations"
    words = f"{said} with at least one true discovery ({confidence}, by {by})"
    reached = alpha if significant.any() else 0.0
    n_tests, name = int(np.sum(~np.isnan(p))), name_of(contrast.result)
    decision = Decision(p, significant, method, alpha, n_tests, reached, cut, name, words)
    return decision, bounds, formed, connectivity


def label(contrast: Contrast, formed: Bools, connectivity: int) -> NDArray[np.int64]:
    """Return the cluster of each voxel, from 0, -1 outside; columns of an array are their own."""
    if not contrast.space.linked:
        labels = np.full(len(formed), -1, dtype=np.int64)
        labels[formed] = np.arange(int(formed.sum()))
        return labels
    sign = np.sign(np.nan_to_num(contrast.stat))
    return components(contrast.space.graph(connectivity), formed, sign)


def _formed(
    contrast: Contrast, two_sided: bool, own: Mapping[str, Any]
) -> tuple[Bools, float, str]:
    """Return the voxels of clusters, the height that formed them, and what they are, in words."""
    if not contrast.space.linked and not own:
        return np.isfinite(contrast.stat), 0.0, "columns"
    heights, chances = read_forming(own.get("forming"), own.get("forming_p"))
    if len(heights or chances or ()) > 1:
        raise VoxlmError("all-resolution inference forms clusters at one threshold: give one")
    name = name_of(contrast.result)
    both = two_sided and contrast.kind == "t"
    said = f"|{name}|" if both else name
    with np.errstate(invalid="ignore"):
        if chances is not None:
            formed = p_of(contrast.result, two_sided) <= chances[0]
            size = np.abs(contrast.stat[formed])
            cut = float(size.min()) if size.size else float("inf")
            return formed, cut, f"clusters of {said} with p <= {chances[0]:g}"
        size = np.abs(contrast.stat) if both else contrast.stat
        return size > heights[0], heights[0], f"clusters of {said} > {heights[0]:g}"
