"""Design matrices as tables, with nilearn's names, order and numbers.

Axes: T scans, P columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from warnings import warn

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.design.check import equation
from voxlm.design.drift import cosine, polynomial
from voxlm.errors import DataError, DesignError
from voxlm.glm.first_level.experimental_paradigm import (
    check_events,
    handle_modulation_of_duplicate_events,
)
from voxlm.glm.first_level.hemodynamic_models import compute_regressor
from voxlm.glm.paths import open_path
from voxlm.glm.tables import load_table
from voxlm.kernels.rank import dependencies, rank

Floats = NDArray[np.float64]
Named = tuple[Floats, list[str]]


def make_first_level_design_matrix(
    frame_times: ArrayLike,
    events: Any = None,
    hrf_model: Any = "glover",
    drift_model: str | None = "cosine",
    high_pass: float = 0.01,
    drift_order: int = 1,
    fir_delays: Sequence[int] | None = None,
    add_regs: Any = None,
    add_reg_names: Sequence[str] | None = None,
    min_onset: float = -24,
    oversampling: int = 50,
) -> pd.DataFrame:
    """Make the design matrix of one run.

    Parameters
    ----------
    frame_times : array_like, shape (T,)
        Scan times in seconds.
    events : DataFrame or path, optional
        ``onset`` and ``duration`` in seconds, ``trial_type``, and ``modulation``: the height of
        each event in its condition's regressor.
    hrf_model : str, callable, response, list or None
        As :func:`~voxlm.glm.first_level.compute_regressor` takes it.
    drift_model : {"cosine", "polynomial", None}
        Slow drift; the constant is there in any case.
    high_pass : float
        Highest frequency of cosines, Hz.
    drift_order : int
        Highest power of polynomials.
    fir_delays : sequence of int, optional
        For ``hrf_model="fir"``, delays in scans.
    add_regs : array_like or DataFrame, shape (T, K), optional
        Further columns.
    add_reg_names : sequence of str, optional
        Their names; those of a table are its own, others are ``reg0``, ``reg1``, …
    min_onset : float
        Events earlier than this after the first scan (it is negative) are left out.
    oversampling : int
        Grid points a repetition time.

    Returns
    -------
    DataFrame, shape (T, P)
        Indexed by scan time: conditions in alphabetical order, further columns, drift, constant.

    Raises
    ------
    DesignError, DataError
        For columns of one name, rows that do not fit, missing values.

    Warns
    -----
    UserWarning
        Where the design matrix is singular, with the columns that are to blame.

    Examples
    --------
    >>> events = pd.DataFrame({"onset": [2.0, 20.0], "duration": [4.0, 4.0],
    ...                        "trial_type": ["face", "house"]})
    >>> make_first_level_design_matrix(np.arange(20) * 2.0, events).columns.tolist()
    ['face', 'house', 'constant']
    """
    times = np.asarray(frame_times, dtype=np.float64)
    further = _further(add_regs, add_reg_names, times.size)
    blocks: list[Named] = []
    if events is not None:
        table = load_table(events, "events")
        blocks.append(_task(table, hrf_model, times, fir_delays, min_onset, oversampling))
    blocks += [further, _drift(drift_model, times, drift_order, high_pass)]
    names = [name for _, part in blocks for name in part]
    if len(set(names)) != len(names):
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        raise DesignError(
            f"Design matrix columns do not have unique names: {', '.join(twice)} is there twice"
        )
    matrix = np.hstack([part for part, _ in blocks])
    warn_if_singular(matrix, names)
    return pd.DataFrame(matrix, columns=names, index=pd.Index(np.asarray(frame_times)))


def _further(add_regs: Any, names: Sequence[str] | None, n_scans: int) -> Named:
    """Return the further columns and their names."""
    if add_regs is None:
        if names:
            raise DataError(
                "Incorrect number of additional regressor names was provided "
                f"({len(names)} provided, 0 expected)."
            )
        return np.empty((n_scans, 0)), []
    if isinstance(add_regs, pd.DataFrame):
        names = add_regs.columns.tolist()
    values = np.atleast_2d(np.asarray(add_regs, dtype=np.float64))
    if np.isnan(values).any():
        columns = np.flatnonzero(np.isnan(values).any(axis=0)).tolist()
        shown = [names[k] if names is not None and k < len(names) else k for k in columns]
        raise DataError(f"Extra regressors contain NaN values. They are in the columns {shown}")
    if values.shape[0] != n_scans:
        raise RowsError(
            "Incorrect specification of additional regressors: length of regressors provided: "
            f"{values.shape[0]}, number of time-frames: {n_scans}."
        )
    found = [f"reg{k}" for k in range(values.shape[1])] if names is None else list(names)
    if len(found) != values.shape[1]:
        raise DataError(
            "Incorrect number of additional regressor names was provided "
            f"({len(found)} provided, {values.shape[1]} expected)."
        )
    return values, found


class RowsError(DataError, AssertionError):
    """Columns of another length than the scans; nilearn asserts this."""


def _task(
    events: pd.DataFrame,
    hrf_model: Any,
    frame_times: ArrayLike,
    fir_delays: Sequence[int] | None = None,
    min_onset: float = -24,
    oversampling: int = 50,
) -> Named:
    """Return the regressors of all conditions, in alphabetical order."""
    clean = handle_modulation_of_duplicate_events(check_events(events))
    matrix, names = [], []
    for condition in np.unique(clean["trial_type"].to_numpy()):
        rows = clean[clean["trial_type"] == condition]
        triplet = tuple(rows[name].to_numpy() for name in ("onset", "duration", "modulation"))
        found, labels = compute_regressor(
            triplet, hrf_model, frame_times, condition, oversampling, fir_delays, min_onset
        )
        matrix.append(found)
        names += labels
    return np.hstack(matrix), names


def _drift(drift_model: str | None, frame_times: ArrayLike, order: int, high_pass: float) -> Named:
    """Return drift and constant."""
    times = np.asarray(frame_times, dtype=np.float64)
    kind = drift_model.lower() if isinstance(drift_model, str) else drift_model
    if kind == "cosine":
        drift = _cosine(times, high_pass)
    elif kind == "polynomial":
        drift = polynomial(times, int(order))
    elif kind is None:
        drift = np.empty((times.size, 0))
    else:
        raise DriftError(f"Unknown drift model {drift_model!r}: 'cosine', 'polynomial' or None")
    names = [f"drift_{k}" for k in range(1, drift.shape[1] + 1)]
    return np.hstack([drift, np.ones((times.size, 1))]), [*names, "constant"]


def _cosine(times: Floats, high_pass: float) -> Floats:
    """Return cosines up to a frequency, or all there are, with a warning."""
    if not high_pass > 0:
        return np.empty((times.size, 0))
    fastest = 0.5 * (times.size - 1) / (times[-1] - times[0])
    if high_pass >= fastest:
        warn(
            "High-pass filter will span all accessible frequencies and saturate the design "
            f"matrix. You may want to reduce the high_pass value. The provided value is {high_pass}"
            f" Hz, and the fastest these scans can show is {fastest:g} Hz",
            UserWarning,
            stacklevel=4,
        )
    # Just below the fastest frequency all cosines but the constant are in.
    return cosine(times, min(high_pass, fastest * (1 - 1e-9)))


class DriftError(DesignError, NotImplementedError):
    """A drift model that is not known."""


def singular_columns(matrix: Floats, names: Sequence[str]) -> str:
    """Say which columns of a design depend on others; empty where its rank is full."""
    if rank(matrix) == matrix.shape[1]:
        return ""
    shown = [str(name) for name in names]
    return "; ".join(equation(found, tuple(shown)) for found in dependencies(matrix))


def warn_if_singular(matrix: Floats, names: Sequence[str]) -> None:
    """Warn where a design is singular, naming the columns."""
    blame = singular_columns(matrix, names)
    if blame:
        warn(
            f"Design matrix is singular: {blame}. Contrasts that it does not determine will be "
            "refused; leave one of these columns out",
            UserWarning,
            stacklevel=3,
        )


def check_design_matrix(design_matrix: pd.DataFrame) -> tuple[pd.Index, Any, list[str]]:
    """Return scan times, values and names of a design.

    Raises
    ------
    DesignError
        If it has no columns.

    Examples
    --------
    >>> check_design_matrix(pd.DataFrame({"a": [1, 2]}, index=[0.0, 2.0]))[2]
    ['a']
    """
    if len(design_matrix.columns) == 0:
        raise DesignError("The design_matrix dataframe cannot be empty.")
    return design_matrix.index, design_matrix.to_numpy(), list(design_matrix.keys())


def make_second_level_design_matrix(
    subjects_label: Sequence[str], confounds: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Make a group design: confounds of each subject, then the intercept.

    Parameters
    ----------
    subjects_label : sequence of str
        The subject of each row.
    confounds : DataFrame, optional
        ``subject_label`` and numbers; one row a subject.

    Returns
    -------
    DataFrame, shape (N, P)

    Raises
    ------
    DataError
        For missing values, a subject without a row or with several.

    Warns
    -----
    UserWarning
        Where the design matrix is singular, with the columns that are to blame.

    Examples
    --------
    >>> ages = pd.DataFrame({"subject_label": ["b", "a"], "age": [30, 20]})
    >>> make_second_level_design_matrix(["a", "b"], ages)["age"].tolist()
    [20.0, 30.0]
    """
    labels = list(subjects_label)
    out = pd.DataFrame(index=range(len(labels)))
    if confounds is not None:
        if confounds.isna().to_numpy().any():
            raise DataError("Confounds contain NaN values.")
        known = confounds["subject_label"].tolist()
        for label in labels:
            if known.count(label) > 1:
                raise DataError(f"confounds contain more than one row for subject {label}")
            if label not in known:
                raise DataError(f"confounds not specified for subject {label}")
        rows = confounds.set_index("subject_label").loc[labels]
        if "intercept" in rows.columns or len(set(rows.columns)) != len(rows.columns):
            raise DesignError("Design matrix columns do not have unique names")
        out = rows.astype("float64").reset_index(drop=True)
    out["intercept"] = 1.0
    warn_if_singular(out.to_numpy(), list(out.columns))
    return out


open_path(__name__)
