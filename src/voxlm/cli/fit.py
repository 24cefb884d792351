"""``voxlm fit``: a formula and images in, maps out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import lazy_loader
import typer

import voxlm as vx
from voxlm.cli.correcting import (
    PERMUTED,
    Alpha,
    Connectivity,
    Forming,
    FormingP,
    Level,
    NPerm,
    Tail,
    TwoSided,
    correction_options,
)
from voxlm.cli.hemispheres import Hemisphere, Image, images, one_mesh
from voxlm.cli.options import (
    Confounds,
    Debug,
    Events,
    Formula,
    Hrf,
    Json,
    MaybeSeed,
    Mesh,
    Model,
    Report,
    ReportFile,
    ScalingName,
    Width,
)
from voxlm.cli.telling import MisuseError, page_of, telling

# The program answers --help and explains misuse without loading what computes and draws.
rehearsal = lazy_loader.load("voxlm.cli.rehearsal", suppress_warning=True)
conclusion = lazy_loader.load("voxlm.cli.conclusion", suppress_warning=True)


def fit(
    formula: Formula,
    bold: Annotated[
        list[Path],
        typer.Option(
            help="Scans (.nii, .nii.gz, .dtseries.nii), once a run; of a surface the .func.gii of "
            "each hemisphere.",
            show_default=False,
        ),
    ],
    events: Events = None,
    confounds: Confounds = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Mask of the image's kind: one for all runs, or one a run."),
    ] = None,
    mesh: Mesh = None,
    hemisphere: Hemisphere = None,
    tr: Annotated[
        float | None, typer.Option(help="Repetition time in s; else from sidecar or header.")
    ] = None,
    slice_time_ref: Annotated[
        float, typer.Option(help="Moment within a TR that scan times stand for, 0 to 1.")
    ] = 0.0,
    smoothing_fwhm: Width = None,
    scaling: Annotated[
        ScalingName, typer.Option(help="Percent of each voxel's mean, of the grand mean, or none.")
    ] = ScalingName.percent,
    model: Annotated[
        Model, typer.Option(help="lm: independent noise. glsar: AR(p) noise.")
    ] = Model.glsar,
    order: Annotated[int | None, typer.Option(help="Order of the AR noise. [default: 1]")] = None,
    maxiter: Annotated[int | None, typer.Option(help="Fits at most. [default: 3]")] = None,
    rtol: Annotated[
        float | None, typer.Option(help="When a voxel has settled. [default: 1e-4]")
    ] = None,
    hrf: Hrf = "spm",
    stack: Annotated[
        bool, typer.Option("--stack", help="Fit several runs as one model, nuisance a run.")
    ] = False,
    contrast: Annotated[
        list[str] | None,
        typer.Option(help='"face - house" is a t, "face, house" a joint F; repeatable.'),
    ] = None,
    correct: Annotated[
        str,
        typer.Option(
            help="fdr, fdr_by, bonferroni, holm, none, ari or grf; several runs: maxt, tfce, …"
        ),
    ] = "fdr",
    alpha: Alpha = 0.05,
    two_sided: TwoSided = True,
    forming_p: FormingP = None,
    forming: Forming = None,
    connectivity: Connectivity = None,
    level: Level = None,
    n_perm: NPerm = None,
    tail: Tail = None,
    check: Annotated[
        int, typer.Option(help="Refit so many random voxels with statsmodels and compare.", min=0)
    ] = 0,
    seed: MaybeSeed = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for maps, tables, pictures and provenance.")
    ] = None,
    report: Report = False,
    report_file: ReportFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit a formula at every voxel, test contrasts, and write maps.

    Several runs are fitted one by one and combined by fixed effects, or with --stack as one model.

    **Examples**

    voxlm fit "y ~ face + house + motion" --bold bold.nii.gz --events events.tsv
    --confounds confounds.tsv --mask mask.nii.gz --contrast "face - house" --out out/

    voxlm fit "y ~ trial_type" --bold run-1.nii.gz --bold run-2.nii.gz --events run-1.tsv
    --events run-2.tsv --model lm --contrast "face, house" --correct bonferroni

    voxlm fit "y ~ face" --bold bold.nii.gz --events events.tsv --check 50 --report --out out/

    voxlm fit "y ~ face" --bold hemi-L_bold.func.gii --bold hemi-R_bold.func.gii
    --mesh hemi-L.surf.gii --mesh hemi-R.surf.gii --events events.tsv --contrast face
    """
    with telling(debug):
        page = page_of(report, report_file, out)
        noise = _noise(model, order=order, maxiter=maxiter, rtol=rtol)
        runs = _runs(
            bold, events=events, confounds=confounds, mask=mask, hemisphere=hemisphere, tr=tr,
            mesh=one_mesh(mesh, hemisphere), slice_time_ref=slice_time_ref,
            smoothing_fwhm=smoothing_fwhm,
            scaling=None if scaling is ScalingName.none else scaling.value,
        )  # fmt: skip
        progress = sys.stderr.isatty() and not as_json
        drawn = seed if correct in PERMUTED or not check else None
        options = correction_options(
            correct, forming_p=forming_p, forming=forming, connectivity=connectivity, level=level,
            n_perm=n_perm, seed=drawn, tail=tail, progress=progress,
        )  # fmt: skip
        questions = contrast or []
        rehearsal.rehearse(
            formula, runs, questions, hrf=hrf, correct=correct, alpha=alpha,
            order=0 if model is Model.lm else noise.get("order", 1), stack=stack,
        )  # fmt: skip
        verb: Any = vx.lm if model is Model.lm else vx.glsar
        data = runs[0] if len(runs) == 1 else runs
        fitted = verb(formula, data, hrf=hrf, stack=stack, progress=progress, **noise)
        conclusion.conclude(
            fitted, questions, check=check, seed=seed or 0, out=out, report=page, as_json=as_json,
            correcting={"correct": correct, "alpha": alpha, "two_sided": two_sided, **options},
        )  # fmt: skip


def _noise(model: Model, **given: float | None) -> dict[str, Any]:
    """Return the options of the noise model that were given; ``lm`` has none."""
    named = {name: value for name, value in given.items() if value is not None}
    if model is Model.lm and named:
        options = ", ".join(f"--{name}" for name in named)
        raise MisuseError(f"{options}: independent noise has no such option; use --model glsar")
    return named


def _runs(bold: Sequence[Path], **options: Any) -> list[vx.Run]:
    """Pair images with their tables."""
    hemisphere = options.pop("hemisphere")
    scans = images("--bold", bold, hemisphere)
    events = _one_a_run("--events", options.pop("events"), len(scans))
    confounds = _one_a_run("--confounds", options.pop("confounds"), len(scans))
    masks = _masks(images("--mask", options.pop("mask"), hemisphere), len(scans))
    return [
        vx.Run(image, events=shown, confounds=courses, mask=inside, **options)
        for image, shown, courses, inside in zip(scans, events, confounds, masks, strict=True)
    ]


def _one_a_run(option: str, given: Sequence[Image] | None, n_runs: int) -> Sequence[Image | None]:
    """Return one image or table a run, or none at all."""
    if not given:
        return [None] * n_runs
    if len(given) != n_runs:
        raise MisuseError(
            f"{option} was given {len(given)} times and --bold {n_runs} times; "
            "give it once a run, in the same order"
        )
    return given


def _masks(given: Sequence[Image], n_runs: int) -> Sequence[Image | None]:
    """Return one mask a run; a single one serves all."""
    return _one_a_run("--mask", list(given) * n_runs if len(given) == 1 else given, n_runs)
