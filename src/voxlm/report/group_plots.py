"""Pictures of a group: maps at a voxel along the model, what each weighs, how much each covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from voxlm.report.canvas import COLOURS, Band, axes_or_new, legend_above

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Names are written up to this number of units.
MOST_NAMED = 40
#: A map that covers so much less than most is marked.
NOTABLE = 0.05


class Line(Band, Protocol):
    """A fitted line with its band at m places."""

    @property
    def label(self) -> str:
        """What it is of."""

    @property
    def x(self) -> Floats:
        """Places."""


class Effects(Protocol):
    """The maps of a group at a voxel; n maps."""

    @property
    def x(self) -> Floats:
        """Where each map stands."""

    @property
    def y(self) -> Floats:
        """Its value."""

    @property
    def colour(self) -> Ints:
        """The line it belongs to."""

    @property
    def joined(self) -> Ints | None:
        """Which maps belong together."""

    @property
    def lines(self) -> Sequence[Line]:
        """The fit."""

    @property
    def x_label(self) -> str:
        """Of the places."""

    @property
    def levels(self) -> Sequence[str]:
        """Of a factor along x."""

    @property
    def title(self) -> str:
        """Which voxel."""


def plot_effects(effects: Effects, ax: Axes | None = None) -> Axes:
    """Draw maps at a voxel, joined where they belong together, with fitted lines and bands.

    Parameters
    ----------
    effects : Effects
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, 5.6, 4.0)
    step = 0.12 if effects.levels else 0.0
    middle = (len(effects.lines) - 1) / 2
    aside = step * (effects.colour - middle)
    if effects.joined is not None:
        _join(ax, effects, effects.x + aside)
    for k, line in enumerate(effects.lines):
        colour = COLOURS[k % len(COLOURS)]
        here = effects.colour == k
        x = effects.x[here] + aside[here]
        ax.plot(x, effects.y[here], "o", color=colour, markersize=4, alpha=0.6, markeredgewidth=0)
        if effects.levels:
            ax.errorbar(
                line.x + step * (k - middle), line.fitted, (line.high - line.low) / 2,
                color=colour, fmt="_", markersize=16, markeredgewidth=2, capsize=4,
                label=line.label,
            )  # fmt: skip
        else:
            ax.fill_between(line.x, line.low, line.high, color=colour, alpha=0.2, linewidth=0)
            ax.plot(line.x, line.fitted, color=colour, linewidth=1.6, label=line.label)
    if effects.levels:
        ax.set_xticks(range(len(effects.levels)), list(effects.levels))
        ax.set_xlim(-0.6, len(effects.levels) - 0.4)
    ax.set_xlabel(effects.x_label)
    ax.set_ylabel("effect")
    ax.set_title(effects.title, fontsize=9, wrap=True)
    ax.spines[["top", "right"]].set_visible(False)
    if len(effects.lines) > 1:
        legend_above(ax)
    return ax


def _join(ax: Axes, effects: Effects, x: Floats) -> None:
    """Join the maps of each group, in the order of x."""
    assert effects.joined is not None
    for group in np.unique(effects.joined):
        here = np.flatnonzero(effects.joined == group)
        here = here[np.argsort(x[here], kind="stable")]
        ax.plot(x[here], effects.y[here], color="0.75", linewidth=0.7, zorder=1)


def plot_influence(
    names: Sequence[str],
    weights: Floats,
    label: str = "Cook's distance",
    mark: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what each unit weighs, as stems.

    Parameters
    ----------
    names : sequence of str
        The units.
    weights : ndarray, shape (U,)
        Cook's distances, or leverages.
    label : str
        Which.
    mark : float, optional
        A value to mark by a line.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> plot_influence(["a", "b"], np.array([0.1, 0.4])).get_ylabel()
    "Cook's distance"
    """
    ax = axes_or_new(ax, 5.6, 3.0)
    places = np.arange(len(names))
    known = np.where(np.isfinite(weights), weights, np.nan)
    ax.vlines(places, 0.0, known, color=COLOURS[0], linewidth=1.4)
    ax.plot(places, known, "o", color=COLOURS[0], markersize=4)
    if mark is not None:
        ax.axhline(mark, color=COLOURS[1], linewidth=0.9, linestyle="--", label=f"{mark:.2g}")
    ax.set_ylim(bottom=0.0)
    if mark is not None:
        legend_above(ax)
    ax.set_ylabel(label)
    _name(ax, places, names)
    return ax


def plot_coverage(names: Sequence[str], shares: Floats, ax: Axes | None = None) -> Axes:
    """Draw the share of voxels in which each map has a value.

    Parameters
    ----------
    names : sequence of str
        The maps.
    shares : ndarray, shape (N,)
        From 0 to 1.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> plot_coverage(["a", "b"], np.array([1.0, 0.9])).get_ylabel()
    'voxels with a value (%)'
    """
    ax = axes_or_new(ax, 5.6, 3.0)
    places = np.arange(len(names))
    few = shares < np.median(shares) - NOTABLE
    for chosen, colour in ((~few, COLOURS[0]), (few, COLOURS[1])):
        ax.plot(places[chosen], 100 * shares[chosen], "o", color=colour, markersize=5)
    ax.set_ylim(min(98.0, 100 * float(shares.min()) - 3), 100.5)
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_ylabel("voxels with a value (%)")
    _name(ax, places, names)
    return ax


def _name(ax: Axes, places: Ints, names: Sequence[str]) -> None:
    if len(names) <= MOST_NAMED:
        ax.set_xticks(
            places, list(names), rotation=60, ha="right", rotation_mode="anchor", fontsize=7
        )
    ax.set_xlim(-0.7, len(names) - 0.3)
    ax.spines[["top", "right"]].set_visible(False)
