"""Pictures of one voxel: its series with the fit, and the average around the events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voxlm.report.canvas import COLOURS, Band, axes_or_new, legend_above, new_figure

Floats = NDArray[np.float64]


class Average(Protocol):
    """What is drawn around the events of a condition; lags in seconds, shape (L,)."""

    @property
    def lags(self) -> Floats:
        """Seconds after the onset."""

    @property
    def mean(self) -> Floats:
        """Mean of the data."""

    @property
    def error(self) -> Floats:
        """Standard error of that mean."""

    @property
    def fitted(self) -> Floats:
        """Mean of the fit."""

    @property
    def n_events(self) -> int:
        """Events averaged."""


class Course(Band, Protocol):
    """What is drawn of a voxel: data, fit and its band, at n retained scans."""

    @property
    def times(self) -> Floats:
        """Seconds of the scans, or their numbers, shape (n,)."""

    @property
    def data(self) -> Floats:
        """What was fitted."""

    @property
    def averages(self) -> Mapping[str, Average]:
        """By condition."""

    @property
    def alpha(self) -> float:
        """One less the coverage of the band."""

    @property
    def unit(self) -> str:
        """Of the data."""

    @property
    def time_unit(self) -> str:
        """Of the times."""

    @property
    def title(self) -> str:
        """Which voxel."""


def plot_response(course: Course) -> Figure:
    """Draw a voxel's series with its fit, and the averages around its events beside it.

    Parameters
    ----------
    course : Course
        From a fit.

    Returns
    -------
    Figure
        One panel where there are no events, else two.
    """
    if not course.averages:
        figure = new_figure(9.0, 3.0)
        plot_course(course, figure.add_subplot())
        return figure
    figure = new_figure(11.0, 3.4)
    left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
    plot_course(course, left)
    plot_average(course, right)
    return figure


def plot_course(course: Course, ax: Axes | None = None) -> Axes:
    """Draw a voxel's series, its fit, and the confidence band of the fit.

    Parameters
    ----------
    course : Course
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, 9.0, 3.0)
    times = course.times
    ax.plot(times, course.data, color="0.55", linewidth=0.8, label="data")
    band = f"{100 * (1 - course.alpha):g} % band"
    ax.fill_between(
        times, course.low, course.high, color=COLOURS[1], alpha=0.3, linewidth=0, label=band
    )
    ax.plot(times, course.fitted, color=COLOURS[1], linewidth=1.2, label="fit")
    ax.set_xlabel("time (s)" if course.time_unit == "s" else "scan")
    ax.set_ylabel(course.unit)
    ax.set_xlim(float(times.min()), float(times.max()))
    ax.set_title(course.title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    legend_above(ax)
    return ax


def plot_average(course: Course, ax: Axes | None = None) -> Axes:
    """Draw the mean course around the events of each condition, and the fit's.

    Parameters
    ----------
    course : Course
        With averages.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, 4.5, 3.4)
    ax.axhline(0.0, color="0.6", linewidth=0.8)
    ax.axvline(0.0, color="0.6", linewidth=0.8, linestyle=":")
    for k, (name, average) in enumerate(course.averages.items()):
        colour = COLOURS[k % len(COLOURS)]
        ax.errorbar(
            average.lags, average.mean, average.error, color=colour, marker="o", markersize=3,
            linestyle="none", elinewidth=0.8, label=f"{name} ({average.n_events})",
        )  # fmt: skip
        ax.plot(average.lags, average.fitted, color=colour, linewidth=1.2)
    ax.set_xlabel("time after the onset (s)")
    ax.set_ylabel(f"{course.unit}, nuisance removed")
    ax.set_title("mean ± s.e., line: fit", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    legend_above(ax, 2)
    return ax
