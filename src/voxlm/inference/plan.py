"""What to permute, how often, and what to measure; checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DesignError, VoxlmError, did_you_mean
from voxlm.inference.exchange import Arrangements, Blocks, arrange, read_blocks
from voxlm.inference.partition import Partition
from voxlm.kernels import tails
from voxlm.kernels.enhance import SCALINGS

if TYPE_CHECKING:
    from scipy import sparse

TREE_METHODS = ("cluster_extent", "cluster_mass", "tfce")
PERMUTED = ("maxt", "maxt_step", *TREE_METHODS)
FORMING_P = 0.001
# Residual degrees of freedom of a variance group below which it has none but rounding.
NO_RESIDUAL = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What to permute, how often, and what to measure.

    Parameters
    ----------
    methods : sequence of str
        Among ``"maxt"``, ``"maxt_step"`` (step-down), ``"cluster_extent"``, ``"cluster_mass"``,
        ``"tfce"``.
    n_perm : int
        Permutations; all of them where the design allows no more.
    seed : int
        Of the random ones.
    two_sided : bool
        Whether both signs count; an F has one side.
    blocks, exchange
        Exchangeability blocks, see :func:`voxlm.inference.exchange.read_blocks`.
    permute : {"auto", "flip", "shuffle", "both"}
        ``auto`` flips signs where the hypothesis fixes the mean (a one-sample test) or variances
        are unequal, and exchanges maps elsewhere.
    variance_groups : array_like, shape (N,), optional
        Groups of maps of unequal variance: the statistic is Aspin and Welch's v, or G. Only maps of
        one group are exchanged.
    forming_p, forming : float or sequence of float, optional
        Cluster-forming thresholds as uncorrected p of the parametric test (0.001 unless one of the
        two is given), or in units of the statistic.
    E, H, scaling
        Of the enhancement, see :func:`voxlm.kernels.enhance.tfce`.
    tail : {"count", "pareto"}
        How p is taken from the null distribution.
    dtype : {"float32", "float64"}
        Precision of the permuted statistics; the observed one is always in double precision, and
        permuted ones that tie with it but for rounding count. All permutations of a small design
        are in double precision too.
    """

    methods: Sequence[str] = ("maxt",)
    n_perm: int = 5000
    seed: int = 0
    two_sided: bool = True
    blocks: ArrayLike | None = None
    exchange: Literal["within", "whole"] = "within"
    permute: Literal["auto", "flip", "shuffle", "both"] = "auto"
    variance_groups: ArrayLike | None = None
    forming_p: float | Sequence[float] | None = None
    forming: float | Sequence[float] | None = None
    E: float = 0.5
    H: float = 2.0
    scaling: Literal["exact", "per-map"] = "exact"
    tail: Literal["count", "pareto"] = "count"
    dtype: Literal["float32", "float64"] = "float32"


def check_plan(
    plan: Plan, shape: tuple[int, ...], part: Partition, graph: sparse.csr_array | None
) -> None:
    """Refuse what cannot be computed from data of shape ``(N, V)``, before it is computed."""
    N, V = shape
    if len(part.tested) != N:
        raise DesignError(f"the design has {len(part.tested)} rows, the data have {N} maps")
    for method in plan.methods:
        if method not in PERMUTED:
            raise VoxlmError(f"unknown method {method!r}; {did_you_mean(str(method), PERMUTED)}")
    if any(method in TREE_METHODS for method in plan.methods):
        if graph is None:
            raise VoxlmError(
                f"{', '.join(plan.methods)}: clusters need a neighbour graph, which a table of "
                "columns does not have"
            )
        if graph.shape != (V, V):
            raise VoxlmError(f"the neighbour graph has {graph.shape[0]} voxels, the maps {V}")
    choices = {
        "permute": (plan.permute, ("auto", "flip", "shuffle", "both")),
        "scaling": (plan.scaling, SCALINGS),
        "tail": (plan.tail, ("count", "pareto")),
        "dtype": (plan.dtype, ("float32", "float64")),
    }
    for name, (value, known) in choices.items():
        if value not in known:
            raise VoxlmError(f"{name} is one of {', '.join(known)}; got {value!r}")


def read_groups(plan: Plan, part: Partition) -> NDArray[np.int64] | None:
    """Give each map the number of its variance group; each group must have residuals."""
    if plan.variance_groups is None:
        return None
    labels = np.asarray(plan.variance_groups)
    N = len(part.tested)
    if labels.shape != (N,):
        raise DesignError(f"variance groups have shape {labels.shape}, expected ({N},)")
    names, number = np.unique(labels, return_inverse=True)
    basis = np.hstack([part.tested, part.nuisance])
    left = np.bincount(number) - np.bincount(number, np.einsum("nr,nr->n", basis, basis))
    for g in np.flatnonzero(left < NO_RESIDUAL).tolist():
        raise DesignError(
            f"variance group {names[g]!r} has no residual of its own: the design fits its "
            f"{int(np.sum(number == g))} maps exactly; join it with another group"
        )
    return number


