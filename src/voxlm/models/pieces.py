"""One model over maps with holes: a fit for every pattern of maps, read as one.

Axes: N maps, V voxels, P columns, Q contrast rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.kernels.rank import rank
from voxlm.models.patterns import Pattern, patterns

Floats = NDArray[np.float64]


class Part(Protocol):
    """What the fit of one pattern answers; the last axis of every array is its voxels."""

    @property
    def params(self) -> Floats:
        """Coefficients, shape ``(P, v)``."""

    @property
    def nobs(self) -> int:
        """Maps used."""

    def effect(self, C: Floats) -> Floats:
        """``C b``, shape ``(Q, v)``."""

    def test_parts(self, C: Floats) -> tuple[Floats, Floats | float]:
        """Covariance of ``C b``, ``(Q, Q, v)``, and the degrees of freedom of its test."""


PartT = TypeVar("PartT", bound=Part)


class FullRank:
    """What follows from columns of full rank and coefficients."""

    __slots__ = ()

    X: Floats

    @property
    def params(self) -> Floats:
        """Coefficients, shape ``(P, V)``."""
        raise NotImplementedError

    @property
    def nobs(self) -> int:
        """Maps used, n."""
        return self.X.shape[0]

    @property
    def df_resid(self) -> float:
        """Maps less columns."""
        return float(self.X.shape[0] - self.X.shape[1])

    def effect(self, C: Floats) -> Floats:
        """Return ``C b``, shape ``(Q, V)``."""
        effect: Floats = C @ self.params
        return effect


def group_freedom(X: Floats, groups: NDArray[np.int64]) -> Floats:
    """Return the residual degrees of freedom of each group of maps, ``Σ (1 - h_i)``.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns.
    groups : ndarray of int, shape (n,)
        0 … G - 1.

    Returns
    -------
    ndarray, shape (G,)

    Examples
    --------
    >>> group_freedom(np.eye(2)[[0, 0, 0, 1]], np.array([0, 0, 0, 1])).round(12)
    array([2., 0.])
    """
    leverage = np.einsum("np,pn->n", X, np.linalg.pinv(X))
    return np.maximum(np.bincount(groups, weights=1.0 - leverage), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Pieces(Generic[PartT]):
    """Fits by pattern.

    Parameters
    ----------
    patterns : tuple of Pattern
        Which maps, which voxels.
    parts : tuple
        The fit of each; None where too few maps are left for the columns.
    n_voxels : int
        V.
    """

    patterns: tuple[Pattern, ...]
    parts: tuple[PartT | None, ...]
    n_voxels: int

    def gather(self, ask: Callable[[PartT], Any]) -> Floats:
        """Ask every part, and put the answers, voxels last, in the places of their voxels."""
        answers = [
            (pattern.voxels, np.asarray(ask(part)))
            for pattern, part in zip(self.patterns, self.parts, strict=True)
            if part is not None
        ]
        if len(answers) == 1 and answers[0][1].ndim and answers[0][1].shape[-1] == self.n_voxels:
            return answers[0][1]
        lead = answers[0][1].shape[:-1] if answers[0][1].ndim else ()
        out = np.full((*lead, self.n_voxels), np.nan)
        for voxels, values in answers:
            out[..., voxels] = values
        return out

    def parts_at(self, voxel: int) -> tuple[Pattern, PartT | None, int]:
        """Return the pattern of a voxel, its fit, and the voxel's place in it."""
        for pattern, part in zip(self.patterns, self.parts, strict=True):
            place = int(np.searchsorted(pattern.voxels, voxel))
            if place < pattern.voxels.size and pattern.voxels[place] == voxel:
                return pattern, part, place
        raise DataError(f"there is no voxel {voxel}")

    def test_parts(self, C: Floats) -> tuple[Floats, Floats, Floats]:
        """Return effect ``(Q, V)``, covariance ``(Q, Q, V)`` and degrees of freedom ``(V,)``."""
        Q = C.shape[0]
        effect, cov = np.full((Q, self.n_voxels), np.nan), np.full((Q, Q, self.n_voxels), np.nan)
        df = np.full(self.n_voxels, np.nan)
        for pattern, part in zip(self.patterns, self.parts, strict=True):
            if part is not None:
                at = pattern.voxels
                effect[:, at] = part.effect(C)
                cov[:, :, at], df[at] = part.test_parts(C)
        return effect, cov, df

    def each(self, C: Floats) -> tuple[Floats, Floats]:
        """Return the variance of every row of ``C b`` and the df of its t, each ``(Q, V)``."""
        out = np.full((2, C.shape[0], self.n_voxels), np.nan)
        for pattern, part in zip(self.patterns, self.parts, strict=True):
            if part is None:
                continue
            if hasattr(part, "each"):
                found = part.each(C)
            else:
                asked = [part.test_parts(row[None]) for row in C]
                size = pattern.voxels.size
                dfs = [np.broadcast_to(df, size) for _, df in asked]
                found = np.stack([cov[0, 0] for cov, _ in asked]), np.stack(dfs)
            out[0][:, pattern.voxels], out[1][:, pattern.voxels] = found
        return out[0], out[1]

    def select(self, voxels: NDArray[np.int64]) -> Pieces[PartT]:
        """Return the fits of some voxels, in their order; parts have to offer ``select``."""
        found, parts = [], []
        for pattern, part in zip(self.patterns, self.parts, strict=True):
            places = np.flatnonzero(np.isin(voxels, pattern.voxels))
            if places.size and part is not None:
                inside = np.searchsorted(pattern.voxels, voxels[places])
                found.append(Pattern(pattern.rows, places))
                parts.append(part.select(inside))  # type: ignore[attr-defined]
        return Pieces(tuple(found), tuple(parts), voxels.size)


def fit_pieces(
    data: NDArray[Any],
    X: Floats,
    fit: Callable[[Pattern, NDArray[Any]], PartT | None],
    also: NDArray[Any] | None = None,
) -> Pieces[PartT]:
    """Fit every pattern of maps.

    Parameters
    ----------
    data : ndarray, shape (N, V)
        Maps; what is not finite is a hole.
    X : ndarray, shape (N, P)
        Columns: a pattern in which they lose rank, or leave no residual, is not fitted.
    fit : callable
        Fits the rows of a pattern, given the pattern and its data; None where it cannot.
    also : ndarray, shape (N, V), optional
        A hole here is a hole in the data: variances.

    Returns
    -------
    Pieces

    Raises
    ------
    DataError
        If no pattern can be fitted.
    """
    full = rank(X)
    found = patterns(data if also is None else np.where(np.isfinite(also), data, np.nan))
    parts: list[PartT | None] = []
    for pattern in found:
        whole = bool(pattern.rows.all())
        n = int(pattern.rows.sum())
        if n <= full or (not whole and rank(X[pattern.rows]) < full):
            parts.append(None)
            continue
        alone = whole and pattern.voxels.size == data.shape[1]
        chosen = data if alone else data[np.ix_(pattern.rows, pattern.voxels)]
        parts.append(fit(pattern, chosen))
    if all(part is None for part in parts):
        raise DataError(
            f"no voxel has enough maps for {full} columns: the {data.shape[0]} maps are finite "
            f"together in {int(np.isfinite(data).all(axis=0).sum()):,} of {data.shape[1]:,} voxels"
        )
    return Pieces(found, tuple(parts), data.shape[1])
