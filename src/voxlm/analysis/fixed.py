"""Several runs of one subject: one fit a run, combined by fixed effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import lazy_loader
import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fit import Fit
from voxlm.analysis.reporting import Reported
from voxlm.analysis.resampling import ResidualImages, RunParts
from voxlm.analysis.residuals import run_residuals
from voxlm.analysis.spec import ContrastSpec
from voxlm.bids.run import Run
from voxlm.contrasts.combine import combine
from voxlm.contrasts.estimable import check_estimable
from voxlm.contrasts.hypothesis import Hypothesis, hypothesis
from voxlm.contrasts.statmap import StatMap, wald
from voxlm.errors import ContrastError, DataError
from voxlm.images.space import Space

saving = lazy_loader.load("voxlm.analysis.save", suppress_warning=True)

Floats = NDArray[np.float64]
Weighting = Literal["unweighted", "precision"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FixedEffects(Reported):
    """Fits of several runs, asked as one.

    A contrast is read in every run's own columns and combined over runs: ``unweighted`` is their
    mean; ``precision`` weights each run by the inverse of its covariance.

    Parameters
    ----------
    fits : tuple of Fit
        One a run; ``fixed[0]`` is the first.
    weighting : {"unweighted", "precision"}
        How contrasts combine runs unless they say.

    Examples
    --------
    >>> import pandas as pd
    >>> import voxlm as vx
    >>> events = pd.DataFrame({"onset": [4.0, 40, 80], "duration": 9.0, "trial_type": "face"})
    >>> rng = np.random.default_rng(0)
    >>> runs = [vx.Run(rng.normal(100, 1, (60, 3)), events, tr=2.0) for _ in range(2)]
    >>> fixed = vx.lm("y ~ face", runs)
    >>> len(fixed), fixed.contrast("face").df == fixed.df_resid
    (2, True)
    """

    fits: tuple[Fit, ...]
    weighting: Weighting = "unweighted"

    def __post_init__(self) -> None:
        for number, fit in enumerate(self.fits[1:], start=2):
            check_same_space(self.fits[0].run, fit.run, number)

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    def __getitem__(self, run: int) -> Fit:
        return self.fits[run]

    @property
    def space(self) -> Space:
        """Where the voxels lie."""
        return self.fits[0].run.space

    @property
    def df_resid(self) -> float:
        """Residual degrees of freedom, summed over runs."""
        return sum(fit.df_resid for fit in self.fits)

    def contrast(self, spec: ContrastSpec, weighting: Weighting | None = None) -> Contrast:
        """Ask a question of every run and combine the answers.

        Parameters
        ----------
        spec : str, array, dict or list of str
            As for :meth:`Fit.contrast`; read over each run's own columns.
        weighting : {"unweighted", "precision"}, optional
            How runs are combined; by default as the object says.

        Returns
        -------
        Contrast
            Its degrees of freedom are the sum of the runs'.

        Raises
        ------
        ContrastError
            The text cannot be read, or a run's design cannot estimate it.
        """
        return self._ask(spec, None, weighting)

    def t_test(self, spec: ContrastSpec, weighting: Weighting | None = None) -> Contrast:
        """Test one row by t; parameters as for :meth:`contrast`."""
        return self._ask(spec, "t", weighting)

    def f_test(self, spec: ContrastSpec, weighting: Weighting | None = None) -> Contrast:
        """Test rows jointly by F, the Wald test of the combined effect; as :meth:`contrast`."""
        return self._ask(spec, "F", weighting)

    def _ask(
        self, spec: ContrastSpec, kind: Literal["t", "F"] | None, weighting: Weighting | None
    ) -> Contrast:
        questions = [_read(spec, fit, kind) for fit in self.fits]
        parts, asked, without = [], [], []
        for question, fit in zip(questions, self.fits, strict=True):
            C = _answerable(question, fit)
            if C is None:
                without.append(fit.run.name)
            else:
                parts.append((fit.estimate.effect(C), fit.estimate.vcov(C), fit.df_resid))
                asked.append(fit)
        first = questions[0]
        if without and parts:
            note = f"not in {', '.join(without)}, where a condition it asks for has no events"
            first = replace(first, notes=(*first.notes, note))
        how = self.weighting if weighting is None else weighting
        pooled = combine(parts, how)
        result = wald(pooled.effect, pooled.cov, pooled.df, first.kind, first.null)
        behind = _run_parts(parts, result, how) if first.kind == "t" else None
        residuals = ResidualImages(partial(run_residuals, asked))
        return Contrast(first, result, self.space, behind, residuals)

    def save(self, out: str | PathLike[str], contrasts: Any = ()) -> Path:
        """Write each run's folder and the combined contrasts, whole or not at all.

        Parameters
        ----------
        out, contrasts
            As for :meth:`Fit.save`; contrasts are those of all runs.

        Returns
        -------
        Path
            The folder.
        """
        return saving.save_fixed(self.fits, self.contrast, Path(out), contrasts)

    def _by_run(self) -> tuple[Fit, ...]:
        return self.fits

    def summary(self) -> str:
        """Describe every run's fit."""
        return repr(self)

    def __repr__(self) -> str:
        head = f"{len(self)} runs, one fit a run, combined by fixed effects; df {self.df_resid:g}"
        return "\n\n".join([head, *[f"{fit.run.name}\n{fit!r}" for fit in self.fits]])


def _run_parts(
    parts: Sequence[tuple[Floats, Floats, float]], result: StatMap, weighting: Weighting
) -> RunParts | None:
    """Share the statistic out among runs; None for one run, whose sign alone says nothing."""
    if len(parts) < 2:
        return None
    away = np.array([effect[0] - result.null[0] for effect, _, _ in parts])
    with np.errstate(invalid="ignore", divide="ignore"):
        if weighting == "precision":
            weight = 1.0 / np.array([cov[0, 0] for _, cov, _ in parts])
        else:
            weight = np.ones((len(parts), 1))
        shared = away * weight / weight.sum(axis=0) / result.se
    # A voxel without a statistic has no parts either.
    shared[:, ~np.isfinite(result.stat)] = np.nan
    return RunParts(shared, float(np.max(result.df)))


def _read(spec: ContrastSpec, fit: Fit, kind: Literal["t", "F"] | None) -> Hypothesis:
    """Read a contrast over the columns of the formula, those a run lacks included."""
    try:
        return hypothesis(spec, fit.plan.asked, kind, fit.design.meaning)
    except ContrastError as error:
        raise ContrastError(
            f"{fit.run.name}: {error.message}", error.text, error.span, error.hint
        ) from error


def _answerable(question: Hypothesis, fit: Fit) -> Floats | None:
    """Return the rows over the run's own columns; None where it lacks one that they weigh."""
    present = [column in fit.design.coefficients for column in fit.plan.asked]
    if np.any(question.C[:, np.logical_not(present)]):
        return None
    C = question.C[:, present]
    check_estimable(C, fit.estimate.X, fit.design.names)
    return C


def check_same_space(first: Run, other: Run, number: int) -> None:
    """Require that two runs have the same voxels."""
    why = first.space.differs(other.space)
    if why:
        where = f"run {number} ({other.name}) and run 1 ({first.name})"
        raise DataError(
            f"{where} cannot be combined: {why}; pass the same mask=… to every Run, or give the "
            "same voxels in the same order"
        )
