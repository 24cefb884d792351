"""Corrections that permute: what a contrast needs beside its maps, and the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.resampling import Resampling
from voxlm.contrasts.hypothesis import Hypothesis
from voxlm.errors import DataError, VoxlmError, did_you_mean
from voxlm.images.space import Space, Volume
from voxlm.inference.ari import AllResolution, pari
from voxlm.inference.partition import partition
from voxlm.inference.permutation import PermutationTest, permutation_test
from voxlm.inference.permute import reduce_data
from voxlm.inference.plan import PERMUTED as PERMUTED
from voxlm.inference.plan import TREE_METHODS, Plan, arrange_plan, check_plan
from voxlm.inference.refits import refit_of
from voxlm.kernels.graph import volume_graph

if TYPE_CHECKING:
    from scipy import sparse

    from voxlm.bids.maps import Maps

FIRST_LEVEL = (
    "permutation needs observations that can change places: the scans of a run are correlated in "
    "time, so they cannot. Fit each run, and permute the maps of runs or subjects at the group "
    "level: voxlm.lm over voxlm.Maps"
)
# What the plan takes from the call itself, and what the fit has settled.
RESERVED = ("methods", "variance_groups")
OPTIONS = ("connectivity", *(f.name for f in fields(Plan) if f.name not in RESERVED))


def permute(
    resampling: Resampling | None,
    question: Hypothesis,
    space: Space,
    method: str,
    options: Mapping[str, Any],
) -> PermutationTest:
    """Test a contrast by permutation.

    Parameters
    ----------
    resampling : Resampling or None
        None for a first-level contrast, which is refused.
    question : Hypothesis
        The contrast.
    space : Space
        Gives the neighbours.
    method : str
        One of ``voxlm.inference.plan.PERMUTED``.
    options : mapping
        Of :class:`voxlm.inference.plan.Plan`, and ``connectivity``. ``blocks`` may name a column.

    Raises
    ------
    VoxlmError, DataError
        A fit that cannot be permuted, an unknown option, clusters where there are no neighbours.
    """
    maps, chosen = _ready(resampling, options)
    connectivity = chosen.pop("connectivity", 6)
    refitter = None
    if maps.mixed is not None:
        refitter = refit_of(maps.mixed)
        chosen = {"blocks": maps.groups, "exchange": "whole", "permute": "flip", **chosen}
    plan = Plan((method,) if method == "maxt" else (method, "maxt"), **chosen)
    graph = _graph(space, connectivity) if method in TREE_METHODS else None
    return permutation_test(
        maps.maps.values,
        maps.X,
        question.C,
        plan,
        null=question.null,
        graph=graph,
        refitter=refitter,
    )


def bound(
    resampling: Resampling | None, question: Hypothesis, alpha: float, options: Mapping[str, Any]
) -> AllResolution:
    """Bound true discoveries by permutation; see :func:`voxlm.inference.ari.pari`.

    Parameters
    ----------
    resampling, question
        As for :func:`permute`.
    alpha : float
        Level.
    options : mapping
        ``start``, ``n_perm``, ``seed``, ``blocks``, ``exchange``, ``permute``, ``dtype``.

    Raises
    ------
    VoxlmError, DataError
        As for :func:`permute`.
    """
    used = ("start", "n_perm", "seed", "blocks", "exchange", "permute", "dtype")
    maps, chosen = _ready(resampling, options, used)
    start = chosen.pop("start", 0.0)
    plan = Plan(**{"n_perm": 1000, **chosen})
    part = partition(maps.X, question.C, question.null)
    values = np.asarray(maps.maps.values)
    check_plan(plan, values.shape, part, None)
    arranged = arrange_plan(plan, maps.X, part, None)
    exact = plan.dtype == "float64" or arranged.exhaustive
    reduced = reduce_data(values, part, np.float64 if exact else np.float32)
    return pari(reduced, arranged, alpha, start)


def _ready(
    resampling: Resampling | None, options: Mapping[str, Any], known: tuple[str, ...] = OPTIONS
) -> tuple[Resampling, dict[str, Any]]:
    """Refuse what cannot be permuted and options that are not known; read named blocks."""
    if resampling is None:
        raise DataError(FIRST_LEVEL)
    if resampling.refusal:
        raise DataError(resampling.refusal)
    if resampling.mixed is not None and known is not OPTIONS:
        raise DataError("bounds by permutation are for least squares: use method='ari'")
    for name in options:
        if name not in known:
            raise VoxlmError(f"unknown option {name!r}; {did_you_mean(name, known)}")
    chosen = dict(options)
    if isinstance(chosen.get("blocks"), str):
        chosen["blocks"] = _column(resampling.maps, chosen["blocks"])
    return resampling, chosen


def _column(maps: Maps, name: str) -> NDArray[Any]:
    if name not in maps.table:
        raise DataError(f"blocks: {name!r} is not a column of the table; {_known(maps, name)}")
    return np.asarray(maps.table[name])


def _known(maps: Maps, name: str) -> str:
    return did_you_mean(name, [str(column) for column in maps.table.columns])


def _graph(space: Space, connectivity: Literal[6, 18, 26]) -> sparse.csr_array:
    if not isinstance(space, Volume):
        raise DataError(
            "clusters and TFCE need neighbours, which the columns of an array do not have: give "
            "the maps as images, or use method='maxt'"
        )
    if connectivity not in (6, 18, 26):
        raise DataError(f"connectivity is 6, 18 or 26, got {connectivity!r}")
    inside = np.ravel_multi_index(tuple(space.voxels.T), space.shape)
    return volume_graph(space.shape, inside, connectivity)
