"""``voxlm threshold``: a map in, the thresholded map and its clusters out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import lazy_loader
import typer

import voxlm as vx
from voxlm.cli.correcting import (
    Alpha,
    Connectivity,
    Forming,
    FormingP,
    TwoSided,
    correction_options,
)
from voxlm.cli.hemispheres import Hemisphere, one_image, one_mesh
from voxlm.cli.options import Debug, Json, Mesh
from voxlm.cli.telling import telling

answers = lazy_loader.load("voxlm.cli.answers", suppress_warning=True)


def threshold(
    image: Annotated[
        list[Path],
        typer.Argument(
            metavar="MAP",
            help="Map of z, t, F or p: .nii, .nii.gz, .dscalar.nii, or the .func.gii of one "
            "hemisphere or of both.",
        ),
    ],
    method: Annotated[
        str, typer.Option(help="fdr, fdr_by, bonferroni, holm, ari or none.")
    ] = "fdr",
    alpha: Alpha = 0.05,
    two_sided: TwoSided = True,
    stat: Annotated[
        str | None,
        typer.Option(help="What the values are: z, t, F or p. [default: as the header says, or z]"),
    ] = None,
    df: Annotated[float | None, typer.Option(help="Residual degrees of freedom of t, F.")] = None,
    df_num: Annotated[int | None, typer.Option(help="Numerator degrees of freedom of F.")] = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Mask of the map's kind; else voxels other than 0."),
    ] = None,
    mesh: Mesh = None,
    hemisphere: Hemisphere = None,
    min_size: Annotated[
        int, typer.Option(help="Leave out clusters of fewer voxels; changes no p.", min=1)
    ] = 1,
    forming_p: FormingP = None,
    forming: Forming = None,
    connectivity: Connectivity = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for maps, table, and the verdict itself.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Correct one map for the number of voxels; print its clusters, and write them.

    Corrections that permute, or that need residuals, start from a fit: voxlm fit, voxlm group.

    **Examples**

    voxlm threshold z.nii.gz --method fdr --out out/

    voxlm threshold t.nii.gz --stat t --df 27 --method bonferroni --mask mask.nii.gz

    voxlm threshold z.nii.gz --method ari --forming 3.1

    voxlm threshold lh.func.gii rh.func.gii --mesh lh.surf.gii --mesh rh.surf.gii

    voxlm threshold left.gii --hemisphere left --mesh left.surf.gii

    voxlm threshold p.nii.gz --stat p --method none --alpha 0.001 --min-size 20
    """
    with telling(debug):
        options = correction_options(method, forming_p=forming_p, forming=forming)
        verdict = vx.threshold(
            one_image("MAP", image, hemisphere), method, alpha, two_sided, stat=stat, df=df,
            df_num=df_num, mask=one_image("--mask", mask, hemisphere),
            mesh=one_mesh(mesh, hemisphere), min_size=min_size,
            connectivity=connectivity or 6, **options,
        )  # fmt: skip
        if out is not None:
            verdict.save(out)
        found = answers.Answer("map", verdict.contrast, verdict)
        if as_json:
            record = {**found.record(), "out": None if out is None else str(out)}
            typer.echo(json.dumps(record, indent=2))
            return
        typer.echo(str(found))
        if out is not None:
            typer.echo(f"\nwritten to {out}")
