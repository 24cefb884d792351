"""Fits on disk: maps, design, mask and provenance, written whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from voxlm import report
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fitted import Fitted
from voxlm.analysis.naming import Naming, naming_of, namings_of
from voxlm.analysis.provenance import provenance
from voxlm.analysis.sidecars import (
    IGNORED,
    dataset_description,
    design_sidecar,
    map_sidecar,
    mask_sidecar,
    to_json,
)
from voxlm.bids.names import Name
from voxlm.errors import DataError
from voxlm.images.atomic import staging, write_text

Ask = Callable[[Any], Contrast]

WORDS = {"-": "Minus", "+": "Plus", "/": "Over", "*": "Times", "=": "Equals", ",": "And"}


def save_fit(fit: Fitted, ask: Ask, out: Path, contrasts: Any) -> Path:
    """Write a fit and what ``ask`` answers; see :meth:`voxlm.Fit.save`."""
    naming = naming_of(getattr(fit.run, "runs", [fit.run]))
    return _save([fit], [naming], naming, ask, out, contrasts)


def save_fixed(fits: Sequence[Fitted], ask: Ask, out: Path, contrasts: Any) -> Path:
    """Write several fits and their combined contrasts."""
    runs = [fit.run for fit in fits]
    return _save(fits, namings_of(runs), naming_of(runs), ask, out, contrasts)


def _save(
    fits: Sequence[Fitted],
    namings: Sequence[Naming],
    together: Naming,
    ask: Ask,
    out: Path,
    contrasts: Any,
) -> Path:
    answers = named_contrasts(ask, contrasts)
    record = together.path("provenance", ".json")
    inputs = [file for fit in fits for file in fit.run.inputs]
    about = dataset_description(out, inputs) if together else {}
    with staging(out, record) as folder:
        for fit, naming in zip(fits, namings, strict=True):
            write_run(fit, folder, naming)
        for name, contrast in answers.items():
            write_contrast(contrast, name, fits, folder, together)
        write_text(folder / record, provenance(fits, answers))
        if together:
            write_text(folder / "dataset_description.json", to_json(about))
            write_text(folder / ".bidsignore", "\n".join([*IGNORED, ""]))
    return out


def write_run(fit: Fitted, folder: Path, naming: Naming) -> None:
    """Write one run's design, mask and model maps."""
    table = folder / naming.path("design", ".tsv")
    write_text(table, fit.design.frame.to_csv(sep="\t", index=True))
    if naming:
        write_text(table.with_suffix(".json"), to_json(design_sidecar(fit)))
    if report.can_draw("design.png"):
        report.save_picture(report.plot_design(fit.design), table.with_suffix(".png"))
    space = fit.run.space
    mask = {"desc": "fitted"} if naming else {}
    path = naming.path("mask", space.extension, **mask)
    for file in space.write(folder / path, fit.estimate.status == 0):
        if naming:
            write_beside(file, mask_sidecar(fit, naming.entities))
    maps = {"rsquared": fit.rsquared, "variance": fit.scale}
    if fit.order:
        maps["rho"] = fit.map("rho")
    for name, values in maps.items():
        path = naming.path("statmap", space.extension, stat=name)
        for file in space.write(folder / path, values, intent="estimate"):
            if naming:
                write_beside(file, map_sidecar(name, [fit], naming.entities))


def write_contrast(
    contrast: Contrast, label: str, fits: Sequence[Fitted], folder: Path, naming: Naming
) -> None:
    """Write a contrast's maps, and what each is beside it."""
    start = folder / naming.path("statmap", "", contrast=label)
    for path in contrast.save(start.with_name(start.name.removesuffix("_statmap"))):
        if naming:
            stat = Name.of(path).entities["stat"]
            about = map_sidecar(stat, fits, naming.entities, contrast)
            write_beside(path, about)


def write_beside(path: Path, about: Mapping[str, Any]) -> None:
    """Write the sidecar of a map."""
    write_text(path.with_name(path.name.partition(".")[0] + ".json"), to_json(about))


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
        if label.casefold() in {known.casefold() for known in answers}:
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
