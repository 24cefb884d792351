"""Before the images are read: formula, contrasts and correction are checked against the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from voxlm.analysis.firstlevel import design
from voxlm.bids.run import Run
from voxlm.contrasts.hypothesis import hypothesis
from voxlm.inference.decision import correct as decide


def rehearse(
    formula: str,
    runs: Sequence[Run],
    contrasts: Sequence[str],
    *,
    hrf: Any,
    correct: str,
    alpha: float,
) -> None:
    """Raise now what would be raised after the fit.

    Parameters
    ----------
    formula : str
    runs : sequence of Run
    contrasts : sequence of str
    hrf : str or HRF
    correct, alpha
        The correction of every contrast, and its level.

    Raises
    ------
    VoxlmError
        For a formula, a contrast or a correction that cannot work.
    """
    decide(np.ones(1), correct, alpha)
    for run in runs:
        columns = design(formula, run, hrf=hrf).columns
        for text in contrasts:
            hypothesis(text, columns)
