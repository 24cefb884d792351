"""Group fits on disk: maps, design, mask and provenance, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.naming import Naming
from voxlm.analysis.provenance import contrast_record, input_record, versions
from voxlm.analysis.save import named_contrasts, write_beside
from voxlm.analysis.sidecars import (
    IGNORED,
    dataset_description,
    group_sidecar,
    to_json,
)
from voxlm.bids.names import Name, check_entities
from voxlm.images.atomic import staging, write_text

if TYPE_CHECKING:
    from voxlm.analysis.groupfit import GroupFit

Ask = Callable[[Any], Contrast]


def save_group(
    fit: GroupFit, ask: Ask, out: Path, contrasts: Any, entities: Mapping[str, str]
) -> Path:
    """Write a group fit; see :meth:`voxlm.GroupFit.save`."""
    answers = named_contrasts(ask, contrasts)
    naming = Naming(check_entities(entities))
    about = dataset_description(out, fit.maps.inputs) if naming else {}
    record = naming.path("provenance", ".json")
    with staging(out, record) as folder:
        _write_model(fit, folder, naming)
        for label, contrast in answers.items():
            start = naming.path("statmap", "", contrast=label)
            stem = folder / start.with_name(start.name.removesuffix("_statmap"))
            for path in contrast.save(stem):
                if naming:
                    stat = Name.of(path).entities["stat"]
                    write_beside(path, group_sidecar(stat, fit, contrast))
        write_text(folder / record, to_json(provenance(fit, answers)))
        if naming:
            write_text(folder / "dataset_description.json", to_json(about))
            write_text(folder / ".bidsignore", "\n".join([*IGNORED, ""]))
    return out


def _write_model(fit: GroupFit, folder: Path, naming: Naming) -> None:
    """Write the design beside the table it was made from, the mask, and the model's maps."""
    frame = pd.DataFrame(fit.design.matrix, columns=list(fit.design.names))
    write_text(folder / naming.path("design", ".tsv"), frame.to_csv(sep="\t", index=False))
    mask = {"desc": "fitted"} if naming else {}
    path = folder / naming.path("mask", fit.space.extension, **mask)
    for file in fit.space.write(path, fit.nobs > 0):
        if naming:
            write_beside(file, group_sidecar("mask", fit))
    for name in _own_maps(fit):
        path = folder / naming.path("statmap", fit.space.extension, stat=name.replace("_", ""))
        for file in fit.space.write(path, fit.values(name), intent="estimate"):
            if naming:
                write_beside(file, group_sidecar(name, fit))


def _own_maps(fit: GroupFit) -> list[str]:
    """List the maps of the model itself; with random slopes there is no one share of variance."""
    slopes = any(block.names != ("Intercept",) for block in fit.design.random)
    own = [name for name in fit.own_maps if not (slopes and name == "icc")]
    return ["nobs", "df_resid", *own]


def provenance(fit: GroupFit, answers: Mapping[str, Contrast]) -> dict[str, Any]:
    """Return what was done to what."""
    table = fit.maps.table
    return {
        "model": fit.model,
        "formula": fit.formula,
        "options": {name: _plain(value) for name, value in fit.options.items()},
        "columns": list(fit.design.names),
        "random": [block.text for block in fit.design.random],
        "maps": {"rows": len(table), "columns": [str(name) for name in table.columns]},
        "inputs": [input_record(file) for file in fit.maps.inputs],
        "voxels": {"in_mask": fit.n_voxels, "fitted": int(np.count_nonzero(fit.nobs))},
        "contrasts": {name: contrast_record(contrast) for name, contrast in answers.items()},
        **versions(),
    }


def _plain(value: Any) -> Any:
    """Return an option as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
