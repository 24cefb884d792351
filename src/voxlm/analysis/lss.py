"""One effect a trial, by least squares separate.

Every design of the method is made of the columns of one: the trials one by one, and the rest. So
one fit of that design, and one pass over the data, holds them all; each trial's effect is a fixed
combination of its coefficients.

Axes: K trials, V voxels, P columns of the common design.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.firstlevel import Noise, fit_runs
from voxlm.analysis.fit import Fit
from voxlm.bids.run import Run
from voxlm.design.trials import separate
from voxlm.images.space import Space

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trials:
    """The effect of every trial at every voxel.

    Parameters
    ----------
    effect : ndarray, shape (K, V)
        Effects, in the units of the fit.
    se : ndarray, shape (K, V)
        Their standard errors, each by its own design.
    table : DataFrame
        One row a trial: ``trial`` and ``condition``.
    df : ndarray, shape (K,)
        Residual degrees of freedom of each trial's design.
    space : Space
        Where the voxels lie.
    """

    effect: Floats
    se: Floats
    table: pd.DataFrame
    df: Floats
    space: Space

    def image(self) -> Any:
        """Return the effects as an image, a volume a trial; an array for arrays."""
        return self.space.image(self.effect, intent="estimate")

    def __repr__(self) -> str:
        counts = self.table["condition"].value_counts(sort=False)
        shown = ", ".join(f"{count} of {name}" for name, count in counts.items())
        return f"{len(self.table)} trials ({shown}) at {self.effect.shape[1]:,} voxels"


def lss(formula: str, run: Run, *, hrf: Any = "spm", progress: bool = False) -> Trials:
    """Estimate each trial by a model of its own: least squares separate.

    Parameters
    ----------
    formula : str
        With ``trials(…)``: ``"y ~ trials(trial_type) + motion"``.
    run : Run
        The data.
    hrf : str, HRF, or dict
        The response.
        A dict names responses for ``hrf(face, name)``, with ``default`` for the rest.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Trials

    Raises
    ------
    DesignError
        The formula has no ``trials(…)``, or the trials cannot be told apart.

    Notes
    -----
    The model of a trial has one column for it, one a condition for all other trials, and the
    confounds, drift and constant (Mumford, Turner, Ashby & Poldrack, NeuroImage 59:2636, 2012).
    Independent noise.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> events = pd.DataFrame({"onset": [4.0, 20.0, 36.0, 52.0], "duration": 1.0,
    ...                        "trial_type": ["face", "house", "face", "house"]})
    >>> lss("y ~ trials(trial_type)", Run(100 + rng.normal(size=(60, 3)), events, tr=2.0))
    4 trials (2 of face, 2 of house) at 3 voxels
    """
    fit = fit_runs(formula, run, hrf, Noise("lm", 0, 1, 0.0), stack=False, progress=progress)
    assert isinstance(fit, Fit)
    return separate_trials(fit)


def separate_trials(fit: Fit) -> Trials:
    """Read every trial's effect off one fit of all of them."""
    kept = fit.plan.kept
    beta = fit.estimate.basis.R @ fit.params
    Q, left = fit.estimate.basis.Q, fit.scale * fit.df_resid
    effects, errors, rows, df = [], [], [], []
    for design in separate(fit.design):
        X = design.matrix if kept is None else design.matrix[kept]
        own = Q.T @ X
        inverse = np.linalg.pinv(own)
        explained = own @ (inverse @ beta)
        freedom = X.shape[0] - X.shape[1]
        scale = (left + np.sum((beta - explained) ** 2, axis=0)) / freedom
        effects.append(inverse[0] @ beta)
        errors.append(np.sqrt(scale) * np.linalg.norm(inverse[0]))
        rows.append((design.columns[0].name, design.columns[0].condition))
        df.append(float(freedom))
    table = pd.DataFrame(rows, columns=["trial", "condition"])
    return Trials(np.stack(effects), np.stack(errors), table, np.array(df), fit.run.space)
