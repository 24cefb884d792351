"""What a contrast keeps beside its maps, for corrections that need more than them.

Axes: N maps, R runs, V voxels, P columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


FIRST_LEVEL = (
    "permutation needs observations that can change places: the scans of a run are correlated in "
    "time, so they cannot, and one run is one observation. Fit several runs, whose signs are then "
    "flipped as wholes, or permute the maps of subjects at the group level: voxlm.lm over "
    "voxlm.Maps"
)

CROSSED = (
    "the groups of this model's random terms are crossed throughout, so no part of the maps can "
    "change sign alone. Whole groups may still change places where they hold the same groups of "
    "the other factors in the same order: blocks={factor}. Else correct by "
    "method='fdr'"
)


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
        The narrowest groups that hold all of its groups whole; None where all are one.
    crossed : str
        Why there are no such groups; empty where there are.
    variance_groups : ndarray of int, shape (N,), optional
        Groups of maps of unequal variance.
    weighted : bool
        Whether the rows were multiplied by the roots of unequal weights.
    """

    maps: Maps
    X: NDArray[np.float64]
    refusal: str = ""
    mixed: InterceptEstimate | MixedEstimate | None = None
    groups: NDArray[np.int64] | None = None
    crossed: str = ""
    variance_groups: NDArray[np.int64] | None = None
    weighted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RunParts:
    """What each run adds to a fixed-effects t, so that whole runs can be flipped.

    Parameters
    ----------
    parts : ndarray, shape (R, V)
        Their sum is the statistic.
    df : float
        Its degrees of freedom.
    """

    parts: NDArray[np.float64]
    df: float


@dataclass(frozen=True, slots=True, eq=False)
class ResidualImages:
    """Residuals of a fit, from which the smoothness of its maps is estimated.

    Parameters
    ----------
    rows : callable
        Gives residual images, ``(k, V)`` at a time; their squares sum to 1 at every voxel.
    refusal : str
        Why the statistic of this fit is no random field; empty where it is one.
    """

    rows: Callable[[], Iterator[NDArray[np.float64]]]
    refusal: str = ""


def permute_mixed(design: Design, maps: Maps, pieces: Pieces[Any]) -> Resampling:
    """Say how the maps of a mixed model may be permuted: by its widest groups.

    Voxels that lack some map are not tested. Crossed factors join their groups; if they join all,
    there is no group to flip, and blocks have to say what may be exchanged.
    """
    whole = [
        part
        for pattern, part in zip(pieces.patterns, pieces.parts, strict=True)
        if part is not None and pattern.rows.all()
    ]
    if not whole:
        return Resampling(maps, design.matrix, "no voxel has all maps, so none can be permuted")
    codes = [np.asarray(block.codes) for block in design.random]
    groups = _joined(codes)
    if groups.any():
        return Resampling(maps, design.matrix, mixed=whole[0], groups=groups)
    most = max(design.random, key=lambda block: len(block.levels)).group
    crossed = CROSSED.format(factor="…" if ":" in most else repr(most))
    return Resampling(maps, design.matrix, mixed=whole[0], crossed=crossed)


def _joined(codes: Sequence[NDArray[np.intp]]) -> NDArray[np.int64]:
    """Return the narrowest groups of rows that hold every factor's groups whole, ``(N,)``."""
    n = len(codes[0])
    label, before = np.arange(n), np.full(n, -1)
    while not np.array_equal(label, before):
        before = label
        for code in codes:
            least = np.full(code.max() + 1, n)
            np.minimum.at(least, code, label)
            label = least[code]
    return np.unique(label, return_inverse=True)[1]
