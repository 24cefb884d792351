"""Before the images are read: formula, contrasts and correction are checked against the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxlm.analysis.deciding import PERMUTED, check_method
from voxlm.analysis.options import share
from voxlm.analysis.plan import plan_runs
from voxlm.analysis.resampling import FIRST_LEVEL
from voxlm.bids.run import Run
from voxlm.contrasts.hypothesis import hypothesis
from voxlm.design.stack import stack as stack_designs
from voxlm.errors import DataError


def rehearse(
    formula: str,
    runs: Sequence[Run],
    contrasts: Sequence[str],
    *,
    hrf: Any,
    correct: str,
    alpha: float,
    order: int,
    stack: bool,
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
    order : int
        Order of the AR noise.
    stack : bool
        Whether the runs are fitted as one model.

    Raises
    ------
    VoxlmError
        For a formula, a contrast or a correction that cannot work.
    """
    check_method(correct)
    share(alpha)
    if correct in (*PERMUTED, "pari") and (stack or len(runs) == 1):
        raise DataError(FIRST_LEVEL)
    plans = plan_runs(formula, runs, hrf, order)
    asked = [(plan.asked, plan.design.meaning) for plan in plans]
    if stack and len(runs) > 1:
        names = [str(number) for number in range(1, len(runs) + 1)]
        stacked = stack_designs([plan.design for plan in plans], names)
        asked = [(stacked.columns, stacked.meaning)]
    for columns, meaning in asked:
        for text in contrasts:
            hypothesis(text, columns, meaning=meaning)
