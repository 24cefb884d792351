"""The results of one subject or one group in its folder: whole, recorded, recognised again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from voxlm.analysis.applying import answers, fit_ready, response
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fields import plain
from voxlm.analysis.grouplevel import (
    ask_group,
    contrasts_of,
    fit_group,
    mask_of,
    parts_of,
    table_of,
)
from voxlm.analysis.ledger import (
    RECORD,
    describe_inputs,
    digest,
    first_level,
    forget,
    key_of,
    read_record,
    write_record,
)
from voxlm.analysis.naming import Naming, naming_of
from voxlm.analysis.plan import plan_runs
from voxlm.analysis.save import slug
from voxlm.analysis.varying import with_files
from voxlm.analysis.verdictfile import write_maps
from voxlm.bids.maps import Maps
from voxlm.bids.names import without
from voxlm.errors import DataError
from voxlm.images.atomic import staging, write_text
from voxlm.images.inputs import Input, input_file

if TYPE_CHECKING:
    import pandas as pd

    from voxlm.analysis.model import Model
    from voxlm.analysis.modelparts import Correction, Group
    from voxlm.analysis.units import Unit
    from voxlm.analysis.verdict import Verdict

DONE, KEPT = "done", "kept"
IMAGES = ("effect", "variance")
SIDES = ("left", "right")
#: Entities of a subject that a group has no use for.
INNER = ("sub", "ses", "run")


def do_unit(
    model: Model, unit: Unit, out: Path, only_kept: bool = False, page: bool = False
) -> str:
    """Fit a unit and write its files, unless they are there already; return which."""
    record = record_of(unit, out)
    old = read_record(record, out)
    # A raw sidecar may time a run whose own files say nothing.
    timing = [(run.tr, run.clock.slice_time_ref) for run in unit.runs]
    what = first_level(model) | {"timing": timing}
    files = _inputs(model, unit)
    if _has(old, page) and old["key"] == key_of(what, describe_inputs(files, old)):
        return KEPT
    if only_kept:
        raise DataError("it is not finished with these inputs and this model: run it first")
    before = forget(record)
    fitted = fit_ready(model, unit.runs if len(unit.runs) > 1 else unit.runs[0])
    found = answers(model, fitted)
    with staging(out) as temporary:
        fitted.save(temporary, contrasts=found)
        maps = {name: _maps(temporary, name, each) for name, each in found.items()}
        verdicts = _decide(found, model.correction, temporary, naming_of(unit.runs))
        if page:
            title = " ".join(part for part in (model.name, unit.key) if part)
            fitted.report(temporary / unit.place / f"{unit.key}.html", verdicts, title=title)
        written = [name for name in _listed(temporary) if "/" in name]
    inputs = describe_inputs(files, old)
    about = {
        "key": key_of(what, inputs),
        "unit": unit.key,
        "model": first_level(model),
        "inputs": inputs,
        "maps": maps,
        "files": written,
        "voxlm": version("voxlm"),
    }
    write_record(record, out, about, before)
    return DONE


def _inputs(model: Model, unit: Unit) -> list[Input]:
    """Return the files of the runs, and those that the formula names."""
    files = [file for run in unit.runs for file in run.inputs]
    if "voxel" not in model.whole_formula:
        return files
    plans = plan_runs(model.whole_formula, unit.runs, response(model), model.order)
    return files + [own.file for plan in with_files(plans) for own in plan.own]


def _has(record: dict[str, Any] | None, page: bool) -> TypeGuard[dict[str, Any]]:
    """Tell whether there is a finished fit, with its page if one is wanted."""
    if record is None:
        return False
    return not page or any(name.endswith(".html") for name in record["files"])


def _listed(folder: Path) -> list[str]:
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def _maps(folder: Path, name: str, contrast: Contrast) -> dict[str, list[str]]:
    """Return where a contrast's effect and variance are, for the group; none of a joint test."""
    if contrast.kind != "t":
        return {}
    images = folder.rglob(f"*contrast-{slug(name)}_stat-effect_statmap.*")
    found = {"effect": sorted(path for path in images if path.suffix != ".json")}
    # A group weighs maps by their variances, so these are written as such.
    first = found["effect"][0]
    variance = first.with_name(first.name.replace("-effect_", "-variance_"))
    found["variance"] = list(contrast.space.write(variance, contrast.se**2))
    return {
        key: [path.relative_to(folder).as_posix() for path in paths] for key, paths in found.items()
    }


