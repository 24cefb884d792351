"""A page about results on disk: what a folder of maps and its provenance can tell.

Residuals and series need the data, so a page written by the fit itself says more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from voxlm import report
from voxlm.analysis.background import outline
from voxlm.analysis.pages.contrasts import contrast_blocks
from voxlm.analysis.pages.maps import drawn_maps
from voxlm.analysis.pages.write import check_page_name, footer
from voxlm.analysis.threshold import threshold
from voxlm.analysis.verdict import Verdict
from voxlm.design.columns import Column, Design
from voxlm.errors import DataError
from voxlm.images.atomic import write_text
from voxlm.images.single import read_single

MAPS = {
    "rsquared": "R²", "rho": "ρ", "icc": "ICC", "tau2": "τ²", "i2": "I²", "nobs": "maps",
}  # fmt: skip
IMAGES = (".nii.gz", ".func.gii", ".dscalar.nii")


def report_saved(
    folder: str | PathLike[str],
    path: str | PathLike[str] | None = None,
    *,
    correct: str = "fdr",
    alpha: float = 0.05,
    two_sided: bool = True,
    title: str | None = None,
    mesh: Any = None,
) -> Path:
    """Write one page on results that were saved: model, contrasts, maps, data left out.

    Parameters
    ----------
    folder : path
        From ``fit.save(folder)``, of runs or of a group, or from ``voxlm fit … --out folder``: one
        fit, of images.
    path : path, optional
        Ends in ``.html``; ``report.html`` in the folder where not given.
    correct, alpha, two_sided
        As for :func:`voxlm.threshold`: the saved statistics are corrected anew.
    title : str, optional
        Of the page; the name of the data where not given.
    mesh : pair (left, right) of paths, nibabel images or nilearn meshes, optional
        The surfaces of maps on them, as for :class:`voxlm.Run`: for clusters and pictures.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If the folder has no provenance, that of several fits, or no maps of its contrasts.

    Notes
    -----
    Saved maps are float32, so that statistics have seven digits. Residuals, the peak's series and
    the methods paragraph need the fit: :meth:`voxlm.Fit.report`.
    """
    root = Path(folder)
    target = root / "report.html" if path is None else Path(path)
    check_page_name(target)
    record = _provenance(root)
    sections = [report.Section("Model", tuple(_model(root, record)))]
    empty = SimpleNamespace(coefficients=())
    for name, asked in record.get("contrasts", {}).items():
        verdict = _decided(root, name, asked, correct, alpha, two_sided, mesh)
        under = outline(verdict.contrast.space)
        blocks = contrast_blocks(asked["text"], verdict, empty, under)
        sections.append(report.Section(asked["text"], tuple(blocks)))
    sections.append(report.Section("Fit", tuple(_maps(root, mesh))))
    sections.append(report.Section("Left out", tuple(_left_out(record))))
    runs = record.get("runs", [])
    named = title or (runs[0]["name"] if len(runs) == 1 else root.resolve().name)
    subtitle = runs[0]["formula"] if runs else str(record.get("formula", ""))
    page = report.Page(named, subtitle, tuple(sections), footer())
    return write_text(target, report.render(page))


def _provenance(root: Path) -> dict[str, Any]:
    records = sorted(root.rglob("*provenance.json"))
    found = [path for path in records if "desc-model" not in path.name]  # that of a model file
    if len(found) != 1:
        many = f"{len(found)} fits; name the folder of one" if found else "no provenance.json"
        raise DataError(f"{root} holds {many}: give a folder that fit.save() or --out wrote")
    try:
        record: dict[str, Any] = json.loads(found[0].read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{found[0]} is not JSON: {error}") from error
    return record


def _images(root: Path, suffix: str, part: str = "") -> Any:
    """Return the image whose name ends so, has this part, and is no decision's; or a pair."""
    found = [
        path
        for path in sorted(root.rglob(f"*{suffix}.*"))
        if path.name.endswith(IMAGES) and part in path.name and "desc-" not in path.name
    ]
    return _both(found)


def _both(found: list[Path]) -> Any:
    """Return the first file, with the other hemisphere's where there is one."""
    whole = [re.sub(r"hemi-[LR]_", "", path.name) for path in found]
    sides = [path for path, name in zip(found, whole, strict=True) if name == whole[0]]
    return None if not found else sides[0] if len(sides) == 1 else tuple(sides)


def _mask(root: Path) -> Any:
    return _both([p for p in sorted(root.rglob("*mask.*")) if p.name.endswith(IMAGES)])


