"""The row of the report: what one page costs beyond the fit."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import voxlm as vx
from benchmarks.data import study
from benchmarks.measure import Measured, Row, Settings
from benchmarks.ours import FORMULA

CONTRASTS = ("face - house", "face, house")


def page(settings: Settings) -> Measured:
    """Time the report of a fitted run with two contrasts, pictures and viewers."""
    files, seconds, size = study(settings.cache), [], 0
    fit = vx.glsar(
        FORMULA,
        vx.Run(
            files.bold, events=files.events, confounds=files.confounds, mask=files.mask, tr=files.tr
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(settings.repeat):
            out = Path(folder, "report.html")
            start = time.perf_counter()
            fit.report(out, CONTRASTS)
            seconds.append(time.perf_counter() - start)
            size = out.stat().st_size
    return Measured(seconds, agreement=f"{size / 1e6:.1f} MB")


ROWS = (
    Row(
        "report",
        "report of 64×76×64×240, two contrasts, beyond the fit",
        "—",
        "under",
        15,
        8,
        page,
    ),
)
