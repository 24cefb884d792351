"""From what a first-level model is given to the designs of its runs; checks on the way.

Axes: T scans, n retained scans, P columns.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from warnings import warn

import numpy as np
import pandas as pd

from voxlm.errors import DataError, DesignError
from voxlm.glm.faults import InputTypeError
from voxlm.glm.first_level.design_matrix import make_first_level_design_matrix, warn_if_singular
from voxlm.glm.first_level.modulation import split_modulation
from voxlm.glm.first_level.runs import check_sample_mask, check_scaling
from voxlm.glm.masking import n_scans_of
from voxlm.glm.tables import check_separators, run_tables

DESIGN_PARAMETERS = (
    "drift_model",
    "drift_order",
    "fir_delays",
    "high_pass",
    "hrf_model",
    "min_onset",
    "slice_time_ref",
    "t_r",
)
# Conditions and confounds; None where designs were given.
Planned = tuple[list[str], list[str]] | None
NUMBER = (float, int, np.floating, np.integer)


def check_parameters(model: Any) -> None:
    """Require parameters that mean something."""
    if model.t_r is not None:
        if isinstance(model.t_r, bool) or not isinstance(model.t_r, NUMBER):
            raise InputTypeError(f"'t_r' must be a number, got {type(model.t_r).__name__}")
        if not model.t_r > 0:
            raise DataError(f"'t_r' must be positive. Got {model.t_r} instead.")
    ref = model.slice_time_ref
    if ref is not None:
        if not isinstance(ref, NUMBER):
            raise InputTypeError(f"'slice_time_ref' must be a number, got {ref!r}")
        if not 0 <= ref <= 1:
            raise DataError(f"'slice_time_ref' must be between 0 and 1. Got {ref} instead.")
    check_scaling(model.signal_scaling)


def retained_scans(runs: Sequence[Any], masks: Any) -> list[Any] | None:
    """Return the retained scans of each run, None where all are."""
    if masks is None:
        return None
    listed = list(masks) if isinstance(masks, list | tuple) else [masks]
    if len(runs) == 1 and len(listed) != 1 and np.ndim(listed[0]) == 0:
        listed = [np.asarray(listed)]
    if len(listed) != len(runs):
        raise DataError(
            f"Number of sample_mask ({len(listed)}) not matching number of runs ({len(runs)})."
        )
    return [check_sample_mask(m, n_scans_of(r)) for m, r in zip(listed, runs, strict=True)]


def run_files(runs: Sequence[Any]) -> dict[int, str]:
    """Return the path of each run, by number; empty for images in memory."""
    return {k: str(r) if isinstance(r, str | os.PathLike) else "" for k, r in enumerate(runs)}


def scrubbed(confounds: Any) -> list[Any] | None:
    """Return the scans that tables of confounds say to keep; None where no table says so.

    A table says it by ``attrs["sample_mask"]``, as :func:`first_level_from_bids` sets it.
    """
    tables = confounds if isinstance(confounds, list | tuple) else [confounds]
    said = [getattr(table, "attrs", {}).get("sample_mask") for table in tables]
    if all(mask is None for mask in said):
        return None
    return [
        np.arange(len(table)) if mask is None else mask
        for table, mask in zip(tables, said, strict=True)
    ]


def run_designs(
    model: Any, runs: Sequence[Any], events: Any, confounds: Any, matrices: Any
) -> tuple[list[pd.DataFrame], Planned]:
    """Return the design of each run at all its scans, and what the first is made of."""
    if matrices is not None:
        _say_ignored(model, events, confounds)
        found = run_tables(len(runs), matrices, "design_matrices")
        for frame in found:
            warn_if_singular(frame.to_numpy(dtype=np.float64), list(frame.columns))
        return found, None
    if events is None:
        raise DesignError("events or design matrices must be provided")
    if model.t_r is None:
        raise DesignError("t_r not given to FirstLevelModel object to compute design from events")
    check_separators(events)
    tables = run_tables(len(runs), events, "events")
    further: list[Any] = [None] * len(runs)
    if confounds is not None:
        further = run_tables(len(runs), confounds, "confounds")
    counts = [n_scans_of(image) for image in runs]
    frames = [_design(model, counts[k], tables[k], further[k], k) for k in range(len(runs))]
    return frames, (conditions_of(tables[0]), confound_names(further[0]) or [])


def conditions_of(events: pd.DataFrame) -> list[str]:
    """Return the conditions of a table of events, in the order of the design."""
    split = split_modulation(events)
    if "trial_type" not in split.columns:
        return ["dummy"]
    return [str(name) for name in np.unique(split["trial_type"].dropna().to_numpy())]


def confound_names(confounds: Any) -> list[str] | None:
    """Return the names of confounds; those of an array are numbered from 0."""
    if confounds is None:
        return None
    if isinstance(confounds, pd.DataFrame):
        return [str(name) for name in confounds.columns]
    return [f"confound_{k}" for k in range(np.shape(confounds)[1])]


def _design(model: Any, n: int, events: Any, confounds: Any, run: int) -> pd.DataFrame:
    """Return the design of one run of ``n`` scans."""
    if confounds is not None and np.shape(confounds)[0] != n:
        raise DataError(
            "Rows in confounds does not match n_scans in run_img "
            f"at index {run}. ({np.shape(confounds)[0]} rows, {n} scans)"
        )
    ref = model.slice_time_ref or 0.0
    times = np.linspace(ref * model.t_r, (n - 1 + ref) * model.t_r, n)
    return make_first_level_design_matrix(
        times,
        split_modulation(events),
        model.hrf_model,
        model.drift_model,
        model.high_pass,
        model.drift_order,
        model.fir_delays,
        confounds,
        confound_names(confounds),
        model.min_onset,
    )


def _say_ignored(model: Any, events: Any, confounds: Any) -> None:
    """Say what is not used because designs were given."""
    given = {"confounds": confounds, "events": events}
    inputs = [name for name, value in given.items() if value is not None]
    if inputs:
        warn(
            f"If design matrices are supplied, {' and '.join(inputs)} will be ignored.",
            UserWarning,
            stacklevel=4,
        )
    defaults = model.defaults()
    changed = [n for n in DESIGN_PARAMETERS if getattr(model, n) is not defaults[n]]
    changed = [n for n in changed if not np.array_equal(getattr(model, n), defaults[n])]
    if changed:
        warn(
            f"If design matrices are supplied, [{', '.join(changed)}] will be ignored.",
            UserWarning,
            stacklevel=4,
        )
