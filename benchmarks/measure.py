"""What a row of the table is, and how it is timed: peer and ours in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

# "faster": peer / ours, at least. "within": ours / peer, at most. "under": ours itself, at most.
Sense = Literal["faster", "within", "under"]

# Threads of BLAS wait awake for a while after the last product: the next to be timed has all cores.
REST = 0.2


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    repeat: int
    cache: Path
    peer_jobs: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All measurements of one row, and what says that both sides did the same work."""

    ours: list[float]
    peer: list[float] = field(default_factory=list)
    agreement: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is done, against whom, and what it should reach."""

    name: str
    work: str
    peer: str
    sense: Sense
    at_least: float
    aim: float
    measure: Callable[[Settings], Measured]
    unit: Literal["s", "MB"] = "s"

    def ratio(self, measured: Measured) -> float:
        """Return the figure that is held against ``at_least`` and ``aim``."""
        ours = median(measured.ours)
        if self.sense == "under":
            return ours
        peer = median(measured.peer)
        return peer / ours if self.sense == "faster" else ours / peer

    def verdict(self, figure: float) -> str:
        """Say which of the two marks the figure reaches, to the three digits that are shown."""
        figure = float(f"{figure:.3g}")
        sign = 1 if self.sense == "faster" else -1
        if sign * figure >= sign * self.aim:
            return "aim"
        return "at least" if sign * figure >= sign * self.at_least else "MISSED"


def in_turn(
    ours: Callable[[], Any], peer: Callable[[], Any], repeat: int
) -> tuple[list[float], list[float], Any, Any]:
    """Time peer and ours in turn, after one untimed call of ours (kernels load, caches fill).

    Returns
    -------
    ours, peer : list of float
        Seconds, one a repetition.
    our_result, peer_result : object
        What the last calls returned.
    """
    ours()
    our_times, peer_times, our_result, peer_result = [], [], None, None
    for _ in range(repeat):
        peer_result = None
        seconds, peer_result = _timed(peer)
        peer_times.append(seconds)
        our_result = None
        seconds, our_result = _timed(ours)
        our_times.append(seconds)
    return our_times, peer_times, our_result, peer_result


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    time.sleep(REST)
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


class DifferentWorkError(AssertionError):
    """Two sides of a row disagree, so their times cannot be compared."""


def same_maps(ours: Any, peer: Any, what: str, correlation: float) -> str:
    """Compare two maps; say how close they are, or raise.

    Parameters
    ----------
    ours, peer : ndarray, shape (V,)
        The same statistic by both sides.
    what : str
        What it is.
    correlation : float
        Below this they are not the same.
    """
    usable = np.isfinite(ours) & np.isfinite(peer)
    if usable.sum() < 0.99 * usable.size:
        raise DifferentWorkError(
            f"only {usable.sum():,} of {usable.size:,} voxels are finite on both"
        )
    r = float(np.corrcoef(ours[usable], peer[usable])[0, 1])
    gap = float(np.abs(ours[usable] - peer[usable]).max())
    if not r >= correlation:
        raise DifferentWorkError(
            f"{what} correlate at {r:.6f} only; expected {correlation} or more"
        )
    return (
        f"{what} of {usable.sum():,} voxels: correlation {r:.8f}, largest difference {gap:.2g} "
        f"(range {peer[usable].min():.1f} to {peer[usable].max():.1f})"
    )
