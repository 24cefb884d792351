"""Corrections that permute: what a contrast needs beside its maps, and the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from voxlm.analysis.resampling import FIRST_LEVEL, Resampling, RunParts
from voxlm.contrasts.hypothesis import Hypothesis
from voxlm.errors import DataError, VoxlmError, did_you_mean
from voxlm.images.space import Space
from voxlm.inference.ari import AllResolution, pari
from voxlm.inference.decision import check_level
from voxlm.inference.partition import Partition, partition
from voxlm.inference.permutation import PermutationTest, check_reach, flip_test, permutation_test
from voxlm.inference.permute import reduce_data
from voxlm.inference.plan import PERMUTED as PERMUTED
from voxlm.inference.plan import (
    TREE_METHODS,
    Plan,
    arrange_plan,
    check_plan,
    mirrors,
    read_groups,
)
from voxlm.inference.refits import refit_of
from voxlm.inference.runflips import run_flips

if TYPE_CHECKING:
    from voxlm.bids.maps import Maps

# Exponent of the extent in TFCE where it is not 0.5: as FSL and PALM have it for surfaces.
EXTENT_POWER = {"vertices": 1.0}
# What the plan takes from the call itself, and what the fit has settled.
RESERVED = ("methods", "variance_groups", "two_sided")
OPTIONS = ("connectivity", "progress", *(f.name for f in fields(Plan) if f.name not in RESERVED))
# Of these, what signs of whole runs leave open.
RUN_OPTIONS = tuple(name for name in OPTIONS if name not in ("blocks", "exchange", "permute"))
PARI_OPTIONS = ("start", "n_perm", "seed", "blocks", "exchange", "permute", "dtype")


def permute(
    behind: Resampling | RunParts | None,
    question: Hypothesis,
    space: Space,
    method: str,
    alpha: float,
    two_sided: bool,
    options: Mapping[str, Any],
) -> PermutationTest:
    """Test a contrast by permutation.

    Parameters
    ----------
    behind : Resampling, RunParts or None
        Maps; parts of runs, which are flipped; None for a single run, which is refused.
    question : Hypothesis
        The contrast.
    space : Space
        Gives the neighbours.
    method : str
        One of ``voxlm.inference.plan.PERMUTED``.
    alpha : float
        A level that the permutations must be able to reach.
    two_sided : bool
        Whether both signs count.
    options : mapping
        Of :class:`voxlm.inference.plan.Plan`, ``connectivity`` and ``progress``. ``blocks`` may
        name a column.

    Raises
    ------
    VoxlmError, DataError
        A fit that cannot be permuted, an unknown option, clusters where there are no neighbours.
    """
    ready, chosen = _ready(behind, question, options)
    connectivity, show = chosen.pop("connectivity", 6), chosen.pop("progress", False)
    methods = (method,) if method == "maxt" else (method, "maxt")
    if space.unit in EXTENT_POWER:
        chosen = {"E": EXTENT_POWER[space.unit], **chosen}
    plan = Plan(methods, two_sided=two_sided, **chosen)
    graph = space.graph(connectivity) if method in TREE_METHODS else None
    sizes = space.sizes if method in TREE_METHODS else None
    if isinstance(ready, RunParts):
        part = run_flips(ready.parts, ready.df).part
        _check_level(plan, np.ones((len(ready.parts), 1)), part, None, alpha)
        with counting(plan.n_perm, show) as moved:
            return flip_test(
                ready.parts, ready.df, plan, graph=graph, weights=sizes, progress=moved
            )
    if ready.mixed is not None:
        usual = "shuffle" if ready.crossed else "flip"
        chosen = {"blocks": ready.groups, "exchange": "whole", "permute": "auto", **chosen}
        chosen["permute"] = usual if chosen["permute"] == "auto" else chosen["permute"]
        if ready.weighted and chosen["permute"] != "flip":
            raise DataError(
                "maps of unequal prior weights cannot change places, only signs: permute='flip', "
                "or leave weights= out"
            )
    plan = Plan(methods, two_sided=two_sided, variance_groups=ready.variance_groups, **chosen)
    part = partition(ready.X, question.C, question.null)
    n_perm = _check_level(plan, ready.X, part, read_groups(plan, part), alpha)
    with counting(n_perm, show) as moved:
        return permutation_test(
            ready.maps.values, ready.X, question.C, plan, null=question.null, graph=graph,
            weights=sizes,
            refitter=None if ready.mixed is None else refit_of(ready.mixed), progress=moved,
        )  # fmt: skip


def bound(
    behind: Resampling | RunParts | None,
    question: Hypothesis,
    alpha: float,
    options: Mapping[str, Any],
) -> AllResolution:
    """Bound true discoveries by permutation; see :func:`voxlm.inference.ari.pari`.

    Parameters
    ----------
    behind, question
        As for :func:`permute`; runs are refused.
    alpha : float
        Level.
    options : mapping
        ``start``, ``n_perm``, ``seed``, ``blocks``, ``exchange``, ``permute``, ``dtype``.

    Raises
    ------
    VoxlmError, DataError
        As for :func:`permute`.
    """
    ready, chosen = _ready(behind, question, options, PARI_OPTIONS)
    if isinstance(ready, RunParts):
        raise DataError(
            "pari calibrates p-values by exchanging or flipping maps, and there are only runs: "
            "use 'ari'"
        )
    start = chosen.pop("start", 0.0)
    plan = Plan(**{"n_perm": 1000, **chosen}, variance_groups=ready.variance_groups)
    part = partition(ready.X, question.C, question.null)
    values = np.asarray(ready.maps.values)
    check_plan(plan, values.shape, part, None)
    groups = read_groups(plan, part)
    arranged = arrange_plan(plan, ready.X, part, groups)
    exact = plan.dtype == "float64" or arranged.exhaustive
    reduced = reduce_data(values, part, np.float64 if exact else np.float32, groups)
    return pari(reduced, arranged, alpha, start)


def _check_level(
    plan: Plan, X: NDArray[np.float64], part: Partition, groups: Any, alpha: float
) -> int:
    """Refuse a level out of reach before anything is permuted; return how many there will be."""
    check_level(alpha)
    arranged = arrange_plan(plan, X, part, groups)
    least = (2 if mirrors(plan, arranged, part) else 1) / (1 + arranged.n)
    check_reach(arranged.n, arranged.exhaustive, least, alpha)
    return arranged.n


@contextmanager
def counting(n_perm: int, show: bool) -> Iterator[Callable[[int], None] | None]:
    """Give a function that counts permutations on a bar, with the time left.

    Parameters
    ----------
    n_perm : int
    show : bool
        Whether there is a bar at all.

    Raises
    ------
    KeyboardInterrupt
        Of the user's, saying how many permutations were done.
    """
    lock, done = threading.Lock(), [0]
    with tqdm(total=n_perm, desc="permutations", unit="", disable=not show) as bar:

        def moved(some: int) -> None:
            with lock:
                done[0] += some
                bar.update(some)

        try:
            yield moved
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped after {done[0]:,} of {n_perm:,} permutations"
            ) from None


def _ready(
    behind: Resampling | RunParts | None,
    question: Hypothesis,
    options: Mapping[str, Any],
    known: tuple[str, ...] = OPTIONS,
) -> tuple[Resampling | RunParts, dict[str, Any]]:
    """Refuse what cannot be permuted and options that are not known; read named blocks."""
    if behind is None:
        what = "a joint test of several rows has no sign to flip. " if question.kind == "F" else ""
        raise DataError(what + FIRST_LEVEL)
    if isinstance(behind, RunParts) and known is OPTIONS:
        known = RUN_OPTIONS
    for name in options:
        if name not in known:
            raise VoxlmError(f"unknown option {name!r}; {did_you_mean(name, known)}")
    chosen = dict(options)
    if isinstance(behind, RunParts):
        return behind, chosen
    if behind.refusal:
        raise DataError(behind.refusal)
    if behind.crossed and options.get("blocks") is None:
        raise DataError(behind.crossed)
    if behind.mixed is not None and known is PARI_OPTIONS:
        raise DataError("bounds by permutation are for least squares: use method='ari'")
    if isinstance(chosen.get("blocks"), str):
        chosen["blocks"] = _column(behind.maps, chosen["blocks"])
    return behind, chosen


def _column(maps: Maps, name: str) -> NDArray[Any]:
    if name not in maps.table:
        raise DataError(f"blocks: {name!r} is not a column of the table; {_known(maps, name)}")
    return np.asarray(maps.table[name])


def _known(maps: Maps, name: str) -> str:
    return did_you_mean(name, [str(column) for column in maps.table.columns])
