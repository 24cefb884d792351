"""A verdict drawn where its voxels lie: in slices, on surfaces, or column by column."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxlm import report
from voxlm.analysis.drawn import weakest
from voxlm.analysis.verdict import Verdict
from voxlm.errors import DataError
from voxlm.images.space import Volume


def draw(verdict: Verdict, background: Any, n_slices: int) -> Any:
    """Draw a verdict; see :meth:`voxlm.Verdict.plot`."""
    space = verdict.contrast.space
    label = verdict.contrast.intent("stat")[0] or verdict.contrast.kind
    said = f"{verdict.contrast.text}: {verdict.n_significant:,} {space.unit}, {verdict.words}"
    words: dict[str, Any] = {"label": label, "threshold": weakest(verdict, "stat")}
    if space.grid is not None:
        return _slices(verdict, space.grid, background, n_slices, {**words, "title": said})
    if background is not None:
        raise DataError(f"a background lies under volumes; these are {space.unit}")
    sheets = space.sheets(verdict.values("stat"))
    if not sheets:
        return _points(verdict, label, said)
    shown = sum(int(np.sum(np.nan_to_num(values) != 0)) for _, values in sheets.values())
    if verdict.n_significant > shown:
        said += f"; {verdict.n_significant - shown:,} of them beneath the cortex, not drawn"
    return report.plot_surface(report.surface_image(sheets), title=said, **words)


def _slices(
    verdict: Verdict, space: Volume, background: Any, n_slices: int, words: dict[str, Any]
) -> Any:
    drawn = verdict.image("stat")
    if background is None and not report.in_mni(drawn):
        background = space.mask_image()
    return report.plot_stat_map(drawn, background, n_slices=n_slices, **words)


def _points(verdict: Verdict, label: str, title: str) -> Any:
    """Draw columns, with the height from which they are significant where there is one."""
    heights = np.unique(np.atleast_1d(verdict.threshold))
    cut = float(heights[0]) if heights.size == 1 and np.isfinite(heights[0]) else None
    if verdict.formed is not None or verdict.method.startswith("cluster"):
        cut = None
    both = verdict.two_sided and verdict.contrast.kind == "t"
    return report.plot_columns(
        verdict.contrast.stat, verdict.significant, cut, both=both, label=label, title=title
    )
