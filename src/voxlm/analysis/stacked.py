"""Several runs as one model: task effects in common, nuisance a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from voxlm.analysis.design import Design
from voxlm.analysis.fixed import check_same_space
from voxlm.analysis.plan import Bools, Plan
from voxlm.analysis.varying import in_stack
from voxlm.bids.run import Run
from voxlm.design.check import check
from voxlm.design.clock import Clock
from voxlm.design.stack import stack
from voxlm.errors import DataError
from voxlm.images.space import Space
from voxlm.models.stacked import Stacked, stack_scans


@dataclass(frozen=True, slots=True, eq=False)
class StackedRun:
    """Runs end to end, to be fitted as one.

    Parameters
    ----------
    runs : tuple of Run
        The runs, in order.
    scans : Stacked
        Their retained scans, each run in its own units.
    """

    runs: tuple[Run, ...]
    scans: Stacked

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{len(self.runs)} runs stacked"

    @property
    def space(self) -> Space:
        """Where the voxels lie."""
        return self.runs[0].space

    @property
    def n_scans(self) -> int:
        """Retained scans of all runs."""
        return self.scans.n_scans

    @property
    def clock(self) -> Clock:
        """As many scans as were kept, at the first run's pace."""
        return Clock(self.n_scans, self.runs[0].clock.tr, self.runs[0].slice_time_ref)

    @property
    def tr(self) -> float | None:
        """Repetition time of the first run in seconds."""
        return self.runs[0].tr

    @property
    def slice_time_ref(self) -> float:
        """The moment within a TR that scan times stand for."""
        return self.runs[0].slice_time_ref

    @property
    def scaling(self) -> str | None:
        """The units of the fit."""
        return self.runs[0].scaling

    @property
    def smoothing_fwhm(self) -> Any:
        """Smoothing of the runs in millimetres."""
        return self.runs[0].smoothing_fwhm

    @property
    def sample_mask(self) -> None:
        """None: only retained scans are in."""
        return

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed for any of the runs."""
        return tuple(dict.fromkeys(note for run in self.runs for note in run.notes))

    @property
    def inputs(self) -> tuple[Any, ...]:
        """All files that went in."""
        return tuple(file for run in self.runs for file in run.inputs)


def stack_plans(plans: Sequence[Plan], runs: Sequence[Run]) -> Plan:
    """Make one plan of several runs.

    Raises
    ------
    DataError
        Where the runs lie in different spaces or are to be scaled in different units.
    DesignError
        Where the stacked columns are not independent.
    """
    first = runs[0]
    for number, run in enumerate(runs[1:], start=2):
        check_same_space(first, run, number)
        if (run.scaling, run.smoothing_fwhm) != (first.scaling, first.smoothing_fwhm):
            raise DataError(
                f"run {number} ({run.name}) has scaling {run.scaling} and smoothing "
                f"{run.smoothing_fwhm}, run 1 has {first.scaling} and {first.smoothing_fwhm}; "
                f"one model needs one of each"
            )
    kept = [plan.kept for plan in plans]
    scans = stack_scans([run.scans for run in runs], kept, [run.scaling for run in runs])
    names = [str(number) for number in range(1, len(runs) + 1)]
    design = stack([_at_kept(plan, keep) for plan, keep in zip(plans, kept, strict=True)], names)
    check(design)
    made = Design.of(design)
    stacked = StackedRun(tuple(runs), scans)
    return Plan(stacked, made, None, made.coefficients, in_stack(plans))


def _at_kept(plan: Plan, kept: Bools | None) -> Any:
    design = plan.design
    return design if kept is None else replace(design, matrix=design.matrix[kept])