def _decided(
    root: Path,
    name: str,
    asked: Mapping[str, Any],
    correct: str,
    alpha: float,
    two_sided: bool,
    mesh: Any,
) -> Verdict:
    kind, df = asked["statistic"], asked["df"]
    plain = isinstance(df, int | float)
    # With df a voxel, the normal score stands for the statistic: it has the same tail.
    stat = kind if plain else "z"
    file = _images(root, f"stat-{stat}_statmap", f"contrast-{name}_")
    if file is None:
        raise DataError(f"{root} has no {stat} map of {asked['text']!r}: was it saved as images?")
    verdict = threshold(
        file,
        correct,
        alpha,
        two_sided and kind == "t",
        stat=stat,
        df=float(df) if plain else None,
        df_num=asked["df_num"] if stat == "F" else None,
        mask=_mask(root),
        mesh=mesh,
    )
    contrast = verdict.contrast
    rows = [row.removesuffix(" = 0") for row in asked["rows"]]
    names = tuple(rows) if len(rows) == len(contrast.hypothesis.names) else (asked["text"],)
    known = replace(contrast.hypothesis, text=asked["text"], names=names)
    return replace(verdict, contrast=replace(contrast, hypothesis=known))


def _model(root: Path, record: Mapping[str, Any]) -> Iterator[Any]:
    yield report.Prose(
        "This page was made from saved results. The residuals, the peaks' series and the methods "
        "paragraph need the fit itself: fit.report().",
        "note",
    )
    row = "scan" if "runs" in record else "map"
    if "runs" not in record:
        yield report.Code(str(record["formula"]).strip(), "Formula")
        yield report.Facts(tuple(_group_facts(record)))
    for run in record.get("runs", []):
        yield report.Code(run["formula"], f"Formula of {run['name']}")
        yield report.Facts(tuple(_facts(record, run)))
    design = next(iter(sorted(root.rglob("*design.tsv"))), None)
    if design is not None:
        columns = pd.read_csv(design, sep="\t").drop(columns="frame_times", errors="ignore")
        names = [str(name) for name in columns]
        made = Design(columns.to_numpy(float), tuple(Column(n, n, "group") for n in names))
        yield report.picture(
            report.plot_design(made), f"The design: a row a {row}, a column a column"
        )
        drawn = report.plot_correlation(made)
        yield report.picture(drawn, "Correlation of every two columns that vary")
    versions = pd.DataFrame(record.get("versions", {}).items(), columns=["package", "version"])
    yield report.grid(versions, "Versions that made the results")


def _facts(record: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    noise = record.get("noise", {})
    yield "Estimate", f"{record['model']}" + (f", AR({noise['order']})" if "order" in noise else "")
    yield "Scans", f"{run['n_scans_kept']} of {run['n_scans']}, TR {run['tr']:g} s"
    yield "Voxels", f"{run['voxels']['fitted']:,} fitted of {run['voxels']['in_mask']:,}"
    yield "Columns", f"{len(run['columns'])}"
    yield "Residual degrees of freedom", f"{run['df_resid']:g}"
    yield "Scaling", str(run["scaling"])


def _group_facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Estimate", str(record["model"])
    yield "Maps", f"{record['maps']['rows']}"
    yield "Fitted", f"{record['voxels']['fitted']:,} of {record['voxels']['in_mask']:,}"
    yield "Columns", f"{len(record['columns'])}"
    if record["random"]:
        yield "Random terms", ", ".join(record["random"])


def _maps(root: Path, mesh: Any) -> Iterator[Any]:
    mask = _mask(root)
    if mask is None:
        yield report.Prose("The folder has no mask, so no map of the fit is shown.", "note")
        return
    for name, label in MAPS.items():
        file = _images(root, f"stat-{name}_statmap")
        if file is None:
            continue
        found = read_single(file, mask, mesh)
        yield from drawn_maps(found.space, found.values, label, None, signed=name == "rho")
        drawn = report.plot_histogram(found.values, label, found.space.counted)
        yield report.picture(drawn, f"{label} over {found.space.counted}")


def _left_out(record: Mapping[str, Any]) -> Iterator[Any]:
    rows = []
    for run in record.get("runs", []):
        out = run["voxels"]["left_out"]
        pairs = [(f"Voxels left out: {why}", f"{count:,}") for why, count in out.items()]
        yield report.Facts(tuple(pairs) or (("Voxels left out", "none"),))
        for note in run["notes"]:
            yield report.Prose(note, "note")
        rows += [
            (i["role"], Path(i["path"]).name, i["bytes"], i["sha256"][:16]) for i in run["inputs"]
        ]
    rows += [
        (i["role"], Path(i["path"]).name, i["bytes"], i["sha256"][:16])
        for i in record.get("inputs", [])
    ]
    frame = pd.DataFrame(rows, columns=["role", "file", "bytes", "SHA-256, first 16"])
    yield report.grid(frame, "Files that went in", {"bytes": ",.0f"})
