"""What a contrast keeps so that its maps can be permuted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from voxlm.bids.maps import Maps
    from voxlm.design.columns import Design
    from voxlm.models.intercept import InterceptEstimate
    from voxlm.models.mixed import MixedEstimate
    from voxlm.models.pieces import Pieces


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """The maps behind a contrast, so that they can be permuted.

    Parameters
    ----------
    maps : Maps
        The data and their table.
    X : ndarray, shape (N, P)
        The design.
    refusal : str
        Why this fit cannot be permuted; empty where it can.
    mixed : InterceptEstimate or MixedEstimate, optional
        The mixed model, to be fitted again to every permutation.
    groups : ndarray of int, shape (N,), optional
        Its widest groups, which permutations keep whole.
    """

    maps: Maps
    X: NDArray[np.float64]
    refusal: str = ""
    mixed: InterceptEstimate | MixedEstimate | None = None
    groups: NDArray[np.int64] | None = None


def permute_mixed(design: Design, maps: Maps, pieces: Pieces[Any]) -> Resampling:
    """Say how the maps of a mixed model may be permuted: by its widest groups.

    Voxels that lack some map are not tested. With crossed factors no group holds all that belongs
    together, so the fit cannot be permuted.
    """
    whole = [
        part
        for pattern, part in zip(pieces.patterns, pieces.parts, strict=True)
        if part is not None and pattern.rows.all()
    ]
    if not whole:
        return Resampling(maps, design.matrix, "no voxel has all maps, so none can be permuted")
    codes = [np.asarray(block.codes) for block in design.random]
    widest = min(codes, key=lambda code: np.unique(code).size)
    for block, code in zip(design.random, codes, strict=True):
        if np.unique(np.stack([code, widest]), axis=1).shape[1] > np.unique(code).size:
            return Resampling(
                maps,
                design.matrix,
                f"permutation keeps groups whole, and the groups of {block.group!r} are crossed "
                "with others, so no exchange keeps all of them; correct by method='fdr', or use "
                "lm over the maps, with blocks= for maps that belong together",
            )
    return Resampling(maps, design.matrix, mixed=whole[0], groups=widest.astype(np.int64))
