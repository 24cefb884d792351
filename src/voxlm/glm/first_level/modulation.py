"""Modulated events as two conditions: the events, and their modulation."""

from __future__ import annotations

from typing import Any

import pandas as pd

from voxlm.glm.tables import load_table

SUFFIX = "*modulation"


def split_modulation(events: Any) -> pd.DataFrame:
    """Give a modulation that varies within a condition a regressor of its own.

    Parameters
    ----------
    events : DataFrame or path
        Events; without ``modulation`` or ``trial_type`` they are returned as they are.

    Returns
    -------
    DataFrame
        Events of a condition whose ``modulation`` varies stand twice: as ``condition`` with height
        1, and as ``condition*modulation`` with the modulation as height. Where it is one number
        for all events of a condition it stays their height.

    Examples
    --------
    >>> events = pd.DataFrame({"onset": [0.0, 9.0], "duration": [1.0, 1.0],
    ...                        "trial_type": ["a", "a"], "modulation": [0.5, 2.0]})
    >>> split_modulation(events)["trial_type"].tolist()
    ['a', 'a', 'a*modulation', 'a*modulation']
    """
    table: pd.DataFrame = load_table(events, "events")
    if not {"modulation", "trial_type"} <= set(table.columns):
        return table
    varies = table.groupby("trial_type")["modulation"].transform("nunique", dropna=False) > 1
    if not varies.any():
        return table
    plain, scaled = table.copy(), table[varies].copy()
    plain["modulation"] = plain["modulation"].where(~varies, 1.0)
    # A missing amplitude has to be noticed whether or not the events stand twice.
    missing = table["modulation"].isna()
    plain.loc[missing, "modulation"] = float("nan")
    scaled["trial_type"] = scaled["trial_type"].astype(str) + SUFFIX
    return pd.concat([plain, scaled], ignore_index=True)
