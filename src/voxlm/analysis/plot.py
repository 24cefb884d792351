"""Pictures by name: ``vx.plot.design(fit)``, ``vx.plot.stat_map(contrast)``, and so on.

Each function takes what the package gives (fits, designs, contrasts, decisions, images), draws it
with matplotlib into a figure of its own or into ``ax=``, and returns that Figure or Axes. Nothing
here opens a window or remembers a current axes; ``figure.savefig("name.png")`` writes a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from voxlm import report
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.course import voxel_courses
from voxlm.analysis.drawn import background_of, design_of, map_of
from voxlm.analysis.fit import Fit
from voxlm.analysis.fitted import Fitted
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.influence import voxel_effects
from voxlm.analysis.innovations import innovations
from voxlm.analysis.spec import ContrastSpec
from voxlm.contrasts.hypothesis import hypothesis
from voxlm.errors import DataError, did_you_mean
from voxlm.hrf import Response, as_response

__all__ = [
    "contrast",
    "design",
    "design_correlation",
    "effects",
    "events",
    "glass_brain",
    "hrf",
    "qq",
    "response",
    "stat_map",
    "surface",
]

Display = Literal["slices", "ortho"]


def design(design: Any, ax: Any = None) -> Any:
    """Draw a design matrix: a row a scan, a column a column.

    Parameters
    ----------
    design : Design, Fit or GroupFit
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
    """
    return report.plot_design(design_of(design), ax=ax)


def design_correlation(design: Any, ax: Any = None) -> Any:
    """Draw the correlation of every two columns that vary.

    Parameters
    ----------
    design : Design, Fit or GroupFit
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
    """
    return report.plot_correlation(design_of(design), ax=ax)


def events(events: Any, ax: Any = None) -> Any:
    """Draw the events of a run in time, one row a condition, with their number.

    Parameters
    ----------
    events : Run, Fit or DataFrame
        A table has ``onset`` and ``duration`` in seconds, and usually ``trial_type``.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> table = pd.DataFrame({"onset": [2.0, 9.0], "duration": 4.0, "trial_type": ["a", "b"]})
    >>> events(table).get_xlabel()
    'time (s)'
    """
    if isinstance(events, pd.DataFrame):
        return report.plot_events(events, ax=ax)
    run = events.run if isinstance(events, Fitted) else events
    table = getattr(run, "events", None)
    if table is None:
        raise DataError(f"{getattr(run, 'name', run)} has no events to draw")
    return report.plot_events(table, run.clock.n_scans * run.clock.tr, ax=ax)


def contrast(design: Any, spec: ContrastSpec, ax: Any = None) -> Any:
    """Draw the weights of a contrast over the columns of a design.

    Parameters
    ----------
    design : Design, Fit or GroupFit
    spec : str, array, dict or list of str
        As for :meth:`voxlm.Fit.contrast`.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
    """
    columns = design_of(design)
    asked = hypothesis(spec, columns.coefficients, meaning=columns.meaning)
    names = [column.name for column in columns.coefficients]
    return report.plot_contrast(asked.C, names, asked.text, ax=ax)


def stat_map(
    map: Any,
    background: Any = None,
    *,
    name: str = "z",
    threshold: float | None = None,
    display: Display = "slices",
    cut: Sequence[float] | None = None,
    title: str | None = None,
    n_slices: int = 12,
    ax: Any = None,
) -> Any:
    """Draw a map: in axial slices, or in three cuts through its peak.

    Parameters
    ----------
    map : Contrast, Verdict or nibabel image
        Of a Verdict the significant voxels alone.
    background : Fit, FixedEffects or nibabel image, optional
        Drawn in grey under the map; of a fit, the mean of its data. Without it a map in MNI space
        lies on nilearn's template.
    name : str
        Which map of a Contrast or a Verdict: ``"z"``, ``"effect"``, ``"stat"``.
    threshold : float, optional
        Absolute values below it are transparent.
    display : {"slices", "ortho"}
    cut : three floats, optional
        Where ``"ortho"`` cuts, in millimetres; at the largest absolute value where not given.
    title : str, optional
    n_slices : int
        At most so many slices.
    ax : Axes, optional
        The place to draw in; a new figure where not given.

    Returns
    -------
    Figure, or ``ax``

    Raises
    ------
    DataError
        If the map has no grid, or no finite value.
    """
    image, words, least = map_of(map, name)
    threshold = least if threshold is None else threshold
    under = background_of(background)
    said = words if title is None else title
    if display == "ortho":
        where = None if cut is None else (float(cut[0]), float(cut[1]), float(cut[2]))
        return report.plot_ortho(
            image, under, threshold=threshold, cut=where, label=name, title=said, ax=ax
        )
    if display != "slices":
        raise DataError(f"display is {did_you_mean(str(display), ('slices', 'ortho'))}")
    if cut is not None:
        raise DataError("cut= goes with display='ortho'; slices are spread by n_slices=")
    return report.plot_stat_map(
        image, under, threshold=threshold, label=name, title=said, n_slices=n_slices, ax=ax
    )


def glass_brain(
    map: Any,
    *,
    name: str = "z",
    threshold: float | None = None,
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw the largest values of a map in MNI space along three directions.

    Parameters
    ----------
    map, name, threshold, title, ax
        As for :func:`stat_map`.

    Returns
    -------
    Figure, or ``ax``
    """
    image, words, least = map_of(map, name)
    threshold = least if threshold is None else threshold
    said = words if title is None else title
    return report.plot_glass(image, threshold=threshold, label=name, title=said, ax=ax)