def arrange_plan(
    plan: Plan, X: ArrayLike, part: Partition, groups: NDArray[np.int64] | None
) -> Arrangements:
    """Choose the permutations that a plan asks for."""
    unequal = groups is not None and np.ptp(groups) > 0
    auto = "flip" if part.mean_is_tested or unequal else "shuffle"
    chosen = auto if plan.permute == "auto" else plan.permute
    if unequal and plan.blocks is None and chosen != "flip":
        blocks = read_blocks(len(part.tested), groups)
    else:
        blocks = read_blocks(len(part.tested), plan.blocks, plan.exchange)
    if unequal and chosen != "flip":
        _keep_variances(blocks, groups)
    rows = np.asarray(X, dtype=np.float64)
    if groups is not None:
        rows = np.column_stack([rows, groups])
    _, ids = np.unique(rows, axis=0, return_inverse=True)
    return arrange(
        blocks, plan.n_perm, seed=plan.seed, shuffle=chosen in ("shuffle", "both"),
        flip=chosen in ("flip", "both"), rows=ids.ravel(),
    )  # fmt: skip


def _keep_variances(blocks: Blocks, groups: NDArray[np.int64] | None) -> None:
    """Refuse exchanges between maps of unequal variance."""
    assert groups is not None
    for move in blocks.moves:
        if len({tuple(groups[unit].tolist()) for unit in move}) > 1:
            raise DesignError(
                "blocks let maps of different variance groups change places, and errors of unequal "
                "variance are not exchangeable: flip signs (permute='flip'), or give blocks within "
                "the variance groups"
            )


def mirrors(plan: Plan, arranged: Arrangements, part: Partition) -> bool:
    """Say whether every arrangement has a mirror image that is as large.

    With all flips there is for each the one that flips everything else, which turns a t into -t.
    """
    by_size = part.kind == "F" or plan.two_sided
    return arranged.exhaustive and arranged.sign is not None and by_size


def forming_thresholds(plan: Plan, part: Partition, two_sided: bool) -> tuple[float, ...]:
    """Return cluster-forming thresholds in units of the statistic, in the order given.

    Raises
    ------
    VoxlmError
        As for :func:`read_forming`.
    """
    height, p = read_forming(plan.forming, plan.forming_p)
    if p is None:
        return height
    return forming_heights(p, part.kind, part.df, part.tested.shape[1], two_sided)


def read_forming(
    forming: float | Sequence[float] | None, forming_p: float | Sequence[float] | None
) -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """Read cluster-forming thresholds: heights, or else p.

    Parameters
    ----------
    forming : float or sequence of float, optional
        In units of the statistic.
    forming_p : float or sequence of float, optional
        As uncorrected p; 0.001 where neither is given.

    Returns
    -------
    heights : tuple of float
        Empty where p were given.
    p : tuple of float, or None

    Raises
    ------
    VoxlmError
        Both kinds at once, a p that looks like a statistic, a statistic that looks like a p.

    Examples
    --------
    >>> read_forming(None, None), read_forming(3.1, None)
    (((), (0.001,)), ((3.1,), None))
    """
    if forming is not None and forming_p is not None:
        raise VoxlmError("give cluster-forming thresholds as forming_p or as forming, not as both")
    if forming is not None:
        cuts = np.atleast_1d(np.asarray(forming, dtype=np.float64))
        if not (np.isfinite(cuts) & (cuts >= 0.5)).all():
            raise VoxlmError(
                f"forming is in units of the statistic, for instance 3.1; {cuts.min():g} looks "
                "like a p-value: give it as forming_p"
            )
        return tuple(cuts.tolist()), None
    p = np.atleast_1d(np.asarray(FORMING_P if forming_p is None else forming_p, float))
    if not ((p > 0) & (p < 0.5)).all():
        raise VoxlmError(
            f"forming_p is an uncorrected p, for instance 0.001; {p.max():g} looks like a "
            "statistic: give it as forming"
        )
    return (), tuple(p.tolist())


def forming_heights(
    p: Sequence[float], kind: str, df: float, df_num: int, two_sided: bool
) -> tuple[float, ...]:
    """Turn cluster-forming p into units of the statistic."""
    if kind == "F":
        return tuple(tails.f_isf(p, df_num, df).tolist())
    each = np.asarray(p)
    return tuple(tails.t_isf(each / 2 if two_sided else each, df).tolist())
