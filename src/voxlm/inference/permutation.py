"""Family-wise inference by permutation: from maps and a design to corrected p and a decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError, VoxlmError, did_you_mean
from voxlm.inference.decision import Decision, check_level
from voxlm.inference.exchange import Arrangements
from voxlm.inference.maxima import Sample
from voxlm.inference.measure import Measure, measure_all, spread
from voxlm.inference.partition import Partition, partition
from voxlm.inference.permute import reduce_data
from voxlm.inference.plan import (
    TREE_METHODS,
    Plan,
    arrange_plan,
    check_plan,
    mirrors,
    read_groups,
)
from voxlm.inference.refits import Refitter, make_refits
from voxlm.inference.runflips import run_flips

if TYPE_CHECKING:
    from scipy import sparse

Array = NDArray[np.float64]

WORDS = {
    "maxt": "largest statistic",
    "maxt_step": "largest statistic, step-down",
    "cluster_extent": "largest cluster",
    "cluster_mass": "heaviest cluster",
    "tfce": "largest enhancement",
}


class NothingToTest(DataError):  # noqa: N818
    """No voxel has values and noise."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PermutationTest:
    """What the permutations of one contrast say.

    Parameters
    ----------
    statistic : ndarray, shape (V,)
        t, F, or with variance groups v or G; NaN where there is no test.
    kind : {"t", "F", "v", "G"}
        Which.
    df : float
        Residual degrees of freedom.
    n_perm : int
        Permutations, K.
    exhaustive : bool
        Whether they are all that there are.
    two_sided : bool
        Whether both signs count.
    scheme : str
        What was permuted, in words.
    measures : tuple of Measure
        The results.
    mirrored : bool
        Whether every arrangement stands beside its mirror image, of the same size: among all flips,
        the one that flips everything else.
    """

    statistic: Array
    kind: str
    df: float
    n_perm: int
    exhaustive: bool
    two_sided: bool
    scheme: str
    measures: tuple[Measure, ...]
    mirrored: bool = False

    @property
    def least_p(self) -> float:
        """The smallest p that these permutations can give."""
        return (2 if self.mirrored else 1) / (1 + self.n_perm)

    def measure(self, method: str, forming: float | None = None) -> Measure:
        """Return one measure; ``forming`` chooses among several cluster-forming thresholds."""
        found = [m for m in self.measures if m.method == method]
        if not found:
            known = tuple(dict.fromkeys(m.method for m in self.measures))
            raise VoxlmError(f"no {method!r} was asked for; {did_you_mean(method, known)}")
        if forming is None:
            return found[0]
        near = [m for m in found if np.isclose(m.forming, forming, rtol=1e-3)]
        if not near:
            raise VoxlmError(
                f"no clusters were formed at {forming:g}, only at "
                f"{', '.join(f'{m.forming:.4g}' for m in found)}"
            )
        return near[0]

    def decide(
        self, method: str, alpha: float = 0.05, forming: float | None = None, unit: str = ""
    ) -> Decision:
        """Decide which voxels are significant at a family-wise level.

        Parameters
        ----------
        method : str
            One of those measured.
        alpha : float
            The level.
        forming : float, optional
            Which of several cluster-forming thresholds.
        unit : str
            What extents are counted in, in words.

        Raises
        ------
        VoxlmError
            A level that so few permutations cannot reach.
        """
        check_level(alpha)
        found = self.measure(method, forming)
        check_reach(self.n_perm, self.exhaustive, self.least_p, alpha)
        with np.errstate(invalid="ignore"):
            significant = found.p <= alpha
        tested = ~np.isnan(found.p)
        statistic: Literal["t", "F"] = "t" if self.kind in ("t", "v") else "F"
        words = self._words(found, alpha, statistic, unit)
        in_units = found.forming if method in TREE_METHODS[:2] else found.threshold(alpha)
        if method == "tfce":
            in_units = float("nan")
        elif method == "maxt_step":
            in_units = float(np.min(found.observed[significant], initial=np.inf))
        cut = alpha if significant.any() else 0.0
        return Decision(
            found.p, significant, method, alpha, int(tested.sum()), cut, in_units, statistic, words
        )

    def _words(self, found: Measure, alpha: float, statistic: str, unit: str) -> str:
        limit = found.threshold(alpha)
        extent = f"{limit:g} {unit}".rstrip()
        size = f"|{self.kind}|" if self.two_sided and statistic == "t" else self.kind
        said = {
            "maxt": f"{size} > {limit:.4f}",
            "maxt_step": "step-down p",
            "cluster_extent": f"clusters of {size} > {found.forming:.4f}, extent > {extent}",
            "cluster_mass": f"clusters of {size} > {found.forming:.4f}, mass > {limit:.4g}",
            "tfce": f"TFCE > {limit:.4g}",
        }[found.method]
        return f"{said} (family-wise error {alpha:g}, {WORDS[found.method]} of {self.scheme})"

    def __repr__(self) -> str:
        shown = [
            f"  {m.method}{'' if np.isnan(m.forming) else f' at {m.forming:.4g}'}: "
            f"smallest p {np.nanmin(m.p):.4g}, p <= 0.05 at {int(np.sum(m.p <= 0.05))} voxels"
            for m in self.measures
        ]
        return "\n".join([f"{self.kind}({self.df}), {self.scheme}", *shown])


