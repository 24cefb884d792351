"""A model checked against every table of a data set, before an image is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from voxlm.analysis.applying import response
from voxlm.analysis.grouplevel import contrasts_of, mask_of, participants, rehearse, table_of
from voxlm.analysis.plan import Plan, plan_each
from voxlm.analysis.units import ERROR, WARNING, Fault, Unit, find_units, sentence
from voxlm.analysis.varying import with_files
from voxlm.contrasts.estimable import check_estimable
from voxlm.contrasts.hypothesis import Hypothesis, hypothesis
from voxlm.design.stack import stack as stack_designs
from voxlm.errors import VoxlmError, nearest

if TYPE_CHECKING:
    from voxlm.analysis.model import Model

COLUMNS = ("subject", "run", "problem", "place", "level")
#: A trial type is taken for a slip of the pen only where so many subjects have another opinion.
FEWEST = 3


def check(
    model: Model, dataset: str | PathLike[str], subjects: Sequence[str] | None = None
) -> tuple[pd.DataFrame, int]:
    """Check a model against a data set: problems, and how many units there are."""
    units = find_units(model, dataset, subjects)
    faults = survey(model, units)
    if subjects is None:
        faults += [*survey_groups(model, units, dataset), *_without_images(model, units, dataset)]
    return pd.DataFrame([asdict(fault) for fault in faults], columns=list(COLUMNS)), len(units)


def survey(model: Model, units: Sequence[Unit]) -> list[Fault]:
    """Add to each unit what is wrong with its tables, and return all faults."""
    for unit in units:
        if not unit.faults:
            unit.faults += _of_unit(model, unit)
    found = []
    for unit in units:
        odd = _trial_types(model, unit, units)
        unit.faults += [fault for fault in odd if fault.level == ERROR]
        found += [*(f for f in unit.faults if f not in odd), *odd]
    return found


def _without_images(
    model: Model, units: Sequence[Unit], dataset: str | PathLike[str]
) -> list[Fault]:
    """Return people of the participants' table who have no image that the model is fitted to."""
    if model.data.subjects:
        return []
    here = {unit.entities["sub"] for unit in units} | set(model.data.exclude)
    said = "is among the participants and has no image that the model is fitted to"
    path = Path(dataset) / "participants.tsv"
    lacking = [label for label in participants(path) if label not in here]
    return [Fault(f"sub-{s}", "", f"sub-{s} {said}", str(path), WARNING) for s in lacking]


def survey_groups(model: Model, units: Sequence[Unit], dataset: str | PathLike[str]) -> list[Fault]:
    """Return what is wrong with the group level, were every unit fitted."""
    kinds = kinds_of(model, units)
    faults = []
    for group in model.group:
        place = "group" if len(model.group) == 1 else f"group {group.name}"
        try:
            mask_of(group, dataset)
            names = contrasts_of(group, kinds)
            rehearse(group, table_of(group, units, names, dataset))
        except VoxlmError as error:
            faults.append(Fault("group", "", sentence(error), place))
    return faults


def kinds_of(model: Model, units: Sequence[Unit]) -> dict[str, str]:
    """Return the statistic of each contrast, t or F, by the first unit that can be planned."""
    for unit in units:
        plans = plan_each(model.whole_formula, unit.runs, response(model), model.order)
        good = [plan for plan in plans if isinstance(plan, Plan)]
        if good:
            found: dict[str, str] = {}
            for name, text in model.contrasts.items():
                try:
                    found[name] = hypothesis(text, good[0].asked, None, good[0].design.meaning).kind
                except VoxlmError:
                    continue
            return found
    return dict.fromkeys(model.contrasts, "t")


def _of_unit(model: Model, unit: Unit) -> list[Fault]:
    """Return what is wrong with the designs and contrasts of one unit."""
    plans = plan_each(model.whole_formula, unit.runs, response(model), model.order)
    faults = [
        Fault(unit.key, run.name, sentence(plan), "formula")
        for run, plan in zip(unit.runs, plans, strict=True)
        if isinstance(plan, VoxlmError)
    ]
    good = [plan for plan in plans if isinstance(plan, Plan)]
    if faults or not good:
        return faults
    try:
        with_files(good)
    except VoxlmError as error:
        return [Fault(unit.key, "", sentence(error), "formula")]
    if model.stack and len(good) > 1:
        return faults + _of_stack(model, unit, good)
    for name, text in model.contrasts.items():
        faults += _of_contrast(text, f"contrasts.{name}", unit, good)
    return faults


