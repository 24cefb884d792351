"""Events with nilearn's rules: one amplitude an event, duplicates added up."""

from __future__ import annotations

from typing import Any
from warnings import warn

import numpy as np
import pandas as pd

from voxlm.design.events import rows_text
from voxlm.errors import DataError
from voxlm.glm.faults import InputTypeError
from voxlm.glm.paths import open_path

FIELDS = ("onset", "duration", "trial_type", "modulation")
SAME = ["trial_type", "onset", "duration"]


def check_events(events: Any) -> pd.DataFrame:
    """Validate events and return a copy with ``trial_type`` and ``modulation`` filled in.

    Parameters
    ----------
    events : DataFrame
        ``onset`` and ``duration`` in seconds; ``trial_type`` (one condition, ``dummy``, where left
        out) and ``modulation`` (1 where left out).

    Returns
    -------
    DataFrame

    Raises
    ------
    InputTypeError
        If it is no table.
    DataError
        If a needed column is missing, holds something else than numbers, or a value is missing
        where it counts.

    Warns
    -----
    UserWarning
        Without ``trial_type``; for events of no length, rows without a condition (they are left
        out), and columns that are not used.
    """
    if not isinstance(events, pd.DataFrame):
        raise InputTypeError(
            f"'events' must be of type(s): 'pandas.DataFrame'. Got: '{type(events).__name__}'"
        )
    clean = events.copy()
    for name in ("onset", "duration"):
        clean[name] = _numbers(clean, name)
    if "trial_type" not in clean.columns:
        warn("'trial_type' column not found in the given events data.", UserWarning, stacklevel=3)
        clean["trial_type"] = "dummy"
    clean = _without_condition_left_out(clean)
    brief = sorted({str(name) for name in clean["trial_type"][clean["duration"] == 0]})
    if brief:
        listed = "".join(f"- '{name}'\n" for name in brief)
        warn(
            f"The following conditions contain events with null duration:\n{listed}",
            UserWarning,
            stacklevel=3,
        )
    unused = [str(name) for name in clean.columns if name not in FIELDS]
    if unused:
        warn(
            f"The following unexpected columns in events data will be ignored: {', '.join(unused)}",
            UserWarning,
            stacklevel=3,
        )
    if "modulation" not in clean.columns:
        clean["modulation"] = 1
    elif clean["modulation"].isna().any():
        rows = rows_text(np.flatnonzero(clean["modulation"].isna()))
        raise DataError(
            f"modulation is missing in {rows} of the events; give each event an amplitude, or "
            "leave the row out"
        )
    return clean


def _numbers(events: pd.DataFrame, name: str) -> pd.Series:
    if name not in events.columns:
        raise DataError(f"The provided events data has no {name} column.")
    column = events[name]
    if column.isna().any():
        rows = rows_text(np.flatnonzero(column.isna()))
        raise DataError(
            f"The following column must not contain nan values: {name} (missing in {rows})"
        )
    if pd.api.types.is_numeric_dtype(column):
        return column
    try:
        return column.astype(float)
    except (ValueError, TypeError) as error:
        raise DataError(f"Could not cast {name} to float in events data.") from error


def _without_condition_left_out(events: pd.DataFrame) -> pd.DataFrame:
    missing = events["trial_type"].isna()
    if not missing.any():
        return events
    rows = rows_text(np.flatnonzero(missing))
    if missing.all():
        raise DataError("trial_type is missing in every event")
    warn(
        f"trial_type is missing in {rows} of the events ({int(missing.sum())} of {len(events)}); "
        "these events are left out of the design and stay in the baseline",
        UserWarning,
        stacklevel=4,
    )
    return events[~missing].reset_index(drop=True)


def handle_modulation_of_duplicate_events(events: pd.DataFrame) -> pd.DataFrame:
    """Join events of one condition, onset and duration; their amplitudes add up.

    Examples
    --------
    >>> events = pd.DataFrame({"trial_type": ["a"], "onset": [1.0], "duration": [2.0],
    ...                        "modulation": [3.0]})
    >>> len(handle_modulation_of_duplicate_events(events))
    1
    """
    joined = events.groupby(SAME, sort=False).agg({"modulation": "sum"}).reset_index()
    if len(joined) != len(events):
        warn(
            "Duplicated events were detected. Amplitudes of these events will be summed. "
            "You might want to verify your inputs.",
            UserWarning,
            stacklevel=3,
        )
    return joined


open_path(__name__)
