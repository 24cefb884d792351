"""The sections of a report that show contrasts: words, maps, clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from voxlm import report
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.drawn import weakest
from voxlm.analysis.pages.maps import UNDRAWN, on_surface
from voxlm.analysis.verdict import Verdict
from voxlm.errors import DataError
from voxlm.images.space import one_of

Ask = Callable[[Any], Contrast]

#: Rows of a table of clusters that a page shows.
MOST_ROWS = 200
FORMATS = {
    "x": ".0f", "y": ".0f", "z": ".0f", "stat": ".2f", "p": ".2g", "voxels": ",.0f", "mm3": ",.0f",
    "vertices": ",.0f", "grayordinates": ",.0f", "mm2": ",.0f",
    "com_x": ".0f", "com_y": ".0f", "com_z": ".0f", "p_peak": ".2g", "p_cluster": ".2g",
    "discoveries": ",.0f", "tdp": ".2f",
}  # fmt: skip
HEADS = {
    "x": "x (mm)", "y": "y (mm)", "z": "z (mm)", "p": "corrected p", "mm3": "mm³", "mm2": "mm²",
    "com_x": "centre x", "com_y": "centre y", "com_z": "centre z", "p_peak": "p of peak",
    "p_cluster": "p of cluster", "discoveries": "true discoveries", "tdp": "their share",
}  # fmt: skip


def decided(
    ask: Ask, contrasts: Any, correct: str, alpha: float, options: Mapping[str, Any]
) -> dict[str, Verdict]:
    """Ask contrasts and correct them; what is decided already stays as it is.

    Parameters
    ----------
    ask : callable
        Makes a Contrast of a text.
    contrasts : str, Contrast, Verdict, an iterable of them, or a mapping of them by name
    correct, alpha, options
        As for :meth:`voxlm.Contrast.correct`.

    Returns
    -------
    dict of str to Verdict
        By name; the text of a contrast where it has no name of its own.

    Raises
    ------
    DataError
        If two have the same name, or what is given is no contrast.
    """
    if isinstance(contrasts, str | Contrast | Verdict):
        contrasts = [contrasts]
    if not isinstance(contrasts, Iterable):
        raise DataError(
            f"contrasts are texts, Contrasts or Verdicts, in a list or in a dict by name; got "
            f"{contrasts!r}"
        )
    items: Iterable[tuple[Any, Any]]
    items = contrasts.items() if isinstance(contrasts, Mapping) else ((None, c) for c in contrasts)
    found: dict[str, Verdict] = {}
    for name, spec in items:
        verdict = spec
        if not isinstance(spec, Verdict):
            contrast = spec if isinstance(spec, Contrast) else ask(spec)
            verdict = contrast.correct(correct, alpha, **options)
        called = str(name) if name is not None else verdict.contrast.text
        if called in found:
            raise DataError(
                f"two contrasts are called {called!r}; name them: contrasts={{'first': …}}"
            )
        found[called] = verdict
    return found


def peak(verdict: Verdict) -> int | None:
    """Return the voxel with the largest statistic: a significant one, where there is any."""
    size = np.abs(verdict.contrast.stat)
    size = np.where(np.isfinite(size), size, -np.inf)
    if verdict.n_significant:
        size = np.where(verdict.significant, size, -np.inf)
    best = int(size.argmax())
    return best if np.isfinite(size[best]) else None


def contrast_blocks(name: str, verdict: Verdict, design: Any, background: Any) -> Iterator[Any]:
    """Yield what a page says of a contrast: its words and numbers, its maps, its clusters.

    Parameters
    ----------
    name : str
    verdict : Verdict
    design : Design
        Its columns have the weights.
    background : image or None
        Under the maps.
    """
    contrast = verdict.contrast
    yield report.Prose(f"{verdict}.", "lead")
    yield report.Facts(tuple(_facts(verdict)))
    yield from _notes(contrast)
    yield from _maps(name, verdict, background)
    names = [column.name for column in design.coefficients]
    weights = contrast.hypothesis.C
    if weights.shape[1] == len(names):
        yield report.picture(
            report.plot_contrast(weights, names, contrast.text),
            f"Weights of {contrast.text} over the columns of the design",
            wide=True,
        )
    yield from _table(verdict)


def _facts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    contrast = verdict.contrast
    stat = contrast.stat[np.isfinite(contrast.stat)]
    df = np.asarray(contrast.df, dtype=np.float64)
    df = df[np.isfinite(df)]
    shown = (
        f"{df.min():.4g}"
        if np.ptp(df) < 1e-9
        else f"{df.min():.4g} to {df.max():.4g} by {one_of(contrast.space)}"
    )
    yield "Contrast", "; ".join(contrast.hypothesis.rows)
    freedom = f"{contrast.df_num} and {shown}" if contrast.kind == "F" else shown
    yield f"Degrees of freedom of {contrast.kind}", freedom
    yield f"{contrast.space.counted.capitalize()} tested", f"{stat.size:,}"
    if stat.size:
        span = f"{stat.min():.2f} to {stat.max():.2f}".replace("-", "−")
        yield f"Range of {contrast.kind}", span


def _notes(contrast: Contrast) -> Iterator[Any]:
    for note in contrast.hypothesis.notes:
        yield report.Prose(note, "note")


def _maps(name: str, verdict: Verdict, background: Any) -> Iterator[Any]:
    contrast = verdict.contrast
    if not np.isfinite(contrast.z).any():
        yield report.Prose(f"No {one_of(contrast.space)} has a statistic to draw.", "note")
        return
    space = contrast.space
    image = space.volume(contrast.z)
    found = verdict.n_significant > 0
    if sheets := space.sheets(verdict.values("z") if found else contrast.z):
        which = "Significant z values" if found else "z values, no threshold,"
        yield from on_surface(sheets, f"{which} of {name}", "z", weakest(verdict))
    elif space.unit in UNDRAWN:
        yield report.Prose(UNDRAWN[space.unit], "note")
    if image is not None:
        yield from _volumes(name, verdict, image, background)
    elif not sheets:
        drawn = report.plot_histogram(contrast.z, "z", space.counted)
        yield report.picture(drawn, f"Histogram of the z values of {name} over {space.counted}")
        drawn = report.plot_qq(contrast.z, "z")
        yield report.picture(drawn, f"Quantiles of the z values of {name}")


def _volumes(name: str, verdict: Verdict, image: Any, background: Any) -> Iterator[Any]:
    """Yield slices and cuts of what is significant, and a viewer of the whole map."""
    space, least = verdict.contrast.space, weakest(verdict)
    shown = space.volume(verdict.values("z")) if verdict.n_significant else None
    if shown is not None and np.any(shown.dataobj):
        where = "" if space.grid else " below the cortex"
        said = f"z of {name} in its {np.count_nonzero(shown.dataobj):,} significant voxels{where}"
        drawn = report.plot_stat_map(shown, background, threshold=least)
        yield report.picture(drawn, f"{said}, in axial slices", wide=True)
        drawn = report.plot_ortho(shown, background, threshold=least)
        yield report.picture(drawn, f"{said}, in three cuts through the peak")
        if report.in_mni(image):
            glass = report.plot_glass(shown, threshold=least)
            yield report.picture(glass, f"{said}, in a glass brain")
            surface = report.plot_surface(shown, threshold=least)
            yield report.picture(surface, f"{said}, sampled on the fsaverage5 surface")
    under = background if report.in_mni(image) else None  # every voxel is drawn: nothing to see
    whole = report.plot_stat_map(image, under, label="z, no threshold")
    yield report.picture(whole, f"z of {name} at every voxel, no threshold", wide=True)
    page = report.viewer(image, background, threshold=least, title=name)
    yield report.Viewer(page, f"Interactive viewer of the z map of {name}")


def _table(verdict: Verdict) -> Iterator[Any]:
    unit = one_of(verdict.contrast.space)
    if not verdict.n_significant:
        yield report.Prose(f"No {unit} is significant, so there is no cluster.", "note")
        return
    table = verdict.table()
    kind = "clusters and their peaks" if "cluster" in table else "significant columns"
    shown = table.head(MOST_ROWS)
    caption = f"{kind.capitalize()}: {verdict.contrast.kind}, corrected p and size"
    if len(shown) < len(table):
        caption += f"; the first {len(shown)} of {len(table)} rows"
    formats = {name: FORMATS[name] for name in table if name in FORMATS}
    heads = {**HEADS, "stat": verdict.contrast.kind}
    yield report.grid(pd.DataFrame(shown), caption, formats, heads)
