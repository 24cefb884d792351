"""A first-level model in words: the formula of this package that says the same."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from voxlm.errors import VoxlmError
from voxlm.glm.first_level.hemodynamic_models import response_of
from voxlm.hrf import Response, named

PLAIN = re.compile(r"[^\W\d]\w*(\.\w+)*")
DRIFT = re.compile(r"drift_\d+")


def formula_of(model: Any) -> str:
    """Write a fitted model as a formula; see :func:`responses_of` for the names in it.

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
    shown = response if isinstance(response, str) else next(iter(responses_of(model)), response)
    return f'hrf({word}, "{shown}")'


def responses_of(model: Any) -> dict[str, Response]:
    """Return what the responses in a model's formula stand for, where no text says them.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> def bump(t):
    ...     return t * (8.0 - t) * (t < 8.0)
    >>> responses_of(SimpleNamespace(hrf_model=bump))
    {'bump': Function(of=<function bump at ...>, length=32.0, label='bump')}
    >>> responses_of(SimpleNamespace(hrf_model="spm"))
    {}
    """
    given = model.hrf_model
    if given is None or isinstance(given, str) or _is_text(given):
        return {}
    name = str(getattr(given, "__name__", ""))
    return {name if PLAIN.fullmatch(name) and name != "default" else "own": response_of(given)}


def _is_text(response: Any) -> bool:
    """Tell whether a response is the one that its own text names."""
    try:
        return bool(named(str(response)) == response)
    except VoxlmError:
        return False


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
