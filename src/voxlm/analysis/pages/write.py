"""A fit as one page: the sections gathered, laid out and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from voxlm import report
from voxlm.analysis.background import mean_image, outline
from voxlm.analysis.course import voxel_courses
from voxlm.analysis.fit import Fit
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.pages.contrasts import contrast_blocks, decided, peak
from voxlm.analysis.pages.diagnostics import diagnostic_blocks
from voxlm.analysis.pages.group import (
    component_blocks,
    coverage_blocks,
    group_model_blocks,
    peak_blocks,
)
from voxlm.analysis.pages.methods import first_level_methods, group_methods, versions
from voxlm.analysis.pages.model import left_out_blocks, model_blocks
from voxlm.analysis.verdict import Verdict
from voxlm.errors import DataError
from voxlm.images.atomic import write_text
from voxlm.models.reduce import FITTED


def write_run_report(
    fits: Sequence[Fit],
    ask: Any,
    path: Path,
    contrasts: Any,
    correct: str,
    alpha: float,
    title: str | None,
    options: Mapping[str, Any],
    weighting: str = "unweighted",
) -> Path:
    """Write the report of one or several runs; see :meth:`voxlm.Fit.report`."""
    check_page_name(path)
    verdicts = decided(ask, contrasts, correct, alpha, options)
    first = fits[0]
    background = mean_image(first)
    courses = _peak_courses(fits, verdicts)
    sections = [report.Section("Model", tuple(_models(fits, verdicts)))]
    for name, verdict in verdicts.items():
        blocks = contrast_blocks(name, verdict, first.design, background)
        sections.append(report.Section(name, (*blocks, *courses.get(name, ()))))
    sections.append(report.Section("Fit", tuple(_diagnostics(fits, background))))
    sections.append(report.Section("Left out", tuple(left_out_blocks(fits))))
    methods = first_level_methods(fits, list(verdicts.values()), weighting)
    sections.append(report.Section("Methods", tuple(_methods(methods))))
    named = title or _name(fits)
    page = report.Page(named, first.formula, tuple(sections), footer())
    return write_text(path, report.render(page))


def write_group_report(
    fit: GroupFit,
    path: Path,
    contrasts: Any,
    correct: str,
    alpha: float,
    title: str | None,
    background: Any,
    options: Mapping[str, Any],
) -> Path:
    """Write the report of a group; see :meth:`voxlm.GroupFit.report`."""
    check_page_name(path)
    verdicts = decided(fit.contrast, contrasts, correct, alpha, options)
    background = outline(fit.space) if background is None else background
    sections = [report.Section("Model", tuple(group_model_blocks(fit)))]
    for name, verdict in verdicts.items():
        blocks = contrast_blocks(name, verdict, fit.design, background)
        sections.append(report.Section(name, (*blocks, *peak_blocks(fit, verdict))))
    sections.append(report.Section("Variances", tuple(component_blocks(fit, background))))
    sections.append(report.Section("Coverage", tuple(coverage_blocks(fit))))
    methods = group_methods(fit, list(verdicts.values()))
    sections.append(report.Section("Methods", tuple(_methods(methods))))
    named = title or f"Group of {fit.maps.n_maps} maps"
    page = report.Page(named, fit.formula.strip(), tuple(sections), footer())
    return write_text(path, report.render(page))


def check_page_name(path: Path) -> None:
    """Require a name that ends in ``.html``."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise DataError(f"{path}: a report is one page; give a name that ends in .html")


def _models(fits: Sequence[Fit], verdicts: Mapping[str, Verdict]) -> Iterator[Any]:
    for fit in fits:
        if len(fits) > 1:
            yield report.Heading(fit.run.name)
        yield from model_blocks(fit, verdicts)


def _diagnostics(fits: Sequence[Fit], background: Any) -> Iterator[Any]:
    for fit in fits:
        if len(fits) > 1:
            yield report.Heading(fit.run.name)
        yield from diagnostic_blocks(fit, background)


def _peak_courses(
    fits: Sequence[Fit], verdicts: Mapping[str, Verdict]
) -> dict[str, tuple[Any, ...]]:
    """Draw each run's series at the peak of each contrast; a run is read once for all."""
    peaks = {name: at for name, v in verdicts.items() if (at := peak(v)) is not None}
    drawn: dict[str, tuple[Any, ...]] = {}
    for fit in fits:
        places = {name: at for name, at in peaks.items() if fit.estimate.status[at] == FITTED}
        of = f" in {fit.run.name}" if len(fits) > 1 else ""
        for name, block in _courses(fit, places, of).items():
            drawn[name] = (*drawn.get(name, ()), block)
    return drawn


def _courses(fit: Fit, places: Mapping[str, int], of: str) -> dict[str, Any]:
    """Draw one run's series at some places, by name."""
    if not places:
        return {}
    try:
        courses = voxel_courses(fit, list(places.values()))
    except (DataError, OSError) as error:
        lost = report.Prose(f"The peak's series{of} is not shown: {error}", "note")
        return dict.fromkeys(places, lost)
    said = f"The peak{of}: data, fit and its 95 % band; beside it the averages around events"
    return {
        name: report.picture(report.plot_response(course), said, wide=True)
        for name, course in zip(places, courses, strict=True)
    }


def _methods(methods: str) -> Iterator[Any]:
    yield report.Code(methods, "Methods paragraph, ready to paste")
    table = pd.DataFrame(versions().items(), columns=["package", "version"])
    yield report.grid(table, "Versions")


def _name(fits: Sequence[Fit]) -> str:
    return fits[0].run.name if len(fits) == 1 else f"{len(fits)} runs"


def footer() -> str:
    """Return what stands at the foot of every page."""
    return f"Written by voxlm {versions()['voxlm']}; this page loads nothing from elsewhere."
