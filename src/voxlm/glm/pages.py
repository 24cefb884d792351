"""The pictures and the page that are saved beside a model's maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from nilearn import plotting

from voxlm import report
from voxlm.design.columns import Column, Design
from voxlm.glm.filenames import Filenames
from voxlm.glm.io import PARAMETERS, weights_of


def draw(
    model: Any,  # noqa: ARG001
    designs: Sequence[pd.DataFrame],
    asked: Mapping[str, Any],
    labels: Mapping[str, str],
    folder: Path,
    names: Filenames,
) -> None:
    """Write pictures of the designs, their correlations, and the contrasts."""
    for run, frame in enumerate(designs):
        design = _design(frame)
        report.save_picture(
            report.plot_design(design), folder / names.of_run(run, "design", ".png")
        )
        report.save_picture(
            report.plot_correlation(design), folder / names.of_run(run, "corrdesign", ".png")
        )
        for name, spec in asked.items():
            drawn = report.plot_contrast(weights_of(spec, list(design.names)), design.names, name)
            file = names.of_run(run, "design", ".png", contrast=labels[name])
            report.save_picture(drawn, folder / file)
        plt.close("all")


def page(
    model: Any,
    designs: Sequence[pd.DataFrame],
    asked: Mapping[str, Any],
    found: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> str:
    """Lay out a report: the model, its designs, and each contrast with its map and clusters."""
    title = options["title"] or f"{', '.join(asked)}: {model}"
    facts = tuple(
        (name, str(value))
        for name in PARAMETERS
        if (value := getattr(model, name, None)) is not None
    )
    sections = [report.Section("Model", (report.Facts(facts),))]
    for run, frame in enumerate(designs, start=1):
        design = _design(frame)
        blocks = [report.picture(report.plot_design(design), "the design matrix")]
        blocks.append(report.picture(report.plot_correlation(design), "correlations of columns"))
        blocks += [
            report.picture(
                report.plot_contrast(weights_of(spec, list(design.names)), design.names, name),
                f"weights of {name}",
            )
            for name, spec in asked.items()
        ]
        sections.append(
            report.Section(f"Run {run}" if len(designs) > 1 else "Design", tuple(blocks))
        )
    sections += [report.Section(one["name"], tuple(_blocks(one, options))) for one in found]
    plt.close("all")
    return report.render(report.Page(title, str(model), tuple(sections)))


def _blocks(one: Mapping[str, Any], options: Mapping[str, Any]) -> list[Any]:
    rule = report.Facts(tuple((key, str(value)) for key, value in one["rule"].items()))
    table = report.grid(one["table"], "Clusters", {"Peak Stat": ".2f"})
    return [rule, *_pictures(one, options), table]


def _pictures(one: Mapping[str, Any], options: Mapping[str, Any]) -> list[Any]:
    """Draw a map of z as the options ask."""
    if not np.isfinite(one["threshold"]):
        return [report.Prose("No voxel passes the threshold.", "note")]
    size = tuple(side / 100.0 for side in options["report_dims"])
    if not hasattr(one["z"], "affine"):
        drawn = []
        for hemi in ("left", "right"):
            figure = plotting.plot_surf_stat_map(
                stat_map=one["z"], hemi=hemi, threshold=one["threshold"], engine="matplotlib"
            )
            drawn.append(report.picture(figure, f"{one['name']}: z, {hemi} hemisphere"))
        return drawn
    figure = plt.figure(figsize=size)
    shared = {"threshold": one["threshold"], "figure": figure, "title": one["name"]}
    if options["plot_type"] == "glass":
        plotting.plot_glass_brain(
            one["z"], display_mode=options["display_mode"] or "lyrz", plot_abs=False, **shared
        )
    else:
        background = (
            {}
            if isinstance(options["bg_img"], str) and options["bg_img"] == "MNI152TEMPLATE"
            else {"bg_img": options["bg_img"]}
        )
        plotting.plot_stat_map(
            one["z"],
            display_mode=options["display_mode"] or "z",
            cut_coords=options["cut_coords"],
            **background,
            **shared,
        )
    return [report.picture(figure, f"{one['name']}: z above {one['threshold']:.3g}", wide=True)]


def _design(frame: pd.DataFrame) -> Design:
    """Return a table as a design that can be drawn."""
    names = [str(name) for name in frame.columns]
    columns = tuple(Column(name, name, "task") for name in names)
    return Design(frame.to_numpy(dtype=np.float64), columns)
