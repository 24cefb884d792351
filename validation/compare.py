"""Two maps of the same thing, in figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

import voxlm as vx


def compare(ours: ArrayLike, theirs: ArrayLike) -> dict[str, float]:
    """Correlation, slope through zero, and differences where both are finite."""
    a, b = np.ravel(np.asarray(ours, float)), np.ravel(np.asarray(theirs, float))
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    gap = np.abs(a - b)
    return {
        "voxels": int(both.sum()),
        "correlation": float(np.corrcoef(a, b)[0, 1]),
        "slope": float(a @ b / (b @ b)),
        "max |ours|": float(np.abs(a).max()),
        "max |theirs|": float(np.abs(b).max()),
        "median gap": float(np.median(gap)),
        "largest gap": float(gap.max()),
        "gap / max": float(gap.max() / np.abs(b).max()),
    }


def show(title: str, rows: Mapping[str, Mapping[str, object]]) -> None:
    """Print rows as a table under a title."""
    frame = pd.DataFrame.from_dict(rows, orient="index")
    print(f"\n{title}\n{frame.to_string(float_format=written)}", flush=True)


def written(value: float) -> str:
    """Write a number: small gaps as powers, shares of one to where they differ from it."""
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e6):
        return f"{value:.1e}"
    return f"{value:.8f}" if 0.999 < abs(value) < 1.001 and value != 1 else f"{value:.4f}"


def show_check(fits: Mapping[str, vx.Fit], n: int = 50) -> None:
    """Refit random voxels with statsmodels; print the largest relative difference by quantity."""
    rows = {name: fit.check(n)["largest_relative"].to_dict() for name, fit in fits.items()}
    show(f"fit.check({n}): largest relative difference to statsmodels", rows)
