"""``voxlm report``: one page about results that were saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

import voxlm as vx
from voxlm.cli.correcting import Alpha, TwoSided
from voxlm.cli.hemispheres import Hemisphere, one_mesh
from voxlm.cli.options import Debug, Json, Mesh
from voxlm.cli.telling import check_page, telling


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What voxlm fit --out or fit.save() wrote.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page (.html). [default: report.html in FOLDER]")
    ] = None,
    correct: Annotated[
        str, typer.Option(help="fdr, fdr_by, bonferroni, holm, ari or none.")
    ] = "fdr",
    alpha: Alpha = 0.05,
    two_sided: TwoSided = True,
    mesh: Mesh = None,
    hemisphere: Hemisphere = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write one page on saved results: model, maps, clusters, what was left out.

    Residuals, peaks and the methods paragraph need the data: voxlm fit … --report.

    **Examples**

    voxlm report out/

    voxlm report out/ --correct bonferroni --out face.html
    """
    with telling(debug):
        check_page(out, "--out")
        page = vx.report_saved(
            folder, out, correct=correct, alpha=alpha, two_sided=two_sided,
            mesh=one_mesh(mesh, hemisphere),
        )  # fmt: skip
        typer.echo(json.dumps({"report": str(page)}) if as_json else f"report in {page}")
