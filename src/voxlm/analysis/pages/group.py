"""The sections of a report that show a group: its model, its maps, what each of them weighs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from voxlm import report
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.groupsummary import describe_group
from voxlm.analysis.influence import influence, map_names, voxel_effects
from voxlm.analysis.pages.contrasts import peak
from voxlm.analysis.pages.maps import drawn_maps
from voxlm.analysis.pages.model import inputs_grid
from voxlm.analysis.verdict import Verdict
from voxlm.errors import DataError, DesignError

#: Units whose Cook's distance is listed.
MOST_UNITS = 10


def group_model_blocks(fit: GroupFit) -> Iterator[Any]:
    """Yield what a page says of a group's model."""
    yield report.Code(fit.formula.strip(), "Formula, with what it implies written out")
    yield report.Code(
        describe_group(fit), f"Summary, medians over {fit.space.counted}", columns=True
    )
    meaning = getattr(fit.design.meaning, "meaning", None)
    if meaning is not None:
        yield report.grid(meaning.table(), "What each word of the formula was taken for")
    if fit.design.matrix.shape[1] > 1:
        drawn = report.plot_design(fit.design)
        yield report.picture(drawn, "The design: a row a map, a column a column")
        drawn = report.plot_correlation(fit.design)
        yield report.picture(drawn, "Correlation of every two columns that vary")
    for note in fit.design.notes:
        yield report.Prose(note, "note")


def peak_blocks(fit: GroupFit, verdict: Verdict) -> Iterator[Any]:
    """Yield the maps at the peak of a contrast with the fitted lines, and what each weighs."""
    at = peak(verdict)
    if at is None:
        return
    yield report.Heading("At the peak")
    told = fit.space.told(at)
    where = f"{told[0].upper()}{told[1:]}"
    try:
        drawn = report.plot_effects(voxel_effects(fit, at))
        said = "the maps' values, with the fit and its 95 % band"
        yield report.picture(drawn, f"{where}: {said}")
    except (DataError, DesignError) as error:
        yield report.Prose(f"No fitted lines are drawn: {error}", "note")
    try:
        found = influence(fit, at)
    except DataError as error:
        yield report.Prose(f"No influence is shown: {error}", "note")
        return
    mark = 4.0 / len(found.units)
    drawn = report.plot_influence(found.units, found.cook, mark=mark)
    yield report.picture(
        drawn, f"{where}: Cook's distance of each {_unit(fit)}; the line is 4 over their number"
    )
    largest = np.argsort(-np.nan_to_num(found.cook, posinf=np.inf))[:MOST_UNITS]
    table = pd.DataFrame(
        {
            _unit(fit): [found.units[k] for k in largest],
            "Cook's distance": found.cook[largest],
        }
    )
    if not fit.design.random:
        table["leverage"] = found.leverage[largest]
    formats = {"Cook's distance": ".3f", "leverage": ".3f"}
    yield report.grid(table, f"The {len(largest)} that weigh most at the peak", formats)
    drawn = report.plot_influence(map_names(fit, found.rows), found.leverage, "leverage")
    yield report.picture(drawn, f"{where}: leverage of the maps")


def _unit(fit: GroupFit) -> str:
    return fit.design.random[0].group if fit.design.random else "map"


def coverage_blocks(fit: GroupFit) -> Iterator[Any]:
    """Yield what each map covers, and how many maps a voxel has."""
    shares = np.isfinite(fit.maps.values).mean(axis=1)
    names = map_names(fit, np.arange(fit.maps.n_maps))
    drawn = report.plot_coverage(names, shares)
    yield report.picture(drawn, f"Share of the {fit.space.counted} in which each map has a value")
    unit = fit.space.counted
    counts = pd.Series(fit.nobs).value_counts().sort_index(ascending=False)
    table = pd.DataFrame({"maps": counts.index, unit: counts.to_numpy()})
    table["share"] = 100 * table[unit] / fit.n_voxels
    formats = {"maps": ".0f", unit: ",.0f", "share": ".1f"}
    said = (
        f"{unit.capitalize()} by the number of maps they were fitted on; 0 where too few are left"
    )
    yield report.grid(table, said, formats, {"share": "share (%)"})
    if len(counts) > 1:
        nobs = fit.nobs.astype(np.float64)
        yield from drawn_maps(fit.space, nobs, "maps", None, signed=False)
    yield inputs_grid(fit.maps.inputs)


def component_blocks(fit: GroupFit, background: Any) -> Iterator[Any]:
    """Yield maps and histograms of the variance components and what goes with them."""
    shown = [(label, values) for label, values in _components(fit) if np.isfinite(values).any()]
    for label, values in shown:
        yield report.picture(
            report.plot_histogram(values, label, fit.space.counted),
            f"{label} over {fit.space.counted}",
        )
    for label, values in shown:
        yield from drawn_maps(fit.space, values, label, background, signed=False)


def _components(fit: GroupFit) -> Iterator[tuple[str, Any]]:
    if fit.model == "lmer":
        names = [(block.group, name) for block in fit.design.random for name in block.names]
        for (group, name), values in zip(names, fit.components, strict=True):
            yield f"variance of {name} over {group}", values
        if all(block.names == ("Intercept",) for block in fit.design.random):
            yield "share between groups (ICC)", fit.values("icc")
    if fit.model == "meta":
        yield "variance between maps (τ²)", fit.tau2
        yield "share between maps (I²)", fit.i2
        return
    yield "residual variance", fit.scale
    if fit.model == "lm":
        yield "R²", fit.rsquared
