"""Haemodynamic responses and regressors with nilearn's names.

Kernels come from :mod:`voxlm.hrf`, convolution from :mod:`voxlm.kernels.convolve`. Axes: T scans, E
events, B basis functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.design.convolve import Grid, regressors
from voxlm.errors import DesignError, VoxlmError
from voxlm.glm.paths import open_path
from voxlm.hrf import Response, as_response, fir, glover, spm
from voxlm.hrf.custom import Function, Kernel, from_callable, several
from voxlm.hrf.gamma import LENGTH, canonical, time_derivative, width_derivative
from voxlm.kernels.convolve import micro_grid, orthogonalise, place, place_between, read_at

Floats = NDArray[np.float64]
MODELS = (
    "spm",
    "spm + derivative",
    "spm + derivative + dispersion",
    "fir",
    "glover",
    "glover + derivative",
    "glover + derivative + dispersion",
    None,
)
UNUSABLE = "Could not process custom HRF model provided. Please refer to the related documentation."


def spm_hrf(
    t_r: float, oversampling: int = 50, time_length: float = LENGTH, onset: float = 0.0
) -> Floats:
    """Return SPM's response, samples of sum one every ``t_r / oversampling`` seconds.

    Parameters
    ----------
    t_r : float
        Repetition time in seconds.
    oversampling : int
        Samples a repetition time.
    time_length, onset : float
        Length and start of the response in seconds.

    Returns
    -------
    ndarray, shape (N,)

    Examples
    --------
    >>> spm_hrf(2.0).size, round(float(spm_hrf(2.0).sum()), 9)
    (800, 1.0)
    """
    return canonical(spm(), t_r, oversampling, onset, time_length)


def glover_hrf(
    t_r: float, oversampling: int = 50, time_length: float = LENGTH, onset: float = 0.0
) -> Floats:
    """Return Glover's response; parameters as for :func:`spm_hrf`."""
    return canonical(glover(), t_r, oversampling, onset, time_length)


def spm_time_derivative(
    t_r: float, oversampling: int = 50, time_length: float = LENGTH, onset: float = 0.0
) -> Floats:
    """Return the derivative in time of SPM's response; parameters as for :func:`spm_hrf`."""
    return time_derivative(spm(), t_r, oversampling, onset, time_length)


def glover_time_derivative(
    t_r: float, oversampling: int = 50, time_length: float = LENGTH, onset: float = 0.0
) -> Floats:
    """Return the derivative in time of Glover's response; parameters as for :func:`spm_hrf`."""
    return time_derivative(glover(), t_r, oversampling, onset, time_length)


def spm_dispersion_derivative(
    t_r: float, oversampling: int = 50, time_length: float = LENGTH, onset: float = 0.0
) -> Floats:
    """Return the derivative in width of SPM's response; parameters as for :func:`spm_hrf`."""
    return width_derivative(spm(), t_r, oversampling, onset, time_length)


def glover_dispersion_derivative(
    t_r: float, oversampling: int = 50, time_length: float = LENGTH, onset: float = 0.0
) -> Floats:
    """Return the derivative in width of Glover's response; parameters as for :func:`spm_hrf`.

    The undershoot has the width 1.0 here though 0.9 in the response itself: nilearn's definition,
    which designs are held to. ``dataclasses.replace(vx.hrf.glover(dispersion=True),
    width_u_dispersion=0.9)`` is the true derivative, and may be given as ``hrf_model``.
    """
    return width_derivative(glover(), t_r, oversampling, onset, time_length)


def orthogonalize(X: ArrayLike) -> Floats:
    """Make each column orthogonal to those before it, shape ``(T, B)``."""
    columns = np.array(X, dtype=np.float64)
    return orthogonalise(columns) if columns.ndim == 2 and columns.shape[1] > 1 else columns


