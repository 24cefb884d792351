"""The regressors of each voxel's own, where a design has some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.plan import Plan
from voxlm.bids.regressor import Own, Still, filled, read_regressor, read_slices
from voxlm.bids.run import Run
from voxlm.errors import DataError, DesignError
from voxlm.images.inputs import input_file
from voxlm.images.opening import beside
from voxlm.models.reduce import retained
from voxlm.models.source import Scans
from voxlm.models.stacked import Stacked

Floats = NDArray[np.float64]


def with_files(plans: Sequence[Plan]) -> list[Plan]:
    """Find the files of ``voxel("…")`` for every run.

    Raises
    ------
    DataError
        Naming the run where there are several, for a file that is not there.
    """
    found = []
    for number, planned in enumerate(plans, start=1):
        try:
            own = _files(planned, number)
        except DataError as error:
            where = f"run {number} ({planned.run.name}): " if len(plans) > 1 else ""
            raise DataError(f"{where}{error}") from error
        found.append(replace(planned, own=own))
    return _tell_shared(found)


def _files(planned: Plan, number: int) -> tuple[Own, ...]:
    if not planned.design.varying:
        return ()
    own = []
    for regressor in planned.design.meaning.regressors:
        path = Path(filled(regressor.path, planned.run, number))
        if not path.is_file():
            pattern = f"*{''.join(path.suffixes) or '*'}"
            raise DataError(f"voxel({str(path)!r}): no such file; {beside(path, pattern)}")
        own.append(Own(input_file("voxel", path), regressor.slicewise))
    return tuple(own)


def _tell_shared(plans: list[Plan]) -> list[Plan]:
    """Note a file that several runs share: each is fitted with the same values."""
    if len(plans) < 2 or not plans[0].own:
        return plans
    told = []
    for k, column in enumerate(plans[0].design.varying):
        if len({planned.own[k].file.path for planned in plans}) == 1:
            told.append(
                f"{column.name} is one file for all {len(plans)} runs; write {{run}} in its name "
                "for one a run"
            )
    first = plans[0]
    design = replace(first.design, notes=(*first.design.notes, *told))
    return [replace(first, design=design), *plans[1:]]


def own_columns(planned: Plan) -> tuple[Scans, ...]:
    """Open the regressors of a plan, in the order of its columns.

    Raises
    ------
    DataError
        For a file that does not fit the run.
    DesignError
        For one value a voxel beside a constant.
    """
    return tuple(
        _opened(own, planned, column.name)
        for own, column in zip(planned.own, planned.design.varying, strict=True)
    )


def _opened(own: Own, planned: Plan, name: str) -> Scans:
    run: Run = planned.run if own.part is None else planned.run.runs[own.part]
    read = read_slices if own.slicewise else read_regressor
    found = read(str(own.file.path), run)
    if isinstance(found, Still) and any(c.role == "constant" for c in planned.design.columns):
        raise DesignError(
            f"{name} has one value a voxel, the same at every scan, which is what the constant is: "
            "take it away (y ~ 0 + …), or give a value for each scan"
        )
    return found if own.part is None else InOne(planned.run.scans, own.part, found)


def own_series(planned: Plan, voxels: NDArray[np.intp]) -> Floats:
    """Return the K regressors at some voxels and the retained scans, shape ``(K, n, k)``."""
    found = [column.read(voxels) for column in own_columns(planned)]
    if planned.kept is not None:
        found = [values[planned.kept] for values in found]
    return np.stack(found) if found else np.empty((0, 0, voxels.size))


@dataclass(frozen=True, slots=True, eq=False)
class InOne:
    """A regressor of one run of a stack: zero in the others.

    Parameters
    ----------
    stack : Stacked
        The runs.
    part : int
        Which of them.
    column : Scans
        The regressor over all scans of that run.
    """

    stack: Stacked
    part: int
    column: Any

    @property
    def n_scans(self) -> int:
        """Retained scans of all runs."""
        return self.stack.n_scans

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return self.stack.n_voxels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        kind: np.dtype[Any] = self.column.dtype
        return kind

    @property
    def array(self) -> None:
        """None: the values of all runs are never laid out at once."""
        return

    def blocks(self, size: int = 16) -> Iterator[tuple[int, Floats]]:
        """Yield ``(start, scans)`` of one run after the other, as the stack does."""
        at = 0
        for number, part in enumerate(self.stack.parts):
            for rows in self._rows(part.kept, number == self.part, size):
                yield at, rows
                at += len(rows)

    def _rows(self, kept: NDArray[np.bool_], its_own: bool, size: int) -> Iterator[Floats]:
        if its_own:
            yield from retained(self.column, kept, size)
            return
        for start in range(0, kept.size, size):
            yield np.zeros((int(kept[start : start + size].sum()), self.n_voxels))

    def read(self, voxels: NDArray[np.intp]) -> Floats:
        """Return the series of some voxels, shape ``(n_scans, len(voxels))``."""
        return np.vstack(
            [
                self.column.read(voxels)[part.kept]
                if number == self.part
                else np.zeros((int(part.kept.sum()), voxels.size))
                for number, part in enumerate(self.stack.parts)
            ]
        )


def in_stack(plans: Sequence[Plan]) -> tuple[Own, ...]:
    """Return the regressors of all runs, each of its own run."""
    return tuple(replace(own, part=k) for k, planned in enumerate(plans) for own in planned.own)
