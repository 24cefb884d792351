"""One voxel of a group fit looked at closely: its maps along the model, and what each weighs.

Axes: n maps at the voxel, P columns, U units that are left out one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.groupfit import GroupFit
from voxlm.design.reference import Axis, Reference, grid, reference_of
from voxlm.errors import DataError
from voxlm.kernels.tails import t_isf

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Points of a fitted line.
POINTS = 40
#: Most lines told apart by colour.
MOST_LINES = 6


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A fitted line: places, fit and 95 % band, each shape ``(m,)``."""

    label: str
    x: Floats
    fitted: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class VoxelEffects:
    """The maps of a group at one voxel.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Where each map stands: the value of a number, or the place of its level.
    y : ndarray, shape (n,)
        Its value.
    colour : ndarray of int, shape (n,)
        The line it belongs to.
    joined : ndarray of int, shape (n,), or None
        The group of a random term whose maps belong together.
    lines : tuple of Line
    x_label : str
    levels : tuple of str
        Of a factor along x; empty for a number.
    title : str
    """

    x: Floats
    y: Floats
    colour: NDArray[np.int64]
    joined: NDArray[np.int64] | None
    lines: tuple[Line, ...]
    x_label: str
    levels: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """What the units of a voxel's fit weigh.

    Parameters
    ----------
    units : tuple of str
        Groups of the first random term, or maps.
    cook : ndarray, shape (U,)
        Cook's distance of each: how far the coefficients move without it.
    leverage : ndarray, shape (n,)
        Diagonal of the hat matrix, a map each.
    rows : ndarray of int, shape (n,)
        The maps.
    """

    units: tuple[str, ...]
    cook: Floats
    leverage: Floats
    rows: NDArray[np.int64]


def marginal_covariance(fit: GroupFit, voxel: int) -> tuple[Bools, Floats]:
    """Return which maps a voxel has, and the covariance of their values under the model.

    Parameters
    ----------
    fit : GroupFit
        By ``lm``, ``meta`` or ``lmer``.
    voxel : int
        Position on the voxel axis.

    Returns
    -------
    rows : ndarray of bool, shape (N,)
    covariance : ndarray, shape (n, n)

    Raises
    ------
    DataError
        If the voxel was not fitted, or the fit is an M-estimate, which has no such covariance.
    """
    pattern, part, place = fit.pieces.parts_at(voxel)
    if part is None or not np.isfinite(part.params[:, place]).all():
        raise DataError(f"voxel {voxel} was not fitted")
    if fit.model == "robust":
        raise DataError("an M-estimate weighs maps down by itself; its influence is not computed")
    rows = pattern.rows
    if fit.model == "meta":
        known = fit.maps.variances
        assert known is not None
        return rows, np.diag(known[rows, voxel] + part.between(place))
    weights = fit.options.get("weights")
    covariance = np.diag(np.ones(int(rows.sum())) if weights is None else 1.0 / weights[rows])
    at = 0
    for block in fit.design.random:
        q = len(block.names)
        root = np.zeros((q, q))
        triangle = [(a, b) for b in range(q) for a in range(b, q)]
        root[tuple(zip(*triangle, strict=True))] = part.theta[at : at + len(triangle), place]
        at += len(triangle)
        same = block.codes[rows][:, None] == block.codes[rows][None]
        Z = block.matrix[rows] @ root
        covariance = covariance + same * (Z @ Z.T)
    return rows, covariance * part.scale[place]


def influence(fit: GroupFit, voxel: int) -> Influence:
    """Return leverage and Cook's distances at a voxel.

    Parameters
    ----------
    fit : GroupFit
        By ``lm``, ``meta`` or ``lmer``.
    voxel : int
        Position on the voxel axis.

    Returns
    -------
    Influence
        Of a mixed model a unit is a group of its first random term; else a map.

    Notes
    -----
    The variances are held at their estimates while a unit is left out:
    ``D = (b − b₋)' X'V⁻¹X (b − b₋) / P``. For ordinary least squares that is Cook's (1977) own
    distance; for mixed models the one of Demidenko & Stukel (2005, Stat Med 24:893).
    """
    rows, V = marginal_covariance(fit, voxel)
    X = fit.design.matrix[rows]
    y = np.asarray(fit.response.values[rows, voxel], dtype=np.float64)
    codes, units = _units(fit, rows)
    half = np.linalg.cholesky(V)
    white = np.linalg.solve(half, X)
    information = white.T @ white
    hat = X @ np.linalg.pinv(white) @ np.linalg.inv(half)
    b = np.linalg.lstsq(white, np.linalg.solve(half, y), rcond=None)[0]
    distances = np.empty(len(units))
    for unit in range(len(units)):
        keep = codes != unit
        part = np.linalg.cholesky(V[np.ix_(keep, keep)])
        left = np.linalg.solve(part, X[keep])
        without = np.linalg.lstsq(left, np.linalg.solve(part, y[keep]), rcond=None)[0]
        rank = np.linalg.matrix_rank(left)
        moved = b - without
        distances[unit] = moved @ information @ moved / X.shape[1]
        if rank < np.linalg.matrix_rank(white):
            distances[unit] = np.inf  # without it a coefficient is not defined at all
    return Influence(units, distances, np.diag(hat).copy(), np.flatnonzero(rows))


