"""Conjunctions: voxels where several contrasts hold together, by the minimum statistic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voxlm.contrasts.statmap import StatMap
from voxlm.errors import VoxlmError
from voxlm.kernels import tails

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Conjunction:
    """The weakest of several statistics at every voxel.

    Parameters
    ----------
    z : ndarray, shape (V,)
        The z nearest to 0; 0 where signs differ, NaN where any contrast has no test.
    weakest : ndarray of int, shape (V,)
        The contrast that it comes from.
    p : ndarray, shape (V,)
        Against the null hypothesis asked for, two-sided: both signs count, but the same in all.
    null : {"conjunction", "global"}
        Which.
    n : int
        Contrasts, K.

    Examples
    --------
    >>> from voxlm.contrasts import wald
    >>> effects = np.array([[3.0, 4.0]]), np.array([[2.0, -4.0]])
    >>> found = conjoin([wald(e, np.ones((1, 1, 2)), np.inf, "t") for e in effects])
    >>> found.z, found.p.round(4), found.weakest
    (array([2., 0.]), array([0.0455, 1.    ]), array([1, 0]))
    """

    z: Array
    weakest: NDArray[np.int64]
    p: Array
    null: Literal["conjunction", "global"]
    n: int


def conjoin(
    maps: Sequence[StatMap], null: Literal["conjunction", "global"] = "conjunction"
) -> Conjunction:
    """Join t contrasts by their minimum statistic.

    Parameters
    ----------
    maps : sequence of StatMap
        Two or more t contrasts of the same voxels; their degrees of freedom may differ, since each
        counts by its p.
    null : {"conjunction", "global"}
        ``conjunction``: some contrast has no effect (Nichols et al., 2005); rejecting it says that
        all have one, in the same direction; p is the largest p. ``global``: no contrast has an
        effect (Friston et al., 1999); rejecting it says that some has one, and it holds only for
        independent contrasts.

    Returns
    -------
    Conjunction
        Its p can be corrected by :func:`voxlm.inference.correct`.

    Raises
    ------
    VoxlmError
        Fewer than two contrasts, an F, different voxels, an unknown null hypothesis.
    """
    if null not in ("conjunction", "global"):
        raise VoxlmError(f"null is 'conjunction' or 'global', got {null!r}")
    if len(maps) < 2:
        raise VoxlmError(f"a conjunction joins two contrasts or more, got {len(maps)}")
    sizes = {m.n_voxels for m in maps}
    if len(sizes) > 1:
        raise VoxlmError(f"the contrasts have different numbers of voxels: {sorted(sizes)}")
    if any(m.kind != "t" for m in maps):
        raise VoxlmError("an F has no direction to agree on: join its rows as t contrasts")
    z, p = np.array([m.z for m in maps]), np.array([m.p for m in maps])
    missing = np.isnan(z).any(axis=0)
    weakest = np.argmin(np.where(np.isnan(z), 0.0, np.abs(z)), axis=0)
    agree = (np.abs(np.sign(z).sum(axis=0)) == len(maps)) & ~missing
    smallest = np.take_along_axis(z, weakest[None], axis=0)[0]
    largest_p = p.max(axis=0)
    if null == "global":
        # Either direction, each the product of K equal one-sided tails.
        largest_p = 2.0 * (largest_p / 2.0) ** len(maps)
    found = np.where(agree, largest_p, np.where(missing, np.nan, 1.0))
    shown = np.where(agree, smallest, np.where(missing, np.nan, 0.0))
    return Conjunction(shown, weakest, found, null, len(maps))


def z_of(joint: Conjunction) -> Array:
    """Return the z whose two-sided p is that of a conjunction, shape ``(V,)``.

    For the conjunction null hypothesis the weakest z itself; 0 where signs differ.

    Examples
    --------
    >>> from voxlm.contrasts import wald
    >>> maps = [wald(np.array([[z]]), np.ones((1, 1, 1)), np.inf, "t") for z in (2.0, 3.0)]
    >>> z_of(conjoin(maps)), z_of(conjoin(maps, "global")).round(3)
    (array([2.]), array([3.281]))
    """
    if joint.null == "conjunction":
        return joint.z
    found = tails.t_isf(joint.p / 2.0, np.inf)
    return np.where(joint.z == 0, 0.0, np.copysign(found, joint.z))
