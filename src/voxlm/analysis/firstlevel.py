"""The verbs of the first level: a formula and a run in, a fit out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, overload

from voxlm.analysis.design import Design
from voxlm.analysis.fit import Fit
from voxlm.analysis.fixed import FixedEffects
from voxlm.analysis.options import real, whole
from voxlm.analysis.plan import check_design, compile_design, plan_runs
from voxlm.analysis.progress import Watched
from voxlm.bids.common import share_mask
from voxlm.bids.run import Run
from voxlm.design.columns import Design as Columns
from voxlm.errors import DataError
from voxlm.models.linear import fit_linear


def design(formula: str, run: Run, *, hrf: Any = "spm") -> Design:
    """Compile a formula for one run, without opening its image.

    Parameters
    ----------
    formula : str
        For instance ``"y ~ face + house + motion"``.
    run : Run
        Its events, confounds and clock are used.
    hrf : str or HRF
        The response of event terms that carry no tag of their own.

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
    """
    made = compile_design(formula, run, run.events, hrf)
    check_design(made, run, run.sample_mask)
    return made


@overload
def lm(formula: str | Columns, data: Run, *, hrf: Any = ..., progress: bool = ...) -> Fit: ...
@overload
def lm(
    formula: str | Columns, data: Sequence[Run], *, hrf: Any = ..., progress: bool = ...
) -> FixedEffects: ...
def lm(
    formula: str | Columns, data: Run | Sequence[Run], *, hrf: Any = "spm", progress: bool = False
) -> Fit | FixedEffects:
    """Fit by ordinary least squares at every voxel.

    Parameters
    ----------
    formula : str or Design
        For instance ``"y ~ face + house + motion"``, or a design made before.
    data : Run or list of Run
        One run, or several: one fit a run, combined by fixed effects.
    hrf : str or HRF
        The response of event terms that carry no tag of their own.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Fit, or FixedEffects for a list

    Notes
    -----
    Equal to ``statsmodels`` OLS at every voxel.
    """
    return _fit("lm", formula, data, hrf, progress, order=0, maxiter=1, rtol=0.0)


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
    progress: bool = ...,
) -> FixedEffects: ...
def glsar(
    formula: str | Columns,
    data: Run | Sequence[Run],
    *,
    order: int = 1,
    maxiter: int = 3,
    rtol: float = 1e-4,
    hrf: Any = "spm",
    progress: bool = False,
) -> Fit | FixedEffects:
    """Fit by feasible generalised least squares with AR(p) noise at every voxel.

    Parameters
    ----------
    formula : str or Design
        For instance ``"y ~ face + house + motion"``, or a design made before.
    data : Run or list of Run
        One run, or several: one fit a run, combined by fixed effects.
    order : int
        Order of the AR noise, p >= 1.
    maxiter : int
        Fits at most.
    rtol : float
        A voxel stops when no coefficient moves by this fraction of itself.
    hrf : str or HRF
        The response of event terms that carry no tag of their own.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Fit, or FixedEffects for a list

    Notes
    -----
    Equal to ``statsmodels`` ``GLSAR(y, X, rho=order).iterative_fit(maxiter, rtol)`` at every
    voxel: its first ``order`` scans dropped, its Yule-Walker estimate, its stopping rule. Scans
    removed by ``sample_mask`` cut the series: no lag product crosses a cut.
    """
    order, maxiter = whole(order, "order", "; for 0 use lm"), whole(maxiter, "maxiter")
    if not real(rtol) or not rtol >= 0:
        raise DataError(f"rtol is a number of at least 0, got {rtol!r}")
    return _fit("glsar", formula, data, hrf, progress, order=order, maxiter=maxiter, rtol=rtol)


def _fit(
    model: str,
    formula: str | Columns,
    data: Run | Sequence[Run],
    hrf: Any,
    progress: bool,
    *,
    order: int,
    maxiter: int,
    rtol: float,
) -> Fit | FixedEffects:
    """Compile every run before any image is read, then fit each."""
    runs = list(data) if isinstance(data, Iterable) else [data]
    if not runs or not all(isinstance(run, Run) for run in runs):
        kinds = sorted({type(run).__name__ for run in runs if not isinstance(run, Run)})
        raise DataError(
            f"data is a Run or a list of Runs, got {', '.join(kinds) or 'an empty list'}; "
            f"make one with vx.Run(bold, events=…, confounds=…)"
        )
    plans = plan_runs(formula, runs, hrf, order)
    fits = []
    for planned, run in zip(plans, share_mask(runs), strict=True):
        with Watched(run.scans, run.name, progress) as scans:
            estimate = fit_linear(
                scans,
                planned.design.matrix,
                order=order,
                maxiter=maxiter,
                rtol=rtol,
                kept=planned.kept,
                scaling=run.scaling,
            )
        fits.append(Fit(model, replace(planned, run=run), estimate, maxiter, rtol))
    return fits[0] if isinstance(data, Run) else FixedEffects(tuple(fits))