def permutation_test(
    Y: ArrayLike,
    X: ArrayLike,
    C: ArrayLike,
    plan: Plan | None = None,
    *,
    null: ArrayLike = 0.0,
    graph: sparse.csr_array | None = None,
    weights: ArrayLike | None = None,
    arrangements: Arrangements | None = None,
    refitter: Refitter | None = None,
    progress: Callable[[int], object] | None = None,
) -> PermutationTest:
    """Test one contrast of a group design by permutation.

    Parameters
    ----------
    Y : array_like, shape (N, V)
        One map a row. Voxels with a value that is not finite, or without residual variance, are not
        tested.
    X : array_like, shape (N, P)
        The design.
    C : array_like, shape (P,) or (Q, P)
        The contrast; several rows are tested jointly.
    plan : Plan, optional
        How; max-T with 5,000 permutations by default.
    null : float or array_like, shape (Q,)
        Values of the contrast under the null hypothesis.
    graph : csr_array, shape (V, V), optional
        Neighbours; clusters and enhancement need them.
    weights : array_like, shape (V,), optional
        Areas of vertices.
    arrangements : Arrangements, optional
        Permutations of one's own, instead of those that the plan draws.
    refitter : callable, optional
        Fits a mixed model to every permutation; see :func:`voxlm.inference.refits.refit_of`. Rows
        that it holds together have to be blocks of the plan.
    progress : callable, optional
        Called with the number of permutations just done, from several threads.

    Returns
    -------
    PermutationTest

    Raises
    ------
    VoxlmError, DataError, DesignError
        Options, data or a design that cannot be used; each says which.

    Notes
    -----
    Nuisance is handled as by Freedman and Lane (1983) with the partition of Winkler et al. (2014);
    p = (1 + b) / (1 + K) (Phipson and Smyth, 2010). Errors must be exchangeable under the null
    hypothesis, within the blocks, or for flips symmetric; scans of one run are neither.

    Examples
    --------
    >>> maps = np.random.default_rng(0).standard_normal((8, 50))
    >>> maps[:, 3] += 4
    >>> test = permutation_test(maps, np.ones((8, 1)), [1.0])
    >>> test.n_perm, test.exhaustive
    (255, True)
    >>> test.decide("maxt").significant.nonzero()[0]
    array([3])
    >>> float(test.measure("maxt").p[3] * 256)  # so many of all 256 reach as far, itself counted
    10.0
    """
    plan = plan or Plan()
    data, part = _read_data(Y), partition(X, C, null)
    check_plan(plan, data.shape, part, graph)
    groups = read_groups(plan, part)
    arranged = arrangements or arrange_plan(plan, X, part, groups)
    reduced = _sample(plan, data, part, groups, np.asarray(C, dtype=np.float64), refitter, arranged)
    kind = part.kind if groups is None else {"t": "v", "F": "G"}[part.kind]
    return _test(plan, reduced, kind, arranged, graph, weights, progress)