def _decide(
    found: Mapping[str, Contrast],
    corrections: Sequence[Correction],
    folder: Path,
    naming: Naming,
) -> dict[str, Verdict]:
    """Correct every contrast in every way that was asked for, and write the decisions."""
    verdicts: dict[str, Verdict] = {}
    for name, contrast in found.items():
        for each in corrections:
            verdict = contrast.correct(each.method, each.alpha, **each.options)
            method = "".join(c for c in each.method if c.isalnum())
            path = folder / naming.path("x", "", contrast=slug(name), desc=method)
            path.parent.mkdir(parents=True, exist_ok=True)
            stem = path.name.removesuffix("x")
            write_maps(verdict, path.parent, stem)
            write_text(path.with_name(f"{stem}decision.txt"), f"{verdict}\n")
            verdicts[name if len(corrections) == 1 else f"{name} ({each.method})"] = verdict
    return verdicts


def do_group(
    group: Group,
    units: Sequence[Unit],
    kinds: Mapping[str, str],
    dataset: str | PathLike[str],
    out: Path,
    page: bool = False,
) -> str:
    """Fit a group and write its folder, unless it is there already; return which."""
    names = contrasts_of(group, kinds)
    table = table_of(group, units, names, dataset)
    records = {unit.key: read_record(record_of(unit, out), out) for unit in units}
    keys = {key: None if record is None else record["key"] for key, record in records.items()}
    found = _paths(table, units, records, out)
    frame = table.assign(**found)
    mask = mask_of(group, dataset)
    what = {"group": plain(group, whole=True), "units": keys, "table": table.to_csv(index=False)}
    if mask is not None:
        what["mask"] = input_file("mask", mask).sha256
    folder = out / "group" / ("" if group.name == "group" else group.name)
    record = folder / f"group_{RECORD}"
    old = read_record(record, folder)
    key = digest({"what": what, "voxlm": version("voxlm")})
    if _has(old, page) and old["key"] == key:
        return KEPT
    before = forget(record)
    entities = without(naming_of([run for unit in units for run in unit.runs]).entities, INNER)
    mesh = units[0].runs[0].mesh
    with staging(folder) as temporary:
        near = {
            name: [os.path.relpath(one, folder) for one in paths] for name, paths in found.items()
        }
        shown = frame.assign(**near).to_csv(sep="\t", index=False, na_rep="n/a")
        write_text(temporary / "maps.tsv", shown)
        for name, rows in parts_of(group, frame).items():
            part = temporary / (f"contrast-{slug(name)}" if name else ".")
            _write_part(group, rows, part, Naming(entities), mask, mesh, page)
        written = _listed(temporary)
    about = {"key": key, "group": what["group"], "units": keys, "files": written}
    write_record(record, folder, about | {"voxlm": version("voxlm")}, before)
    return DONE


def record_of(unit: Unit, out: Path) -> Path:
    """Return where the record of a unit is."""
    return out / unit.place / f"{unit.key}_{RECORD}"


def _paths(
    table: pd.DataFrame, units: Sequence[Unit], records: Mapping[str, Any], out: Path
) -> dict[str, list[str]]:
    """Return the maps of each row: a column of effects and one of variances, or one a side."""
    places = {}
    for unit in units:
        record = records[unit.key]
        for name, maps in ({} if record is None else record["maps"]).items():
            at = (unit.entities["sub"], unit.entities.get("ses"), name)
            places[at] = {
                column: str((out / path).absolute())
                for key, paths in maps.items()
                for column, path in zip(map_columns(key, len(paths)), paths, strict=True)
            }
    sessions = table["session"] if "session" in table else [None] * len(table)
    rows = [places[row] for row in zip(table["subject"], sessions, table["contrast"], strict=True)]
    for row in rows:
        if row.keys() != rows[0].keys():
            raise DataError("the subjects' maps are of different hemispheres")
    return {column: [row[column] for row in rows] for column in rows[0]}


def map_columns(name: str, n_files: int) -> tuple[str, ...]:
    """Name the columns of a table of maps: one, or of surfaces one a hemisphere."""
    return (name,) if n_files == 1 else tuple(f"{name}_{side}" for side in SIDES)


def _write_part(
    group: Group,
    rows: pd.DataFrame,
    folder: Path,
    naming: Naming,
    mask: Path | None,
    mesh: Any,
    page: bool,
) -> None:
    """Fit one model of a group and write its contrasts and decisions."""
    n_files = 1 if IMAGES[0] in rows else len(SIDES)
    effect, variance = (map_columns(name, n_files) for name in IMAGES)
    maps = Maps(
        rows,
        effect=effect if n_files > 1 else effect[0],
        variance=variance if n_files > 1 else variance[0],
        mesh=mesh,
        mask=mask,
        smoothing_fwhm=group.smoothing_fwhm,
        zeros=group.zeros,  # type: ignore[arg-type]
    )
    fitted = fit_group(group, maps)
    found = ask_group(group, fitted)
    fitted.save(folder, contrasts=found, entities=naming.entities)
    write_text(folder / "summary.txt", f"{fitted.summary()}\n")
    verdicts = _decide(found, group.correction, folder, naming)
    if page:
        fitted.report(folder / "report.html", verdicts, title=group.name)
