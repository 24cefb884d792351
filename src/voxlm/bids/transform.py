"""Tables changed by instructions: new columns for a formula to name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from voxlm.bids.instructions import read, spelled
from voxlm.bids.variables import TIMING, Namespace, Variable
from voxlm.bids.verbs import VERBS
from voxlm.errors import VoxlmError


def transform(
    instructions: Sequence[Mapping[str, Any]],
    events: pd.DataFrame | None = None,
    confounds: pd.DataFrame | None = None,
    table: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame | None, pd.DataFrame | None, pd.DataFrame | None]:
    """Carry out instructions over tables.

    Parameters
    ----------
    instructions : sequence of mapping
        As ``{"Name": "Threshold", "Input": ["rt"], "Threshold": 1.0, "Output": ["slow"]}``.
    events, confounds : DataFrame, optional
        Of a run; a row an event, a row a scan.
    table : DataFrame, optional
        Of a group; a row a map.

    Returns
    -------
    events, confounds, table : DataFrame or None
        Copies with the new columns. ``Select`` and ``Delete`` rule what later instructions see
        and take nothing out of the tables.

    Raises
    ------
    DataError
        Naming the instruction.

    Examples
    --------
    >>> events = pd.DataFrame({"onset": [0.0, 9.0], "duration": 1.0, "rt": [0.4, 1.2]})
    >>> step = {"Name": "Threshold", "Input": "rt", "Threshold": 1, "Binarize": True,
    ...         "Output": "slow"}
    >>> transform([step], events)[0].slow.tolist()
    [0.0, 1.0]
    """
    space = Namespace({})
    tables = {"scans": confounds, "events": events, "maps": table}
    for clock, frame in tables.items():
        for name, column in () if frame is None else frame.items():
            if clock != "events" or name not in TIMING:
                space.variables[str(name)] = Variable(clock, column)
    made: dict[str, Variable] = {}
    for number, step in enumerate(instructions, start=1):
        verb = VERBS.get(spelled(str(step.get("Name"))) or "")
        space.where = f"instruction {number} ({step.get('Name')})"
        if verb is None:
            raise space.fail("unknown instruction")
        try:
            verb(space, read(step))
        except VoxlmError:
            raise
        except (TypeError, ValueError, IndexError) as error:
            raise space.fail(f"an argument cannot be used: {error}") from error
        made |= {key: value for key, value in space.variables.items() if value.made}
    return (
        None if events is None else _events(events, made),
        None if confounds is None else _columns(confounds, made, "scans"),
        None if table is None else _columns(table, made, "maps"),
    )


def _columns(frame: pd.DataFrame, made: Mapping[str, Variable], clock: str) -> pd.DataFrame:
    found = {name: v.values for name, v in made.items() if v.clock == clock}
    attrs = frame.attrs
    frame = frame.assign(**found) if found else frame.copy()
    frame.attrs = attrs
    return frame


def _events(events: pd.DataFrame, made: Mapping[str, Variable]) -> pd.DataFrame:
    """Add the columns, and rows for variables whose timing is their own."""
    mine = {name: v for name, v in made.items() if v.clock == "events"}
    apart = {n: v for n, v in mine.items() if v.onset is not None or v.duration is not None}
    frame = events.copy()
    for name, variable in mine.items():
        frame[name] = 0.0 if name in apart else _amplitude(variable.values)
    rows = [frame]
    for name, variable in apart.items():
        numbers = [str(name) for name in frame.select_dtypes("number") if name not in TIMING]
        own = frame.assign(**dict.fromkeys(numbers, 0.0))
        for key, given in (("onset", variable.onset), ("duration", variable.duration)):
            own[key] = events[key] if given is None else given.to_numpy()
        own[name] = _amplitude(variable.values)
        own["trial_type"] = name
        rows.append(own[(own[name] != 0) & own["onset"].notna() & own["duration"].notna()])
    if not apart:
        return frame
    return pd.concat(rows, ignore_index=True).sort_values("onset", kind="stable", ignore_index=True)


def _amplitude(values: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values.astype(np.float64).fillna(0.0)
    return values