def _units(fit: GroupFit, rows: Bools) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if fit.design.random:
        block = fit.design.random[0]
        present, codes = np.unique(block.codes[rows], return_inverse=True)
        return codes.astype(np.int64), tuple(block.levels[k] for k in present)
    numbers = np.flatnonzero(rows)
    return np.arange(numbers.size), map_names(fit, numbers)


def map_names(fit: GroupFit, numbers: NDArray[np.int64]) -> tuple[str, ...]:
    """Name maps by their subject where the table says it, else by their row."""
    table = fit.maps.table
    for name in ("subject", "participant_id", "sub", "subject_label"):
        if name in table and table[name].is_unique:
            return tuple(table[name].astype(str).iloc[numbers])
    return tuple(f"map {k + 1}" for k in numbers)


def voxel_effects(fit: GroupFit, voxel: int) -> VoxelEffects:
    """Lay out the maps at a voxel along the model, with fitted lines.

    Parameters
    ----------
    fit : GroupFit
    voxel : int
        Position on the voxel axis.

    Returns
    -------
    VoxelEffects

    Raises
    ------
    DataError
        If the voxel was not fitted.
    """
    pattern, part, _ = fit.pieces.parts_at(voxel)
    if part is None or not np.isfinite(fit.params[:, voxel]).all():
        raise DataError(f"voxel {voxel} was not fitted")
    rows = np.flatnonzero(pattern.rows)
    table = fit.maps.table.iloc[rows].reset_index(drop=True)
    reference = reference_of(fit.design.meaning, fit.design.columns)
    along, colours = _axes(reference)
    x = _places(table, along)
    colour = _places(table, colours).astype(np.int64)
    joined = None
    if fit.design.random:
        codes = fit.design.random[0].codes[rows]
        joined = codes.astype(np.int64) if np.bincount(codes).max() > 1 else None
    return VoxelEffects(
        x,
        np.asarray(fit.response.values[rows, voxel], dtype=np.float64),
        colour,
        joined,
        tuple(_lines(fit, voxel, reference, along, colours, x)),
        "" if along is None else along.name,
        along.levels if along is not None else ("all maps",),
        f"{fit.space.told(voxel)}: {fit.formula}",
    )


def _axes(reference: Reference) -> tuple[Axis | None, Axis | None]:
    """Choose what runs along x, and what is told apart by colour."""
    numbers = [axis for axis in reference.axes if not axis.levels]
    factors = [axis for axis in reference.axes if axis.levels]
    few = [axis for axis in factors if len(axis.levels) <= MOST_LINES]
    if numbers:
        return numbers[0], few[0] if few else None
    if factors:
        return factors[0], next((axis for axis in few if axis is not factors[0]), None)
    return None, None


def _places(table: pd.DataFrame, axis: Axis | None) -> Floats:
    if axis is None:
        return np.zeros(len(table))
    if not axis.levels:
        return table[axis.name].to_numpy(dtype=np.float64)
    order = {level: k for k, level in enumerate(axis.levels)}
    return np.array([order[axis.word(value)] for value in table[axis.name]], dtype=np.float64)


def _lines(
    fit: GroupFit,
    voxel: int,
    reference: Reference,
    along: Axis | None,
    colours: Axis | None,
    x: Floats,
) -> Iterator[Line]:
    """Yield a line a colour: means over the levels of what is not shown, numbers at their mean."""
    if along is not None and not along.levels:
        places = np.linspace(x.min(), x.max(), POINTS)
        values = list(places)
    else:
        values = [None] if along is None else list(along.values)
        places = np.arange(len(values), dtype=np.float64)
    cov, df = _covariance(fit, voxel)
    half = float(t_isf(0.025, df)[0]) if np.isfinite(df) else 1.96
    for level in [None] if colours is None else colours.values:
        C = np.stack([_row(reference, along, value, colours, level) for value in values])
        fitted = C @ fit.params[:, voxel]
        error = half * np.sqrt(np.maximum(np.einsum("np,pq,nq->n", C, cov, C), 0.0))
        label = "fit" if colours is None else colours.word(level)
        yield Line(label, places, fitted, fitted - error, fitted + error)


def _row(
    reference: Reference, along: Axis | None, value: object, colours: Axis | None, level: object
) -> Floats:
    """Return the row of the design at a place, averaged over the levels that are not shown."""
    chosen: dict[str, Sequence[Any]] = {}
    for axis in reference.axes:
        if axis is along:
            chosen[axis.name] = [value]
        elif axis is colours:
            chosen[axis.name] = [level]
        else:
            chosen[axis.name] = list(axis.values)
    frame = grid(reference, chosen) if chosen else pd.DataFrame(index=[0])
    mean: Floats = reference.rows(frame).mean(axis=0)
    return mean


def _covariance(fit: GroupFit, voxel: int) -> tuple[Floats, float]:
    """Return the covariance of the coefficients at a voxel, and the least of their df."""
    _, part, place = fit.pieces.parts_at(voxel)
    assert part is not None
    eye = np.eye(len(fit.design.columns))
    cov = part.vcov(eye) if hasattr(part, "vcov") else part.test_parts(eye)[0]
    return cov[:, :, place], float(fit.df[:, voxel].min())
