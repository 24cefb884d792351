"""``voxlm group``: a formula and maps in, corrected maps out."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import lazy_loader
import typer

from voxlm.cli.correcting import (
    Alpha,
    Blocks,
    Connectivity,
    Exchange,
    Forming,
    FormingP,
    Level,
    NPerm,
    Permute,
    Tail,
    TwoSided,
    correction_options,
)
from voxlm.cli.hemispheres import Hemisphere, columns, one_image, one_mesh
from voxlm.cli.options import Debug, Json, MaybeSeed, Mesh, Report, ReportFile, Width
from voxlm.cli.telling import page_of, telling

grouping = lazy_loader.load("voxlm.cli.grouping", suppress_warning=True)
answers = lazy_loader.load("voxlm.cli.answers", suppress_warning=True)

Model = "Model"


class Verb(StrEnum):
    """Which verb fits the maps."""

    auto = "auto"
    lm = "lm"
    lmer = "lmer"
    meta = "meta"


def group(
    formula: Annotated[
        str,
        typer.Argument(metavar="FORMULA", help='Such as "effect ~ group * age + (1 | subject)".'),
    ],
    maps: Annotated[Path, typer.Option(help="Table, one row a map (.tsv, .csv).")],
    effect: Annotated[
        list[str] | None,
        typer.Option(
            help="Its column with the maps; of hemispheres in two columns, left then right. "
            "[default: effect]"
        ),
    ] = None,
    variance: Annotated[
        list[str] | None,
        typer.Option(help="Its column, or two, with the maps of their variances."),
    ] = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Mask of the maps' kind; else voxels other than 0."),
    ] = None,
    mesh: Mesh = None,
    hemisphere: Hemisphere = None,
    smoothing_fwhm: Width = None,
    model: Annotated[
        Verb,
        typer.Option(help="auto: lmer with random terms, meta with --variance, else lm."),
    ] = Verb.auto,
    reml: Annotated[
        bool | None,
        typer.Option("--reml/--ml", help="Of lmer. [default: --reml]", rich_help_panel=Model),
    ] = None,
    df: Annotated[
        str | None,
        typer.Option(
            help="Of lmer: satterthwaite or kenward-roger. [default: satterthwaite]",
            rich_help_panel=Model,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Of meta: reml, ml, dl, pm or fe. [default: reml]", rich_help_panel=Model
        ),
    ] = None,
    variance_groups: Annotated[
        str | None,
        typer.Option(
            help="Of lm, meta: column whose groups have variances of their own.",
            rich_help_panel=Model,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Of lm, lmer: column of the maps' prior weights.", rich_help_panel=Model),
    ] = None,
    cov_type: Annotated[
        str | None,
        typer.Option(
            help="Of lm: nonrobust, HC0, HC1, HC2 or HC3. [default: nonrobust]",
            rich_help_panel=Model,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Of lm: column whose groups share errors.", rich_help_panel=Model),
    ] = None,
    robust: Annotated[
        str | None,
        typer.Option(help="Of lm: huber or bisquare.", rich_help_panel=Model),
    ] = None,
    contrast: Annotated[
        list[str] | None,
        typer.Option(help='"age" is a t, "age, group[T.b]" a joint F; repeatable.'),
    ] = None,
    correct: Annotated[
        str,
        typer.Option(
            help="fdr, fdr_by, bonferroni, holm, none, maxt, maxt_step, cluster_extent, "
            "cluster_mass, tfce, ari, pari or grf."
        ),
    ] = "fdr",
    alpha: Alpha = 0.05,
    two_sided: TwoSided = True,
    forming_p: FormingP = None,
    forming: Forming = None,
    connectivity: Connectivity = None,
    level: Level = None,
    n_perm: NPerm = None,
    seed: MaybeSeed = None,
    blocks: Blocks = None,
    exchange: Exchange = None,
    permute: Permute = None,
    tail: Tail = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for maps, verdicts, tables and provenance.")
    ] = None,
    report: Report = False,
    report_file: ReportFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit a formula over the maps of a group at every voxel, test contrasts, and correct them.

    **Examples**

    voxlm group "effect ~ group * age" --maps maps.tsv --mask mask.nii.gz --contrast "age"
    --correct tfce --n-perm 5000 --seed 0 --out out/

    voxlm group "effect ~ time + (1 | subject)" --maps maps.tsv --contrast "time" --correct maxt

    voxlm group "effect ~ group" --maps maps.tsv --variance variance --contrast "group[T.b]"

    voxlm group "effect ~ age" --maps maps.tsv --effect left --effect right --mesh lh.surf.gii
    --mesh rh.surf.gii --contrast age --correct tfce
    """
    with telling(debug):
        page = page_of(report, report_file, out)
        progress = sys.stderr.isatty() and not as_json
        fitting: dict[str, Any] = {
            "weights": weights, "reml": reml, "df": df, "method": method,
            "variance_groups": variance_groups,
            "cov_type": cov_type, "cluster": cluster, "robust": robust,
        }  # fmt: skip
        options = correction_options(
            correct, forming_p=forming_p, forming=forming, connectivity=connectivity, level=level,
            n_perm=n_perm, seed=seed, blocks=blocks, exchange=exchange, permute=permute, tail=tail,
            progress=progress,
        )  # fmt: skip
        table = grouping.read(
            maps, effect=columns("--effect", effect or ["effect"], hemisphere),
            variance=columns("--variance", variance, hemisphere),
            mask=one_image("--mask", mask, hemisphere), mesh=one_mesh(mesh, hemisphere),
            smoothing_fwhm=smoothing_fwhm, progress=progress,
        )  # fmt: skip
        verb = grouping.choose(formula, table, None if model is Verb.auto else model.value, fitting)
        questions = contrast or []
        grouping.rehearse(formula, table, questions, correct, alpha)
        fitted = verb(formula, table)
        found = answers.answer(fitted, questions, correct, alpha, two_sided, **options)
        if out is not None:
            grouping.write(fitted, found, out)
        if page is not None:
            fitted.report(page, {each.contrast.text: each.verdict for each in found})
        if as_json:
            typer.echo(json.dumps(grouping.record(fitted, found, out), indent=2))
            return
        typer.echo(grouping.told(fitted, found))
        if out is not None:
            typer.echo(f"\nwritten to {out}")
        if page is not None:
            typer.echo(f"\nreport in {page}")
