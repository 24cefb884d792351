"""The group level of a model: its table of maps, its fit, its contrasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.group import lmer
from voxlm.analysis.lm import lm
from voxlm.analysis.meta import meta
from voxlm.bids.maps import Maps
from voxlm.bids.tables import read_table
from voxlm.bids.transform import transform
from voxlm.errors import DataError, did_you_mean
from voxlm.images.opening import check_file

if TYPE_CHECKING:
    from voxlm.analysis.groupfit import GroupFit
    from voxlm.analysis.modelparts import Group
    from voxlm.analysis.units import Unit

VERBS: dict[str, Any] = {"lm": lm, "lmer": lmer, "meta": meta}


def contrasts_of(group: Group, kinds: Mapping[str, str]) -> list[str]:
    """Return the first-level contrasts that a group is fitted to.

    Raises
    ------
    DataError
        For a joint test, which has no one effect, and where there is none at all.
    """
    joint = [name for name in group.of if kinds.get(name) == "F"]
    if joint:
        raise DataError(f"{joint[0]!r} is a joint test, which has no one map of effects")
    names = list(group.of) or [name for name, kind in kinds.items() if kind == "t"]
    if not names:
        raise DataError("the group level needs a contrast of the first level; name one")
    return names


def table_of(
    group: Group, units: Sequence[Unit], names: Sequence[str], dataset: str | PathLike[str]
) -> pd.DataFrame:
    """Return the table of a group: a row for each unit and contrast, covariates beside it.

    Raises
    ------
    DataError
        If the participants' table has no row for a subject, or several.
    """
    rows = [
        {"subject": unit.entities["sub"], "session": unit.entities.get("ses"), "contrast": name}
        for name in names
        for unit in units
    ]
    frame = pd.DataFrame(rows)
    if frame["session"].isna().all():
        frame = frame.drop(columns="session")
    known = _participants(group, Path(dataset))
    if known is None:
        return _transformed(group, frame)
    lacking = [s for s in frame["subject"].unique() if s not in known.index]
    if lacking:
        raise DataError(f"the table of participants has no row for sub-{lacking[0]}")
    clash = [name for name in known.columns if name in frame]
    beside = known.drop(columns=clash).loc[frame["subject"]].reset_index(drop=True)
    return _transformed(group, pd.concat([frame, beside], axis=1))


def _transformed(group: Group, frame: pd.DataFrame) -> pd.DataFrame:
    _, _, found = transform(group.transformations, table=frame)
    assert found is not None
    return found


def _participants(group: Group, dataset: Path) -> pd.DataFrame | None:
    """Read the table of participants, by label."""
    path = dataset / (group.participants or "participants.tsv")
    if group.participants is None and not path.is_file():
        return None
    frame, _ = read_table(path, "participants")
    if "participant_id" not in frame:
        known = did_you_mean("participant_id", [str(name) for name in frame.columns])
        raise DataError(f"{path} has no column participant_id; {known}")
    labels = frame["participant_id"].astype(str).str.removeprefix("sub-")
    if labels.duplicated().any():
        twice = labels[labels.duplicated()].iloc[0]
        raise DataError(f"{path} has several rows for sub-{twice}")
    return frame.drop(columns="participant_id").set_index(labels)


def participants(path: Path) -> list[str]:
    """Return the labels of a table of participants; none where there is no such table."""
    if not path.is_file():
        return []
    frame, _ = read_table(path, "participants")
    labels = frame.get("participant_id", pd.Series(dtype=str))
    return [str(label).removeprefix("sub-") for label in labels]


def mask_of(group: Group, dataset: str | PathLike[str]) -> Path | None:
    """Return the mask of a group's maps; a relative one lies in the data set's folder.

    Raises
    ------
    DataError
        If it is not there.
    """
    if group.mask is None:
        return None
    path = Path(dataset) / group.mask
    check_file(path, "mask", "*mask*")
    return path


def parts_of(group: Group, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each fit: by contrast, or all together."""
    if group.together:
        return {"": frame}
    return {
        str(name): rows.drop(columns="contrast").reset_index(drop=True)
        for name, rows in frame.groupby("contrast", sort=False)
    }


def fit_group(group: Group, maps: Maps) -> GroupFit:
    """Fit a group's formula by its verb."""
    fitted: GroupFit = VERBS[group.verb](group.formula, maps, **group.options)
    return fitted


def ask_group(group: Group, fitted: GroupFit) -> dict[str, Contrast]:
    """Ask a group's contrasts, by name; the whole design's columns where none is named."""
    asked = group.contrasts or {name: f"`{name}`" for name in fitted.design.names}
    return {name: fitted.contrast(text) for name, text in asked.items()}


def rehearse(group: Group, frame: pd.DataFrame) -> None:
    """Fit one voxel of noise, which raises what the maps would raise: no image is opened."""
    for rows in parts_of(group, frame).values():
        values = np.random.default_rng(0).normal(size=(len(rows), 1))
        ask_group(group, fit_group(group, Maps(rows, data=values, variance=np.ones(values.shape))))
