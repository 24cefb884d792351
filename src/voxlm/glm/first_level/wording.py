"""A first-level model in words: the formula of this package that says the same."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from voxlm.hrf import Response

PLAIN = re.compile(r"[^\W\d]\w*(\.\w+)*")
DRIFT = re.compile(r"drift_\d+")


def formula_of(model: Any) -> str:
    """Write a fitted model as a formula.

    Parameters
    ----------
    model : FirstLevelModel
        Fitted to events, or to design matrices: then every column is a word.

    Returns
    -------
    str
        ``y ~ …`` of the first run. The time that scans stand for (``slice_time_ref``), the noise
        model and the units are arguments of a fit, not part of a formula.
    """
    frame = model.design_matrices_[0]
    planned = model._planned
    if planned is None:
        names = [str(name) for name in frame.columns]
        words = [quoted(name) for name in names if name not in ("constant", "intercept")]
        head = "" if len(words) < len(names) else "0 + "
        return f"y ~ {head}{' + '.join(words)} - drift"
    conditions, confounds = planned
    words = [term(name, model) for name in conditions] + [quoted(name) for name in confounds]
    drift, removed = drift_words(model, frame)
    right = " + ".join([*words, *drift]) or "1"
    return f"y ~ {right}{removed}"


def term(condition: str, model: Any) -> str:
    """Write the regressors of one condition.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> term("face", SimpleNamespace(hrf_model="spm + derivative"))
    'hrf(face, "spm + derivative")'
    """
    name, _, modulated = condition.partition("*")
    word = quoted(name) + (f":{modulated}" if modulated else "")
    response = model.hrf_model
    if isinstance(response, str) and response.lower() == "fir":
        delays = [0] if model.fir_delays is None else [int(d) for d in model.fir_delays]
        return f"fir({word}, delays={delays})"
    if response is None:
        return f"boxcar({word})"
    if isinstance(response, str | Response):
        return f'hrf({word}, "{response}")'
    shown = getattr(response, "__name__", "own response")
    return f'hrf({word}, "{shown}")'


def drift_words(model: Any, frame: pd.DataFrame) -> tuple[list[str], str]:
    """Write the drift, or that there is none."""
    count = sum(DRIFT.fullmatch(str(name)) is not None for name in frame.columns)
    if not count:
        return [], " - drift"
    if str(model.drift_model).lower() == "cosine":
        return [f"cosine({model.high_pass:.12g})"], ""
    return [f"poly({int(model.drift_order)})"], ""


def quoted(name: str) -> str:
    """Write a name so that a formula reads it as one word.

    Examples
    --------
    >>> quoted("face"), quoted("left-hand")
    ('face', '`left-hand`')
    """
    return name if PLAIN.fullmatch(name) else f"`{name}`"
