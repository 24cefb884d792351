"""What ``voxlm group`` does: choose a verb, rehearse, fit, answer, write and tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import voxlm as vx
from voxlm import report
from voxlm.analysis.deciding import check_method
from voxlm.analysis.groupdesign import group_design
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.options import share
from voxlm.cli.answers import Answer
from voxlm.cli.telling import MisuseError
from voxlm.contrasts.estimable import check_estimable
from voxlm.contrasts.hypothesis import hypothesis
from voxlm.images.atomic import staging

TAKES = {
    "lm": ("weights", "variance_groups", "cov_type", "cluster", "robust"),
    "lmer": ("weights", "reml", "df"),
    "meta": ("method", "variance_groups"),
}


def read(table: Path, **options: Any) -> vx.Maps:
    """Open the table and the headers of its maps."""
    return vx.Maps(table, **options)


def choose(
    formula: str, maps: vx.Maps, model: str | None, options: Mapping[str, Any]
) -> Callable[[str, vx.Maps], GroupFit]:
    """Choose the verb that a formula and its maps ask for, with the options it takes.

    Raises
    ------
    MisuseError
        Variances beside random terms, options of another verb.
    """
    random = bool(group_design(formula, maps).random)
    if model is None:
        if random and maps.variance is not None:
            raise MisuseError(
                "--variance is for models without random terms (meta); leave one of the two out"
            )
        model = "lmer" if random else "lm" if maps.variance is None else "meta"
    given = {name: value for name, value in options.items() if value is not None}
    other = [name for name in given if name not in TAKES[model]]
    if other:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in other)
        raise MisuseError(f"{named}: not for {model}, which fits this formula and these maps")
    verb: Any = {"lm": vx.lm, "lmer": vx.lmer, "meta": vx.meta}[model]
    return partial(verb, **given)


def rehearse(
    formula: str, maps: vx.Maps, contrasts: Sequence[str], correct: str, alpha: float
) -> None:
    """Raise now, before a map is read, what would be raised after the fit."""
    check_method(correct)
    share(alpha)
    design = group_design(formula, maps)
    for text in contrasts:
        question = hypothesis(text, design.columns, meaning=design.meaning)
        check_estimable(question.C, design.matrix, design.names)


def write(fit: GroupFit, answers: Sequence[Answer], out: Path) -> Path:
    """Write a fit, its contrasts, and a folder for each verdict, whole or not at all."""
    with staging(out, "provenance.json") as folder:
        fit.save(folder, contrasts={each.name: each.contrast for each in answers})
        for each in answers:
            each.verdict.save(folder / each.stem)
            name = f"{each.stem}.png"
            if report.can_draw(name):
                report.save_picture(each.verdict.plot(), folder / name)
    return out


def record(fit: GroupFit, answers: Sequence[Answer], out: Path | None) -> dict[str, Any]:
    """Return everything as plain numbers and texts."""
    return {
        "model": fit.model,
        "formula": fit.formula,
        "columns": list(fit.design.names),
        "n_maps": fit.maps.n_maps,
        "n_voxels": fit.n_voxels,
        "fitted": int(np.isfinite(fit.params).all(axis=0).sum()),
        "contrasts": [each.record() for each in answers],
        "out": None if out is None else str(out),
    }


def told(fit: GroupFit, answers: Sequence[Answer]) -> str:
    """Return what the command prints."""
    return "\n\n".join([str(fit), *(str(each) for each in answers)])
