"""The verbs of the first level: a formula and a run in, a fit out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

from voxlm.analysis.design import Design
from voxlm.analysis.fit import Fit
from voxlm.analysis.fixed import FixedEffects
from voxlm.analysis.options import real, whole
from voxlm.analysis.plan import Plan, check_design, compile_design, plan_runs
from voxlm.analysis.progress import Watched
from voxlm.analysis.stacked import stack_plans
from voxlm.analysis.varying import own_columns, with_files
from voxlm.bids.common import share_mask
from voxlm.bids.run import Run
from voxlm.design.columns import Design as Columns
from voxlm.errors import DataError
from voxlm.models.estimate import Estimate
from voxlm.models.linear import fit_linear
from voxlm.models.stacked import Stacked
from voxlm.models.varying import fit_linear_varying


@dataclass(frozen=True, slots=True)
class Noise:
    """A noise model: which verb asked, its order, and the limits of its iteration."""

    verb: str
    order: int
    maxiter: int
    rtol: float


def design(formula: str, run: Run, *, hrf: Any = "spm") -> Design:
    """Compile a formula for one run, without opening its image.

    Parameters
    ----------
    formula : str
        For instance ``"y ~ face + house + motion"``.
    run : Run
        Its events, confounds and clock are used.
    hrf : str, HRF, or dict
        The response of event terms that carry no tag of their own.
        A dict names responses for ``hrf(face, name)``, with ``default`` for the rest.

    Returns
    -------
    Design
        Checked: full rank, more scans than columns.

    Raises
    ------
    FormulaError
        The formula cannot be read, or names what the tables do not have.
    DataError
        A table does not fit the run, or the run has no seconds where they are needed.
    DesignError
        The columns are not independent, or there are too many of them.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> events = pd.DataFrame({"onset": [4.0, 40, 80], "duration": 9.0, "trial_type": "face"})
    >>> made = design("y ~ face", Run(np.ones((60, 1)), events, tr=2.0))
    >>> made.matrix.shape, made.names
    ((60, 3), ('face', 'drift_1', 'constant'))
    """
    made = compile_design(formula, run, run.events, hrf)
    check_design(made, run, run.sample_mask)
    return made


@overload
def glsar(
    formula: str | Columns,
    data: Run,
    *,
    order: int = ...,
    maxiter: int = ...,
    rtol: float = ...,
    hrf: Any = ...,
    progress: bool = ...,
) -> Fit: ...
@overload
def glsar(
    formula: str | Columns,
    data: Sequence[Run],
    *,
    order: int = ...,
    maxiter: int = ...,
    rtol: float = ...,
    hrf: Any = ...,
    stack: Literal[False] = ...,
    progress: bool = ...,
) -> FixedEffects: ...
@overload
def glsar(
    formula: str | Columns,
    data: Sequence[Run],
    *,
    order: int = ...,
    maxiter: int = ...,
    rtol: float = ...,
    hrf: Any = ...,
    stack: Literal[True],
    progress: bool = ...,
) -> Fit: ...
def glsar(
    formula: str | Columns,
    data: Run | Sequence[Run],
    *,
    order: int = 1,
    maxiter: int = 3,
    rtol: float = 1e-4,
    hrf: Any = "spm",
    stack: bool = False,
    progress: bool = False,
) -> Fit | FixedEffects:
    """Fit by feasible generalised least squares with AR(p) noise at every voxel.

    Parameters
    ----------
    formula : str or Design
        For instance ``"y ~ face + house + motion"``, or a design made before.
    data : Run or list of Run
        One run, or several.
    order : int
        Order of the AR noise, p >= 1.
    maxiter : int
        Fits at most.
    rtol : float
        A voxel stops when no coefficient moves by this fraction of itself.
    hrf : str, HRF, or dict
        The response of event terms that carry no tag of their own.
        A dict names responses for ``hrf(face, name)``, with ``default`` for the rest.
    stack : bool
        What to do with several runs. False: one fit a run, combined by fixed effects. True: one
        model of all of them, with task effects in common and confounds, drift and constant a run.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Fit, or FixedEffects for a list that is not stacked

    Notes
    -----
    Equal to ``statsmodels`` ``GLSAR(y, X, rho=order).iterative_fit(maxiter, rtol)`` at every
    voxel: its first ``order`` scans dropped, its Yule-Walker estimate, its stopping rule. Scans
    removed by ``sample_mask`` cut the series: no lag product crosses a cut. Stacked runs have one
    ρ a voxel, estimated from all of them, and are cut likewise.
    """
    order, maxiter = whole(order, "order", "; for 0 use lm"), whole(maxiter, "maxiter")
    if not real(rtol) or not rtol >= 0:
        raise DataError(f"rtol is a number of at least 0, got {rtol!r}")
    return fit_runs(formula, data, hrf, Noise("glsar", order, maxiter, rtol), stack, progress)


def fit_runs(
    formula: str | Columns,
    data: Run | Sequence[Run],
    hrf: Any,
    noise: Noise,
    stack: bool,
    progress: bool,
) -> Fit | FixedEffects:
    """Compile every run before any image is read, then fit."""
    runs = list(data) if isinstance(data, Iterable) else [data]
    if not runs or not all(isinstance(run, Run) for run in runs):
        kinds = sorted({type(run).__name__ for run in runs if not isinstance(run, Run)})
        raise DataError(
            f"data is a Run or a list of Runs, got {', '.join(kinds) or 'an empty list'}; "
            f"make one with vx.Run(bold, events=…, confounds=…)"
        )
    plans = with_files(plan_runs(formula, runs, hrf, noise.order))
    shared = share_mask(runs)
    if stack and len(runs) > 1:
        return _fit_plan(stack_plans(plans, shared), noise, progress)
    fits = [
        _fit_plan(replace(planned, run=run), noise, progress)
        for planned, run in zip(plans, shared, strict=True)
    ]
    return fits[0] if stack or isinstance(data, Run) else FixedEffects(tuple(fits))


def _fit_plan(planned: Plan, noise: Noise, progress: bool) -> Fit:
    run, source = planned.run, planned.run.scans
    stacked = isinstance(source, Stacked)
    own = own_columns(planned)
    segments = source.segments if stacked else None
    scaling = None if stacked else run.scaling  # a stack scales each run by itself
    with Watched(source, run.name, progress) as scans:
        if own:
            estimate: Estimate = fit_linear_varying(
                scans,
                planned.design.matrix,
                own,
                order=noise.order,
                maxiter=noise.maxiter,
                rtol=noise.rtol,
                kept=planned.kept,
                segments=segments,
                scaling=scaling,
            )
            return Fit(noise.verb, planned, estimate, noise.maxiter, noise.rtol)
        estimate = fit_linear(
            scans,
            planned.design.matrix,
            order=noise.order,
            maxiter=noise.maxiter,
            rtol=noise.rtol,
            kept=planned.kept,
            segments=segments,
            scaling=scaling,
        )
    return Fit(noise.verb, planned, estimate, noise.maxiter, noise.rtol)
