"""The results of one subject or one group in its folder: whole, recorded, recognised again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxlm.analysis.applying import answers, fit_ready
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fields import plain
from voxlm.analysis.grouplevel import ask_group, contrasts_of, fit_group, parts_of, table_of
from voxlm.analysis.ledger import (
    describe_inputs,
    digest,
    first_level,
    forget,
    key_of,
    read_record,
    write_record,
)
from voxlm.analysis.save import slug
from voxlm.analysis.verdict import Verdict
from voxlm.bids.maps import Maps
from voxlm.errors import DataError
from voxlm.images.atomic import staging, write_text
from voxlm.images.space import Volume

if TYPE_CHECKING:
    import pandas as pd

    from voxlm.analysis.model import Model
    from voxlm.analysis.modelparts import Correction, Group
    from voxlm.analysis.units import Unit

DONE, KEPT = "done", "kept"
IMAGES = ("effect", "variance")


def do_unit(model: Model, unit: Unit, out: Path, only_kept: bool = False) -> str:
    """Fit a unit and write its folder, unless it is there already; return which."""
    folder = out / unit.place
    old = read_record(folder)
    what = first_level(model)
    files = [file for run in unit.runs for file in run.inputs]
    if old is not None and old["key"] == key_of(what, describe_inputs(files, old)):
        return KEPT
    if only_kept:
        raise DataError("it is not finished with these inputs and this model: run it first")
    forget(folder)
    fitted = fit_ready(model, unit.runs if len(unit.runs) > 1 else unit.runs[0])
    found = answers(model, fitted)
    with staging(folder) as temporary:
        fitted.save(temporary, contrasts=found)
        maps = {name: _maps(temporary, name, each) for name, each in found.items()}
        _decide(found, model.correction, temporary)
        written = _listed(temporary)
    inputs = describe_inputs(files, old)
    record = {
        "key": key_of(what, inputs),
        "unit": unit.key,
        "model": what,
        "inputs": inputs,
        "maps": maps,
        "files": written,
        "voxlm": version("voxlm"),
    }
    write_record(folder, record, old)
    return DONE


def _listed(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def _maps(folder: Path, name: str, contrast: Contrast) -> dict[str, str]:
    """Return where a contrast's effect and variance are, for the group; none of a joint test."""
    if contrast.kind != "t":
        return {}
    stem = f"contrast-{slug(name)}_stat-"
    effects = sorted(folder.rglob(f"*{stem}effect_statmap.*"))
    image = next(path for path in effects if path.suffix != ".json")
    variance = image.with_name(image.name.replace("stat-effect", "stat-variance"))
    if not variance.exists():
        contrast.space.write(variance, contrast.se**2)
    return {
        "effect": str(image.relative_to(folder)),
        "variance": str(variance.relative_to(folder)),
    }


def _decide(found: Mapping[str, Contrast], corrections: Sequence[Correction], folder: Path) -> None:
    """Correct every contrast in every way that was asked for, and write the decisions."""
    for name, contrast in found.items():
        for each in corrections:
            write_verdict(contrast.correct(each.method, each.alpha, **each.options), name, folder)


def write_verdict(verdict: Verdict, name: str, folder: Path) -> None:
    """Write a decision about a contrast: the z map where significant, and its clusters."""
    method = "".join(c for c in verdict.method if c.isalnum())
    stem = f"contrast-{slug(name)}_desc-{method}"
    space = verdict.contrast.space
    suffix = ".nii.gz" if isinstance(space, Volume) else ".npy"
    space.write(folder / f"{stem}_stat-z_statmap{suffix}", verdict.values("z"), intent="z")
    table = verdict.table().to_csv(sep="\t", index=False, na_rep="n/a")
    write_text(folder / f"{stem}_clusters.tsv", table)
    write_text(folder / f"{stem}_decision.txt", f"{verdict}\n")


def do_group(
    group: Group,
    units: Sequence[Unit],
    kinds: Mapping[str, str],
    dataset: str | PathLike[str],
    out: Path,
) -> str:
    """Fit a group and write its folder, unless it is there already; return which."""
    names = contrasts_of(group, kinds)
    table = table_of(group, units, names, dataset)
    records = {unit.key: read_record(out / unit.place) for unit in units}
    keys = {key: None if record is None else record["key"] for key, record in records.items()}
    frame = table.assign(**_paths(table, units, records, out))
    what = {"group": plain(group, whole=True), "units": keys, "table": table.to_csv(index=False)}
    folder = out / group.name
    old = read_record(folder)
    key = digest({"what": what, "voxlm": version("voxlm")})
    if old is not None and old["key"] == key:
        return KEPT
    forget(folder)
    with staging(folder) as temporary:
        near = {name: [os.path.relpath(path, folder) for path in frame[name]] for name in IMAGES}
        shown = frame.assign(**near).to_csv(sep="\t", index=False, na_rep="n/a")
        write_text(temporary / "maps.tsv", shown)
        for name, rows in parts_of(group, frame).items():
            _write_part(group, rows, temporary / (f"contrast-{slug(name)}" if name else "."))
        written = _listed(temporary)
    record = {"key": key, "group": what["group"], "units": keys, "files": written}
    write_record(folder, record | {"voxlm": version("voxlm")}, old)
    return DONE


def _paths(
    table: pd.DataFrame, units: Sequence[Unit], records: Mapping[str, Any], out: Path
) -> dict[str, list[str]]:
    """Return the maps of each row: effects and variances."""
    places = {}
    for unit in units:
        record = records[unit.key]
        for name, maps in ({} if record is None else record["maps"]).items():
            at = (unit.entities["sub"], unit.entities.get("ses"), name)
            places[at] = {key: str((out / unit.place / p).absolute()) for key, p in maps.items()}
    found: dict[str, list[str]] = {name: [] for name in IMAGES}
    sessions = table["session"] if "session" in table else [None] * len(table)
    for row in zip(table["subject"], sessions, table["contrast"], strict=True):
        for key, paths in found.items():
            paths.append(places[row][key])
    return found


def _write_part(group: Group, rows: pd.DataFrame, folder: Path) -> None:
    """Fit one model of a group and write its contrasts and decisions."""
    maps = Maps(
        rows,
        effect="effect",
        variance="variance",
        mask=group.mask,
        smoothing_fwhm=group.smoothing_fwhm,
        zeros=group.zeros,  # type: ignore[arg-type]
    )
    fitted = fit_group(group, maps)
    found = ask_group(group, fitted)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "design.tsv", fitted.design.frame.to_csv(sep="\t", index=True))
    write_text(folder / "summary.txt", f"{fitted.summary()}\n")
    for name, contrast in found.items():
        contrast.save(folder / f"contrast-{slug(name)}")
    _decide(found, group.correction, folder)
