"""Mixed models that are refitted, exactly, to every permutation.

Residuals of the nuisance are permuted as wholes of groups, and the whole model is fitted to them
again: its variances, then its statistic. What the nuisance explains is not added back, since the
statistic does not depend on it.

Axes: N maps, P columns, Q contrast rows, V voxels, v of them tested, K permutations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from voxlm.contrasts.statmap import wald
from voxlm.errors import DesignError
from voxlm.inference.exchange import Arrangements
from voxlm.inference.partition import Partition
from voxlm.inference.permute import Residuals, reduce_data
from voxlm.kernels.movedgroups import MovableGroups, keeps_groups, movable_groups, moved_sums
from voxlm.models.intercept import InterceptEstimate, solve_intercept
from voxlm.models.mixed import MixedEstimate, fit_mixed
from voxlm.models.terms import RandomTerm

Array = NDArray[np.float64]
Rows = NDArray[np.int32] | None
# Two optimisers' paths to one flat minimum end this far apart, relative to the statistic.
SETTLED = 1e-7
Signs = NDArray[np.int8] | None
# What multiplies a slope is the same in two rows if it differs by rounding alone.
SAME = 1e-9


class Refit(Protocol):
    """A mixed model that can be fitted to permuted rows."""

    @property
    def terms(self) -> Sequence[RandomTerm]:
        """Its random terms, whose covariances permutations have to leave as they are."""

    def maps(self, order: Rows, sign: Signs, C: Array) -> Array:
        """Return t (one row) or F of ``C b`` for each permutation, ``(k, v)``."""


Refitter = Callable[[Array], Refit]


@dataclass(frozen=True, slots=True, eq=False)
class InterceptRefit:
    """One random intercept: permuted statistics are a few rows of a matrix product.

    Parameters
    ----------
    data : MovableGroups
    reml : bool
    """

    data: MovableGroups
    reml: bool

    @property
    def terms(self) -> Sequence[RandomTerm]:
        """The one term."""
        groups = self.data.basis.groups
        return (RandomTerm(groups, np.ones((groups.size, 1)), "group", "(1 | group)"),)

    def maps(self, order: Rows, sign: Signs, C: Array) -> Array:
        """Return t (one row) or F of ``C b`` for each permutation, ``(k, v)``."""
        found = [
            _statistic(solve_intercept(self.data.basis, sums, self.reml), C)
            for sums in moved_sums(self.data, order, sign)
        ]
        return np.stack(found)


@dataclass(frozen=True, slots=True, eq=False)
class FullRefit:
    """Any mixed model: moved rows are fitted from the start.

    Parameters
    ----------
    fit : callable
        From rows ``(N, v)`` to an estimate.
    rows : ndarray, shape (N, v)
        Residuals of the nuisance.
    terms : sequence of RandomTerm
        The random terms.
    """

    fit: Callable[[Array], Any]
    rows: Array
    terms: Sequence[RandomTerm]

    def maps(self, order: Rows, sign: Signs, C: Array) -> Array:
        """Return t (one row) or F of ``C b`` for each permutation, ``(k, v)``."""
        k = len(order if order is not None else sign)  # type: ignore[arg-type]
        found = []
        for one in range(k):
            moved = self.rows if sign is None else self.rows * sign[one][:, None]
            if order is not None:
                back = np.empty_like(moved)
                back[order[one]] = moved
                moved = back
            found.append(_statistic(self.fit(moved), C))
        return np.stack(found)


def refit_of(estimate: InterceptEstimate | MixedEstimate) -> Refitter:
    """Return what makes data ready to be fitted again as an estimate was."""
    if isinstance(estimate, InterceptEstimate):
        return lambda rows: InterceptRefit(movable_groups(estimate.basis, rows), estimate.reml)
    layout, reml, terms = estimate.layout, estimate.reml, estimate.terms
    if not terms:
        raise DesignError("a fit without its random terms cannot be permuted: give fit_mixed terms")
    return lambda rows: FullRefit(lambda moved: fit_mixed(layout, moved, reml), rows, terms)


def check_moves(terms: Sequence[RandomTerm], order: Rows, sign: Signs) -> None:
    """Refuse permutations that would change the covariance of any random term.

    Parameters
    ----------
    terms : sequence of RandomTerm
        Of the mixed model.
    order : ndarray of int, shape (k, N), optional
        The row of the design that each map takes.
    sign : ndarray of int, shape (k, N), optional
        The sign that it takes.

    Raises
    ------
    DesignError
        Groups that are torn apart or joined, or slopes that meet other values.

    Examples
    --------
    >>> term = RandomTerm(np.array([0, 0, 1, 1]), np.ones((4, 1)), "g", "(1 | g)")
    >>> check_moves([term], None, np.array([[1, -1, 1, 1]], dtype=np.int8))
    Traceback (most recent call last):
        ...
    voxlm.errors.DesignError: permutations of a mixed model keep its groups whole, and ...
    """
    for term in terms:
        if not keeps_groups(term.codes, order, sign):
            raise DesignError(
                "permutations of a mixed model keep its groups whole, and these do not keep those "
                f"of {term.text}: rows of one group stay together, share a sign and take the place "
                "of one group. Give the widest groups as blocks, exchange='whole', with the rows "
                "of the groups inside or across in the same order in every block"
            )
        size = np.abs(term.matrix).max(axis=0)
        if order is not None and np.any(np.abs(term.matrix[order] - term.matrix) > SAME * size):
            raise DesignError(
                f"maps change places whose rows of {term.text} differ, so their covariances do: "
                "flip signs (permute='flip'), or exchange groups with equal values in equal order"
            )


def _statistic(estimate: Any, C: Array) -> Array:
    kind: Literal["t", "F"] = "t" if len(C) == 1 else "F"
    # Only the statistic is taken: what it is compared with is the permutations'.
    return wald(estimate.effect(C), estimate.vcov(C), np.inf, kind).stat


@dataclass(frozen=True, eq=False)
class Refits:
    """A mixed model to be permuted; see :class:`voxlm.inference.maxima.Sample`.

    Parameters
    ----------
    residuals : Residuals
        Of the nuisance, by least squares.
    refit : Refit
        Fits them, permuted.
    C : ndarray, shape (Q, P)
        The contrast.
    """

    residuals: Residuals
    refit: Refit
    C: Array

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Which voxels can be tested, shape ``(V,)``."""
        return self.residuals.tested

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Precision of permuted statistics."""
        return np.dtype(np.float64)

    @property
    def part(self) -> Partition:
        """The design."""
        return self.residuals.part

    @property
    def slack(self) -> float:
        """What rounding does to a permuted statistic, relative to its size."""
        return SETTLED

    @cached_property
    def statistic(self) -> Array:
        """The observed t or F, shape ``(v,)``."""
        still = np.ones((1, len(self.residuals.unit)), dtype=np.int8)
        return self._finite(self.refit.maps(None, still, self.C))[0]

    def maps(self, arrangements: Arrangements, start: int, stop: int, largest: Array) -> Array:
        """Return permuted maps, ``(k, v)``; write what is largest of each, by sign."""
        order, sign = arrangements.rows(start, stop)
        check_moves(self.refit.terms, order, sign)
        maps = self._finite(self.refit.maps(order, sign, self.C))
        largest[:, 0], largest[:, 1] = maps.max(axis=1), -maps.min(axis=1)
        return maps

    @staticmethod
    def _finite(maps: Array) -> Array:
        """Take a voxel whose permuted data leave no noise for no evidence."""
        return np.nan_to_num(maps, copy=False, nan=0.0)


def make_refits(Y: NDArray[Any], part: Partition, C: Array, refitter: Refitter) -> Refits:
    """Make data ready to be permuted and refitted.

    Parameters
    ----------
    Y : ndarray, shape (N, V)
        One map a row.
    part : Partition
        The design.
    C : ndarray, shape (Q, P)
        The contrast.
    refitter : callable
        From residuals to a :class:`Refit`.
    """
    residuals = reduce_data(Y, part, np.float64)
    return Refits(residuals, refitter(np.asarray(residuals.unit)), np.atleast_2d(C))