def compute_regressor(
    exp_condition: Any,
    hrf_model: Any,
    frame_times: ArrayLike,
    con_id: str = "cond",
    oversampling: int = 50,
    fir_delays: Sequence[int] | None = None,
    min_onset: float = -24,
) -> tuple[Floats, list[str]]:
    """Convolve the events of one condition with a response.

    Parameters
    ----------
    exp_condition : array_like, shape (3, E)
        Onsets and durations in seconds, and amplitudes.
    hrf_model : str, callable, response, list or None
        A name of :data:`MODELS`; a function of ``(t_r, oversampling)`` that returns samples, or of
        ``t`` in seconds; a value of :mod:`voxlm.hrf`; a list of functions; None for no response.
    frame_times : array_like, shape (T,)
        Scan times in seconds.
    con_id : str
        Name of the condition.
    oversampling : int
        Grid points a repetition time.
    fir_delays : sequence of int, optional
        For ``"fir"``, delays in scans.
    min_onset : float
        Events that start earlier than this after the first scan (it is negative) are left out, with
        a warning.

    Returns
    -------
    regressors : ndarray, shape (T, B)
    names : list of str

    Examples
    --------
    >>> X, names = compute_regressor(([2.0], [4.0], [1.0]), "spm", np.arange(20) * 2.0, "face")
    >>> X.shape, names
    ((20, 1), ['face'])
    """
    times = np.asarray(frame_times, dtype=np.float64)
    onsets, durations, values = (np.asarray(row, dtype=np.float64) for row in exp_condition)
    early = onsets < times[0] + min_onset
    if early.any():
        warn(
            f"Some stimulus onsets are earlier than {times[0] + min_onset} in the experiment and "
            "are thus not considered in the model.",
            UserWarning,
            stacklevel=2,
        )
    oversampling = int(oversampling)
    names = _names(con_id, hrf_model, fir_delays)
    response = response_of(hrf_model, fir_delays)
    fine, when = micro_grid(times, oversampling, min_onset), (onsets[~early], durations[~early])
    steps, between = place(fine, *when), place_between(fine, *when)
    grid = Grid(steps, between, read_at(fine, times), float(np.diff(times).min()))
    try:
        (out,) = regressors(grid, values[~early, None], response, oversampling)
    except (VoxlmError, TypeError) as error:
        raise DesignError(f"{UNUSABLE}\n{error}") from error
    return out, names


def response_of(hrf_model: Any, fir_delays: Sequence[int] | None = None) -> Response:
    """Return the response that a model of :func:`compute_regressor` stands for."""
    if isinstance(hrf_model, str):
        word = hrf_model.lower()
        if word == "fir":
            return fir([0] if fir_delays is None else [int(delay) for delay in fir_delays])
        if word not in MODELS:
            raise DesignError(
                f'"{hrf_model}" is not a known hrf model. Use either a custom model or one of '
                f"{list(MODELS)}"
            )
        return as_response(word)
    try:
        if hrf_model is None or isinstance(hrf_model, Response):
            return as_response(hrf_model)
        if isinstance(hrf_model, list | tuple):
            return several(hrf_model)
        return from_callable(hrf_model)
    except (VoxlmError, TypeError, AttributeError) as error:
        raise DesignError(f"{UNUSABLE}\n{error}") from error


def _names(con_name: str, hrf_model: Any, fir_delays: Sequence[int] | None = None) -> list[str]:
    """Name the columns of one condition."""
    if isinstance(hrf_model, str) and hrf_model.lower() == "fir":
        labels = [f"delay_{int(delay)}" for delay in ([0] if fir_delays is None else fir_delays)]
    elif isinstance(hrf_model, list | tuple):
        labels = [_function_name(member) for member in hrf_model]
    elif callable(hrf_model) and not isinstance(hrf_model, Response):
        labels = [_function_name(hrf_model)]
    elif hrf_model is None or isinstance(hrf_model, str | Response):
        labels = list(response_of(hrf_model).labels)
    else:
        raise DesignError(f"{hrf_model!r} is not a known hrf model. Use one of {list(MODELS)}")
    names = [f"{con_name}_{label}" if label else str(con_name) for label in labels]
    if len(set(names)) != len(names):
        raise DesignError(f"Computed regressor names are not unique: {names}")
    return names


def _function_name(of: Any) -> str:
    if isinstance(of, Kernel | Function):
        return of.label
    return str(getattr(of, "__name__", type(of).__name__))


open_path(__name__)
