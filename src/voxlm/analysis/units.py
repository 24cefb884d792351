"""What a model is fitted to in a data set: each subject's runs, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxlm.analysis.applying import prepare
from voxlm.bids.dataset import find_runs, run_of
from voxlm.bids.run import Run
from voxlm.errors import DataError, TextError, VoxlmError

if TYPE_CHECKING:
    from voxlm.analysis.model import Model

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where.

    Parameters
    ----------
    subject : str
        The unit, such as ``sub-01``; ``group`` for the group level.
    run : str
        The image's name; empty where it is no single run's.
    problem : str
        A sentence or two.
    place : str
        The file, or the key of the model.
    level : {"error", "warning"}
        Whether it keeps a subject or group from being fitted, or only looks wrong.
    """

    subject: str
    run: str
    problem: str
    place: str
    level: str = ERROR


@dataclass(slots=True)
class Unit:
    """The runs that one fit is made of.

    Parameters
    ----------
    key : str
        ``sub-01``, or ``sub-01_ses-a``.
    entities : dict of str to str
        ``sub`` and, where there is one, ``ses``.
    runs : list of Run
        In order.
    faults : list of Fault
        What keeps it from being fitted.
    """

    key: str
    entities: dict[str, str]
    runs: list[Run] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Its folder under the results'."""
        return Path(*(f"{key}-{value}" for key, value in self.entities.items()))

    @property
    def problem(self) -> str:
        """Its faults as a text."""
        return "\n".join(
            f"{fault.run}: {fault.problem}" if fault.run and fault.run not in fault.problem
            else fault.problem
            for fault in self.faults
        )  # fmt: skip


def find_units(
    model: Model, dataset: str | PathLike[str], subjects: Sequence[str] | None = None
) -> list[Unit]:
    """Find what a model is fitted to; no image is opened further than its header.

    Parameters
    ----------
    model : Model
    dataset : path
    subjects : list of str, optional
        Labels; those of the model by default.

    Raises
    ------
    DataError
        If there is no such data set, subject, task or space.
    """
    data = model.data
    wanted = [label.removeprefix("sub-") for label in subjects or data.subjects] or None
    found = find_runs(
        dataset,
        task=data.task,
        space=data.space,
        derivatives=data.derivatives,
        subjects=wanted,
        sessions=list(data.sessions) or None,
        filters=dict(data.filters) or None,
    )
    units: dict[str, Unit] = {}
    for one in found:
        if one.entities.get("sub") in data.exclude:
            continue
        levels = ("sub", "ses") if model.unit == "session" else ("sub",)
        entities = {key: one.entities[key] for key in levels if key in one.entities}
        key = "_".join(f"{name}-{value}" for name, value in entities.items())
        _add(units.setdefault(key, Unit(key, entities)), one, model, Path(dataset))
    if not units:
        raise DataError(f"{dataset}: every subject is left out by data.exclude")
    return list(units.values())


def _add(unit: Unit, found: Any, model: Model, folder: Path) -> None:
    """Add a run to its unit, or what is wrong with it."""
    name = found.first.name
    if found.problems:
        for problem in found.problems:
            said = problem.removeprefix(f"{name}: ")
            unit.faults.append(Fault(unit.key, name, said, str(found.first.parent)))
        return
    try:
        run = run_of(found, slice_time_ref=model.slice_time_ref)
        unit.runs.append(prepare(model, run, folder))
    except VoxlmError as error:
        unit.faults.append(Fault(unit.key, name, sentence(error), str(found.first.parent)))


def sentence(error: VoxlmError) -> str:
    """Return an error in one line: a table has no room for carets."""
    if isinstance(error, TextError):
        return "; ".join(part for part in (error.message, error.hint) if part)
    return " ".join(str(error).split())