def flip_test(
    parts: ArrayLike,
    df: float,
    plan: Plan | None = None,
    *,
    graph: sparse.csr_array | None = None,
    weights: ArrayLike | None = None,
    progress: Callable[[int], object] | None = None,
) -> PermutationTest:
    """Test a sum of independent parts by flipping the sign of each, its standard error known.

    Parameters
    ----------
    parts : array_like, shape (R, V)
        What each observation (a run) adds to the statistic.
    df : float
        Degrees of freedom of the statistic.
    plan : Plan, optional
        How; max-T with 5,000 flips by default.
    graph, weights, progress
        As for :func:`permutation_test`.

    Returns
    -------
    PermutationTest

    Raises
    ------
    VoxlmError, DataError, DesignError
        Options or data that cannot be used.

    Notes
    -----
    Exact where the parts are independent and, under the null hypothesis, symmetric about zero.

    Examples
    --------
    >>> parts = np.random.default_rng(0).standard_normal((6, 40)) / np.sqrt(6)
    >>> parts[:, 7] += 1
    >>> test = flip_test(parts, 500.0)
    >>> test.n_perm, test.least_p, float(test.measure("maxt").p[7])
    (63, 0.03125, 0.03125)
    """
    plan, values = plan or Plan(), _read_data(parts)
    reduced = run_flips(values, df)
    check_plan(plan, values.shape, reduced.part, graph)
    arranged = arrange_plan(plan, np.ones((len(values), 1)), reduced.part, None)
    return _test(plan, reduced, "t", arranged, graph, weights, progress)


def _test(
    plan: Plan,
    reduced: Sample,
    kind: str,
    arranged: Arrangements,
    graph: sparse.csr_array | None,
    weights: ArrayLike | None,
    progress: Callable[[int], object] | None,
) -> PermutationTest:
    """Measure the observed map and every permutation of it."""
    part = reduced.part
    if not reduced.tested.any():
        raise NothingToTest(
            "no voxel can be tested: each has a value that is not finite, or no noise"
        )
    two_sided = plan.two_sided and part.kind == "t"
    measures = measure_all(plan, reduced, arranged, two_sided, graph, weights, progress)
    statistic, mirrored = spread(reduced.statistic, reduced), mirrors(plan, arranged, part)
    return PermutationTest(
        statistic, kind, part.df, arranged.n, arranged.exhaustive, two_sided, _scheme(arranged),
        measures, mirrored,
    )  # fmt: skip


def check_reach(n_perm: int, exhaustive: bool, least_p: float, alpha: float) -> None:
    """Refuse a level that so few permutations cannot reach."""
    if least_p <= alpha * (1 + 1e-12):
        return
    advice = (
        "the design allows no more"
        if exhaustive
        else f"ask for n_perm >= {int(np.ceil(1 / alpha)) - 1}"
    )
    raise VoxlmError(
        f"{n_perm} permutations cannot reach p <= {alpha:g}: the smallest p is "
        f"{least_p:.3g}; {advice}"
    )


def _sample(
    plan: Plan,
    data: NDArray[np.floating],
    part: Partition,
    groups: NDArray[np.int64] | None,
    C: Array,
    refitter: Refitter | None,
    arranged: Arrangements,
) -> Sample:
    """Make the data ready to be permuted."""
    if refitter is None:
        exact = plan.dtype == "float64" or arranged.exhaustive
        return reduce_data(data, part, np.float64 if exact else np.float32, groups)
    if groups is not None:
        raise VoxlmError("a mixed model has one residual variance: leave variance_groups out")
    return make_refits(data, part, C, refitter)


def _read_data(Y: ArrayLike) -> NDArray[np.floating]:
    data = np.asarray(Y)
    if data.ndim != 2:
        raise DataError(f"maps have shape (N, V), one map a row; got {data.shape}")
    return data if data.dtype.kind == "f" else data.astype(np.float64)


def _scheme(arranged: Arrangements) -> str:
    what = {
        (True, False): "exchanges",
        (False, True): "sign flips",
        (True, True): "exchanges with sign flips",
    }[arranged.order is not None, arranged.sign is not None]
    return f"all {arranged.n} {what}" if arranged.exhaustive else f"{arranged.n} random {what}"
