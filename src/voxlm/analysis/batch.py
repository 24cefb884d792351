"""A model run over a data set: subjects one by one, then groups; what is finished is kept."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from tqdm import tqdm

from voxlm.analysis.executors import over
from voxlm.analysis.ledger import sweep
from voxlm.analysis.options import whole
from voxlm.analysis.results import do_group, do_unit
from voxlm.analysis.sidecars import dataset_description
from voxlm.analysis.survey import kinds_of, survey
from voxlm.analysis.units import WARNING, Unit, find_units
from voxlm.errors import DataError, VoxlmError, VoxlmWarning, did_you_mean

if TYPE_CHECKING:
    from voxlm.analysis.model import Model

LEVELS = ("all", "subject", "group")


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one subject or group.

    Parameters
    ----------
    name : str
        The unit, such as ``sub-01``, or the group.
    state : {"done", "kept", "failed"}
        Fitted now; finished before with the same inputs and model; or not fitted.
    problem : str
        Why it failed.
    seconds : float
        What it took.
    notes : tuple of str
        Warnings.
    trace : str
        Where it failed in the program, for those who mend it.
    """

    name: str
    state: str
    problem: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    trace: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """What came of a run over a data set.

    Parameters
    ----------
    out : Path
        Where the results are.
    subjects, groups : tuple of Done
    skipped : str
        Why the group level was left out, if it was.
    """

    out: Path
    subjects: tuple[Done, ...]
    groups: tuple[Done, ...] = ()
    skipped: str = ""

    @property
    def failed(self) -> dict[str, str]:
        """The reasons, by name."""
        return {o.name: o.problem for o in (*self.subjects, *self.groups) if o.state == "failed"}

    def table(self) -> pd.DataFrame:
        """Return a row a subject and group: name, state, seconds, problem."""
        rows = [(o.name, o.state, o.seconds, o.problem) for o in (*self.subjects, *self.groups)]
        return pd.DataFrame(rows, columns=["name", "state", "seconds", "problem"])

    def __repr__(self) -> str:
        lines = []
        for what, some in (("subjects", self.subjects), ("groups", self.groups)):
            counts = {s: sum(o.state == s for o in some) for s in ("done", "kept", "failed")}
            said = ", ".join(f"{n} {state}" for state, n in counts.items() if n)
            lines += [f"{what}: {said}"] if some else []
        lines += [f"group level left out: {self.skipped}"] if self.skipped else []
        for name, problem in self.failed.items():
            told = problem.replace("\n", "\n    ")
            lines.append(f"  {name} failed: {told}")
        return "\n".join([*lines, f"results in {self.out}"])


def run(
    model: Model,
    dataset: str | PathLike[str],
    out: str | PathLike[str],
    *,
    subjects: Sequence[str] | None = None,
    level: str = "all",
    workers: int = 1,
    report: bool = False,
    progress: bool = False,
) -> Outcome:
    """Run a model over a data set; see :meth:`voxlm.Model.run`."""
    if level not in LEVELS:
        raise DataError(f"level is one of {', '.join(LEVELS)}; {did_you_mean(level, LEVELS)}")
    folder, n_workers = Path(out), whole(workers, "workers")
    units = find_units(model, dataset, subjects)
    doubts = [fault for fault in survey(model, units) if fault.level == WARNING]
    _prepare_folder(model, folder)
    found: dict[str, Done] = {}
    jobs = []
    for unit in units:
        if unit.faults:
            found[unit.key] = Done(unit.key, "failed", unit.problem)
        else:
            jobs.append((model, unit, folder, level == "group", report and level != "group"))
    bar = tqdm(total=len(units), initial=len(found), desc=model.name or "subjects",
               unit="subject", disable=not progress)  # fmt: skip
    with bar:
        try:
            for one in over(jobs, _unit, n_workers):
                found[one.name] = one
                bar.set_postfix_str(f"{one.name} {one.state}")
                bar.update()
        except KeyboardInterrupt:
            finished = sum(one.state != "failed" for one in found.values())
            raise KeyboardInterrupt(
                f"interrupted: {finished} of {len(units)} subjects are finished and kept; the same "
                "command goes on from there"
            ) from None
    for doubt in doubts:
        one = found[doubt.subject]
        found[one.name] = replace(one, notes=(*one.notes, f"{doubt.run}: {doubt.problem}"))
    done = tuple(found[unit.key] for unit in units)
    here = [unit for unit in units if found[unit.key].state != "failed"]
    skipped = _skip(model, subjects, level, done)
    if skipped or not model.group or level == "subject":
        return Outcome(folder, done, (), skipped)
    kinds = kinds_of(model, here)
    groups = tuple(
        guarded(group.name, partial(do_group, group, here, kinds, dataset, folder, report))
        for group in model.group
    )
    return Outcome(folder, done, groups)


def _skip(model: Model, subjects: Any, level: str, done: Sequence[Done]) -> str:
    """Return why the group level has to be left out, if it has."""
    failed = [one.name for one in done if one.state == "failed"]
    if not model.group or level != "all":
        return ""
    if subjects is not None:
        return "only some subjects were asked for; run again without naming them"
    if failed:
        names = ", ".join(failed)
        return (
            f"{names} failed; mend them, or leave them out by data.exclude in the model, or take "
            "those that are there by --level group"
        )
    return ""


def _prepare_folder(model: Model, folder: Path) -> None:
    """Write beside the results what they are results of."""
    dataset_description(folder, ())  # refuses the data set of another program
    sweep(folder)
    model.to_toml(folder / "model.toml")


def _unit(job: tuple[Model, Unit, Path, bool, bool]) -> Done:
    model, unit, folder, only_kept, page = job
    return guarded(unit.key, partial(do_unit, model, unit, folder, only_kept, page))


def guarded(name: str, work: Callable[[], str]) -> Done:
    """Do some work; an error becomes what is told of it, and does not stop the others."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", VoxlmWarning)
        try:
            state, problem, trace = work(), "", ""
        except VoxlmError as error:
            state, problem, trace = "failed", str(error), traceback.format_exc()
        except Exception as error:  # another subject may still go well
            state, trace = "failed", traceback.format_exc()
            problem = f"unexpected {type(error).__name__}: {error}"
    notes = tuple(str(w.message) for w in heard if issubclass(w.category, VoxlmWarning))
    return Done(name, state, problem, time.perf_counter() - start, notes, trace)
