"""A fit's answers: contrasts with their decisions, printed, written, and as records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm import report
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.drawn import weakest
from voxlm.analysis.fit import Fit
from voxlm.analysis.fixed import FixedEffects
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.provenance import freedom
from voxlm.analysis.save import named_contrasts
from voxlm.analysis.verdict import Verdict
from voxlm.images.atomic import staging, write_text

#: Clusters shown on the screen; the file has all of them.
MOST_CLUSTERS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One contrast, tested and decided.

    Parameters
    ----------
    name : str
        What files are called by.
    contrast : Contrast
    verdict : Verdict
    """

    name: str
    contrast: Contrast
    verdict: Verdict

    def __str__(self) -> str:
        lines = [str(self.contrast), str(self.verdict)]
        if self.verdict.n_significant:
            table = self.verdict.table()
            lines.append(_printed(table.head(MOST_CLUSTERS)))
            if len(table) > MOST_CLUSTERS:
                lines.append(f"… {len(table) - MOST_CLUSTERS} more clusters")
        return "\n".join(lines)

    @property
    def stem(self) -> str:
        """Start of the names of the decision's files."""
        return f"contrast-{self.name}_desc-{re.sub('[^a-zA-Z0-9]', '', self.verdict.method)}"

    def record(self) -> dict[str, Any]:
        """Return the answer as plain numbers and texts."""
        stat, verdict = self.contrast.stat, self.verdict
        finite = np.isfinite(stat)
        return {
            "name": self.name,
            "text": self.contrast.text,
            "statistic": self.contrast.kind,
            "df_num": self.contrast.df_num,
            "df": freedom(self.contrast.df),
            "n_voxels": int(finite.sum()),
            "largest": float(stat[finite].max()) if finite.any() else None,
            "smallest": float(stat[finite].min()) if finite.any() else None,
            "correction": verdict.method,
            "alpha": verdict.alpha,
            "n_significant": verdict.n_significant,
            "threshold": _number(verdict.threshold),
            "decision": str(verdict),
        }


def answer(
    fit: Fit | FixedEffects | GroupFit,
    contrasts: Sequence[str],
    correct: str,
    alpha: float,
    two_sided: bool = True,
    **options: Any,
) -> list[Answer]:
    """Test contrasts and correct each for the number of voxels.

    Parameters
    ----------
    fit : Fit, FixedEffects or GroupFit
    contrasts : sequence of str
        As for :meth:`voxlm.Fit.contrast`.
    correct, alpha, two_sided, **options
        As for :meth:`voxlm.Contrast.correct`.

    Returns
    -------
    list of Answer
    """
    return [
        Answer(name, contrast, contrast.correct(correct, alpha, two_sided, **options))
        for name, contrast in named_contrasts(fit.contrast, list(contrasts)).items()
    ]


def write_answers(fit: Fit | FixedEffects, answers: Sequence[Answer], out: Path) -> Path:
    """Write a fit, its contrasts, their thresholded maps, cluster tables and pictures.

    Parameters
    ----------
    fit : Fit or FixedEffects
    answers : sequence of Answer
    out : Path
        The folder; whole or not at all.

    Returns
    -------
    Path
    """
    with staging(out, "provenance.json") as folder:
        fit.save(folder, contrasts={each.name: each.contrast for each in answers})
        for each in answers:
            space, verdict = each.contrast.space, each.verdict
            path = folder / f"{each.stem}_stat-z_statmap{space.extension}"
            space.write(path, verdict.values("z"), intent="z")
            table = verdict.table().to_csv(sep="\t", index=False, na_rep="n/a")
            write_text(folder / f"{each.stem}_clusters.tsv", table)
            if report.can_draw(f"{each.stem}_stat-z.png"):
                report.save_picture(picture(fit, each), folder / f"{each.stem}_stat-z.png")
    return out


def picture(fit: Fit | FixedEffects, answered: Answer) -> Any:
    """Draw the significant part of a contrast's z map, of a volume over the mean image.

    Parameters
    ----------
    fit : Fit or FixedEffects
    answered : Answer

    Returns
    -------
    matplotlib.figure.Figure
    """
    first = fit if isinstance(fit, Fit) else fit[0]
    verdict = answered.verdict
    if verdict.contrast.space.grid is None:
        return verdict.plot()
    least = weakest(verdict)
    decided = str(verdict).partition(":")[0]
    return report.plot_stat_map(
        answered.contrast.image("z"),
        first.run.space.image(_mean(first)),
        threshold=np.inf if least is None else least,
        label="z",
        title=f"{answered.contrast.text}: {decided} ({verdict.method}, {verdict.alpha:g})",
    )


def _mean(fit: Fit) -> NDArray[np.float64]:
    """Return each voxel's mean where the scaling knows it, else a flat brain."""
    if fit.run.scaling != "percent":
        return np.ones(fit.n_voxels)
    return np.nan_to_num(100.0 / fit.estimate.factor)


def _printed(table: pd.DataFrame) -> str:
    """Lay out a table of clusters: millimetres, statistic and size in digits worth reading."""
    places = ("x", "y", "z", "com_x", "com_y", "com_z")
    digits = dict.fromkeys(places, ".1f") | dict.fromkeys(("p", "p_peak", "p_cluster"), ".2g")
    digits |= {"stat": ".2f", "mm2": ",.1f", "mm3": ",.0f", "tdp": ".2f"}

    def written(column: Any, value: Any) -> str:
        return "" if pd.isna(value) else format(value, digits.get(column, ""))

    rows = {name: [written(name, value) for value in table[name]] for name in table}
    return pd.DataFrame(rows).to_string(index=False)


def _number(threshold: Any) -> float | list[float] | None:
    """Return a threshold as JSON can hold it: its range where it differs by voxel."""
    values = np.unique(np.atleast_1d(threshold))
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    return float(values[0]) if values.size == 1 else [float(values[0]), float(values[-1])]