def surface(
    map: Any,
    *,
    name: str = "z",
    hemi: Literal["left", "right", "both"] = "both",
    view: str | Sequence[str] = ("lateral", "medial", "dorsal", "ventral"),
    threshold: float | None = None,
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw a map on the cortical surface.

    Parameters
    ----------
    map : Contrast, Verdict, nibabel image in MNI space, or nilearn SurfaceImage
        A volume is sampled on the fsaverage5 surface.
    name, threshold, title, ax
        As for :func:`stat_map`; ``ax`` holds the first view of one hemisphere.
    hemi : {"left", "right", "both"}
    view : str or sequence of str
        ``"lateral"``, ``"medial"``, ``"dorsal"``, ``"ventral"``, ``"anterior"``, ``"posterior"``.

    Returns
    -------
    Figure, or ``ax``
    """
    image, words, least = map_of(map, name)
    threshold = least if threshold is None else threshold
    said = words if title is None else title
    return report.plot_surface(
        image, hemi=hemi, view=view, threshold=threshold, label=name, title=said, ax=ax
    )


def hrf(*responses: Any, tr: float = 2.0, ax: Any = None) -> Any:
    """Draw haemodynamic responses over seconds.

    Parameters
    ----------
    *responses : str, Response or callable
        As ``hrf=`` takes them: ``"spm"``, ``"glover + derivative"``, ``vx.hrf.fir([0, 2, 4])``.
        ``"spm"`` where none is given.
    tr : float
        Seconds from scan to scan, which the delays of a FIR count in.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> len(hrf("spm", "glover + derivative").get_legend().get_texts())
    3
    """
    named = [(_called(given), as_response(given)) for given in responses or ("spm",)]
    return report.plot_hrf(named, tr, ax=ax)


def response(
    fit: Fit,
    voxel: int | Sequence[float],
    *,
    mm: bool = False,
    part: Literal["both", "series", "average"] | None = None,
    alpha: float = 0.05,
    ax: Any = None,
) -> Any:
    """Draw one voxel: its data, the fit with a confidence band, the averages around its events.

    Parameters
    ----------
    fit : Fit
    voxel : int or three numbers
        Voxel indices, or millimetres with ``mm=True``; for arrays, the column.
    mm : bool
        Whether ``voxel`` is in millimetres.
    part : {"both", "series", "average"}, optional
        Both, or with ``ax`` the series, where not given.
    alpha : float
        One less the coverage of the band.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Figure, or Axes where ``ax`` or one part is given

    Raises
    ------
    DataError
        If the voxel was left out, or the average of a run without events is asked for.
    """
    if not isinstance(fit, Fit):
        raise DataError(f"a response is drawn of one fit; of {type(fit).__name__} give one run's")
    place = tuple(np.atleast_1d(voxel).tolist())
    (course,) = voxel_courses(fit, [fit._place(place, mm)], alpha)
    part = ("both" if ax is None else "series") if part is None else part
    if part == "both":
        if ax is not None:
            raise DataError("one ax holds one part: part='series' or part='average'")
        return report.plot_response(course)
    if part == "average" and not course.averages:
        raise DataError("there are no events with a trial_type to average around")
    return (report.plot_average if part == "average" else report.plot_course)(course, ax)


def effects(
    fit: GroupFit, voxel: int | Sequence[float], *, mm: bool = False, ax: Any = None
) -> Any:
    """Draw the maps' values at one voxel of a group fit, with the fitted lines and their bands.

    Along the first number of the formula, or over the levels of its first factor; other numbers
    stand at their mean. Maps of one group of a random term are joined by a line.

    Parameters
    ----------
    fit : GroupFit
    voxel : int or three numbers
        Voxel indices, or millimetres with ``mm=True``; for arrays, the column.
    mm : bool
        Whether ``voxel`` is in millimetres.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
    """
    place = np.atleast_1d(voxel).tolist()
    at = fit.space.index_mm(*place) if mm else fit.space.index(*place)
    return report.plot_effects(voxel_effects(fit, at), ax=ax)


def qq(values: Any, voxel: int | Sequence[float] | None = None, *, ax: Any = None) -> Any:
    """Draw quantiles against those of a normal variable.

    Parameters
    ----------
    values : Fit, Contrast or array
        Of a fit the standardised innovations of 100 random voxels, or of one; of a contrast its z
        values.
    voxel : int or three numbers, optional
        Of a fit, this voxel alone.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> qq(np.random.default_rng(0).standard_normal(50)).get_xlabel()
    'normal quantile'
    """
    if isinstance(values, Fit):
        at = None if voxel is None else values._place(tuple(np.atleast_1d(voxel).tolist()), False)
        return report.plot_qq(innovations(values, at), ax=ax)
    if voxel is not None:
        raise DataError("voxel= goes with a fit")
    if isinstance(values, Contrast):
        return report.plot_qq(values.z, "z", ax=ax)
    return report.plot_qq(np.asarray(values, dtype=np.float64), "value", ax=ax)


def _called(given: Any) -> str:
    if isinstance(given, Mapping):
        raise DataError("draw one response after the other: vx.plot.hrf(*named.values())")
    plain = isinstance(given, str | Response)
    return str(given) if plain else getattr(given, "__name__", type(given).__name__)
