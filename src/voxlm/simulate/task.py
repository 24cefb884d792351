"""What is shown, and what a region answers: trials and their exact haemodynamic responses."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammainc

CONDITIONS = ("face", "house")
#: Seconds a picture stays on.
SHOWN = 3.0
#: Shortest and longest blank after a picture, in seconds.
BLANK = (2.0, 9.0)


def trials(duration: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw a rapid event-related sequence in BIDS columns.

    Parameters
    ----------
    duration : float
        Length of the run in seconds; the last picture leaves 14 s for its response.
    rng : numpy.random.Generator

    Returns
    -------
    DataFrame
        ``onset`` s, ``duration`` s, ``trial_type``, ``rt`` s; conditions in balanced random order.

    Examples
    --------
    >>> shown = trials(400.0, np.random.default_rng(0))
    >>> list(shown.columns)
    ['onset', 'duration', 'trial_type', 'rt']
    >>> int(shown.trial_type.value_counts().min()) >= 20
    True
    """
    most = int(duration / (SHOWN + BLANK[0])) + 1
    gaps = SHOWN + rng.uniform(*BLANK, size=most)
    onsets = 6.0 + np.concatenate([[0.0], np.cumsum(gaps)])
    onsets = np.round(onsets[onsets < duration - SHOWN - 14.0], 3)
    pairs = [rng.permutation(CONDITIONS) for _ in range((onsets.size + 1) // 2)]
    order = np.concatenate([*pairs, np.array([], dtype="<U5")])[: onsets.size]
    slower = np.where(order == "house", 0.1, 0.0)
    rt = np.round(np.exp(rng.normal(-0.3, 0.25, onsets.size)) + slower, 3)
    return pd.DataFrame({"onset": onsets, "duration": SHOWN, "trial_type": order, "rt": rt})


def response(events: pd.DataFrame, times: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Return the response to all trials of a table, in units of a sustained response.

    The answer to a picture shown from 0 to d is the integral of the double-gamma response,
    :math:`H(t) - H(t - d)`, with :math:`H` made of incomplete gamma functions: exact, on no grid,
    so that a design built on a grid can be judged by it.

    Parameters
    ----------
    events : DataFrame
        ``onset`` and ``duration`` in seconds.
    times : ndarray, shape (T,)
        Scan times in seconds.

    Returns
    -------
    ndarray, shape (T,)

    Notes
    -----
    Double gamma of SPM: shapes 6 and 16 at a scale of 1 s, ratio 6 (Friston et al. 1998,
    NeuroImage 7:30–40).

    Examples
    --------
    >>> long = pd.DataFrame({"onset": [0.0], "duration": [60.0]})
    >>> response(long, np.array([-1.0, 50.0])).round(6)
    array([0., 1.])
    """
    since = times[:, None] - events["onset"].to_numpy(float)[None, :]
    shown = events["duration"].to_numpy(float)[None, :]
    return np.asarray((_cumulated(since) - _cumulated(since - shown)).sum(axis=1))


def _cumulated(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the integral of the double gamma from 0 to ``seconds``; its limit is 1."""
    t = np.maximum(seconds, 0.0)
    return np.asarray((gammainc(6.0, t) - gammainc(16.0, t) / 6.0) / (1.0 - 1.0 / 6.0))
