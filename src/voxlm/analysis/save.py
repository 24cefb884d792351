"""Fits on disk: maps, design, mask and provenance, written whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from voxlm import report
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fitted import Fitted
from voxlm.analysis.provenance import provenance
from voxlm.errors import DataError
from voxlm.images.atomic import staging, write_text
from voxlm.images.space import Volume

Ask = Callable[[Any], Contrast]

WORDS = {"-": "Minus", "+": "Plus", "/": "Over", "*": "Times", "=": "Equals", ",": "And"}


def save_fit(fit: Fitted, ask: Ask, out: Path, contrasts: Any) -> Path:
    """Write a fit and what ``ask`` answers; see :meth:`voxlm.Fit.save`."""
    answers = named_contrasts(ask, contrasts)
    with staging(out) as folder:
        write_run(fit, folder)
        for name, contrast in answers.items():
            contrast.save(folder / f"contrast-{name}")
        write_text(folder / "provenance.json", provenance([fit], answers))
    return out


def save_fixed(fits: Sequence[Fitted], ask: Ask, out: Path, contrasts: Any) -> Path:
    """Write several fits and their combined contrasts."""
    answers = named_contrasts(ask, contrasts)
    with staging(out) as folder:
        for number, fit in enumerate(fits, start=1):
            run = folder / f"run-{number:02d}"
            run.mkdir()
            write_run(fit, run)
        for name, contrast in answers.items():
            contrast.save(folder / f"contrast-{name}")
        write_text(folder / "provenance.json", provenance(fits, answers))
    return out


def write_run(fit: Fitted, folder: Path) -> None:
    """Write one run's design, mask and model maps."""
    write_text(folder / "design.tsv", fit.design.frame.to_csv(sep="\t", index=True))
    if report.can_draw("design.png"):
        report.save_picture(report.plot_design(fit.design), folder / "design.png")
    space = fit.run.space
    suffix = ".nii.gz" if isinstance(space, Volume) else ".npy"
    space.write(folder / f"mask{suffix}", fit.estimate.status == 0)
    maps = {"rsquared": fit.rsquared, "variance": fit.scale}
    if fit.order:
        maps["rho"] = fit.map("rho")
    for name, values in maps.items():
        space.write(folder / f"stat-{name}_statmap{suffix}", values, intent="estimate")


def named_contrasts(ask: Ask, contrasts: Any) -> dict[str, Contrast]:
    """Turn texts, contrasts, or a dict of either into contrasts by file name."""
    if isinstance(contrasts, (str, Contrast)):
        contrasts = [contrasts]
    if not isinstance(contrasts, Iterable):
        raise DataError(
            f"contrasts are texts or Contrasts, in a list or in a dict by name; got {contrasts!r}"
        )
    items: Iterable[tuple[str | None, Any]]
    items = contrasts.items() if isinstance(contrasts, Mapping) else ((None, c) for c in contrasts)
    answers: dict[str, Contrast] = {}
    for name, spec in items:
        contrast = spec if isinstance(spec, Contrast) else ask(spec)
        label = slug(name or contrast.text)
        if label in answers:
            raise DataError(
                f"two contrasts would both be written as contrast-{label}; "
                f"name them: contrasts={{'first': …, 'second': …}}"
            )
        answers[label] = contrast
    return answers


def slug(text: str) -> str:
    """Return letters and digits that stand for a contrast in a file name.

    Examples
    --------
    >>> slug("face - house"), slug("(face + house)/2 - trial_type[tool]")
    ('faceMinusHouse', 'facePlusHouseOver2MinusTrialTypeTool')
    """
    spelled = "".join(f" {WORDS[c]} " if c in WORDS else c for c in text)
    words = re.findall(r"[A-Za-z0-9]+", spelled)
    return "".join(w if n == 0 else w[0].upper() + w[1:] for n, w in enumerate(words)) or "contrast"
