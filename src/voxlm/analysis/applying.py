"""A model applied to runs: read as it says, transformed, and fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.explain import Explanation
from voxlm.analysis.explain import explain as explain_formula
from voxlm.analysis.firstlevel import glsar
from voxlm.analysis.fit import Fit
from voxlm.analysis.fixed import FixedEffects
from voxlm.analysis.lm import lm
from voxlm.analysis.plan import plan_runs
from voxlm.bids.run import Run
from voxlm.bids.transform import transform
from voxlm.errors import DataError
from voxlm.formula import Schema, parse, resolve_group
from voxlm.formula.export import to_r as to_r_of

if TYPE_CHECKING:
    import pandas as pd

    from voxlm.analysis.model import Model


def fit(model: Model, data: Run | Sequence[Run], progress: bool = False) -> Fit | FixedEffects:
    """Fit the first level; see :meth:`voxlm.Model.fit`."""
    if isinstance(data, Iterable):
        return fit_ready(model, [prepare(model, run) for run in data], progress)
    return fit_ready(model, prepare(model, data), progress)


def fit_ready(model: Model, data: Any, progress: bool = False) -> Fit | FixedEffects:
    """Fit runs that are read as the model says already."""
    options: dict[str, Any] = {"hrf": response(model), "stack": model.stack, "progress": progress}
    if model.order == 0:
        found: Any = lm(model.whole_formula, data, **options)
    else:
        options |= {"order": model.order, "maxiter": model.maxiter, "rtol": model.rtol}
        found = glsar(model.whole_formula, data, **options)
    if isinstance(found, FixedEffects):
        return replace(found, weighting=model.weighting)  # type: ignore[arg-type]
    return found  # type: ignore[no-any-return]


def response(model: Model) -> Any:
    """Return the model's response as the verbs take it."""
    return dict(model.hrf) if isinstance(model.hrf, Mapping) else model.hrf


def prepare(model: Model, run: Run, folder: Path | None = None) -> Run:
    """Return a run as the model reads it.

    Parameters
    ----------
    model : Model
    run : Run
        As it was found or made. What it says itself and the model says otherwise is an error,
        but for what a run has by default.
    folder : Path, optional
        Where a relative mask lies.

    Returns
    -------
    Run
    """
    if not isinstance(run, Run):
        raise DataError(f"data is a Run or a list of Runs, got {type(run).__name__}")
    scaling = None if model.scaling == "none" else model.scaling
    options: dict[str, Any] = {} if scaling == run.scaling else {"scaling": scaling}
    for name in ("tr", "slice_time_ref"):
        wanted = getattr(model, name)
        if wanted is not None and wanted != getattr(run, name):
            options[name] = wanted
    if model.smoothing_fwhm is not None:
        if run.smoothing_fwhm not in (None, (model.smoothing_fwhm,) * 3):
            raise DataError(
                f"{run.name} is smoothed by {run.smoothing_fwhm} mm and the model says "
                f"{model.smoothing_fwhm:g}; leave one of the two out"
            )
        options["smoothing_fwhm"] = model.smoothing_fwhm
    if model.mask is not None:
        options["mask"] = (folder or Path()) / model.mask
    if model.mesh:
        options["mesh"] = tuple((folder or Path()) / one for one in model.mesh)
    if model.transformations:
        events, confounds, _ = transform(model.transformations, run.events, run.confounds)
        options |= {"events": events, "confounds": confounds}
    return run.reread(**options) if options else run


def explain(model: Model, run: Run) -> Explanation:
    """Say what each word means in a run; see :meth:`voxlm.Model.explain`."""
    ready = prepare(model, run)
    return explain_formula(model.whole_formula, ready.events, ready.confounds, hrf=response(model))


def answers(model: Model, fitted: Fit | FixedEffects) -> dict[str, Contrast]:
    """Ask the model's contrasts of a fit, by name."""
    return {name: fitted.contrast(text) for name, text in model.contrasts.items()}


def to_r(model: Model, run: Run | None, table: pd.DataFrame | None) -> str:
    """Write the R calls of both levels; see :meth:`voxlm.Model.to_r`."""
    lines = []
    if run is not None:
        ready = prepare(model, run)
        (planned,) = plan_runs(model.whole_formula, [ready], response(model), model.order)
        lines += [f"# {model.whole_formula}", planned.design.to_r(model.order)]
    for group in () if table is None else model.group:
        assert table is not None
        if group.verb == "meta" or group.robust:
            raise DataError(f"group {group.name!r}: R lines are for lm and lmer, not {group.verb}")
        meaning = resolve_group(parse(group.formula), Schema.table(table))
        said = to_r_of(meaning)
        if group.reml is False:
            said = said.replace("REML = TRUE", "REML = FALSE")
        lines += [f"# {group.name}", said]
    return "\n".join(lines)