def _of_contrast(text: str, place: str, unit: Unit, plans: Sequence[Plan]) -> list[Fault]:
    """Return what is wrong with one contrast: unreadable, not estimable, or in no run."""
    faults, answered = [], 0
    for plan in plans:
        try:
            question = hypothesis(text, plan.asked, None, plan.design.meaning)
            answered += _estimable(question, plan)
        except VoxlmError as error:
            faults.append(Fault(unit.key, plan.run.name, sentence(error), place))
    if not faults and not answered:
        said = "no run has events of every condition that it asks for"
        faults.append(Fault(unit.key, "", said, place))
    return faults


def _estimable(question: Hypothesis, plan: Plan) -> bool:
    """Tell whether a run has the columns a contrast weighs; raise where they are not told apart."""
    present = np.array([column in plan.design.coefficients for column in plan.asked])
    if np.any(question.C[:, ~present]):
        return False
    X = plan.design.matrix if plan.kept is None else plan.design.matrix[plan.kept]
    check_estimable(question.C[:, present], X, plan.design.names)
    return True


def _of_stack(model: Model, unit: Unit, plans: Sequence[Plan]) -> list[Fault]:
    """Return what is wrong with the contrasts of runs that are one model."""
    stacked = stack_designs([p.design for p in plans], [str(n + 1) for n in range(len(plans))])
    faults = []
    for name, text in model.contrasts.items():
        try:
            hypothesis(text, stacked.columns, meaning=stacked.meaning)
        except VoxlmError as error:
            faults.append(Fault(unit.key, "", sentence(error), f"contrasts.{name}"))
    return faults


def _trial_types(model: Model, unit: Unit, units: Sequence[Unit]) -> list[Fault]:
    """Return trial types that the model does not allow, or that no other subject has."""
    allowed = set(model.data.trial_types)
    spread = Counter(level for other in units for level in set(_levels(other)))
    faults = []
    for run in unit.runs:
        for level in _levels(Unit(unit.key, {}, [run])):
            said = ""
            if allowed:
                if level not in allowed:
                    said = f"trial type {level!r} is not among data.trial_types"
            elif spread[level] == 1 and len(units) >= FEWEST:
                common = [name for name, count in spread.items() if count > len(units) / 2]
                if near := nearest(level, common, n=1):
                    said = (
                        f"trial type {level!r} is in no other subject; did you mean {near[0]!r}? "
                        "If it is meant, name all in data.trial_types"
                    )
            if said:
                sure = ERROR if allowed else WARNING
                faults.append(Fault(unit.key, run.name, said, _path(run, "events"), sure))
    return faults


def _levels(unit: Unit) -> list[str]:
    """Return the trial types of a unit."""
    tables = [run.events for run in unit.runs if run.events is not None]
    found: dict[str, None] = {}
    for table in tables:
        found |= dict.fromkeys(str(level) for level in table["trial_type"].dropna().unique())
    return list(found)


def _path(run: Any, role: str) -> str:
    return next((str(file.path) for file in run.inputs if file.role == role), role)


def collapsed(table: pd.DataFrame) -> pd.DataFrame:
    """Join rows of one problem in several subjects, for reading.

    Examples
    --------
    >>> rows = [(sub, "a", "no", "formula", "error") for sub in ("sub-01", "sub-02")]
    >>> collapsed(pd.DataFrame(rows, columns=COLUMNS)).subject.tolist()
    ['sub-01 and 1 more']
    """
    rows: list[Mapping[str, Any]] = []
    for (problem, place), some in table.groupby(["problem", "place"], sort=False):
        subjects = list(dict.fromkeys(some.subject))
        runs = [run for run in dict.fromkeys(some.run) if run]
        rows.append(
            {
                "subject": _and_more(subjects),
                "run": _and_more(runs),
                "problem": problem,
                "place": place,
                "level": some.level.iloc[0],
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _and_more(names: Sequence[str]) -> str:
    if not names:
        return ""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
