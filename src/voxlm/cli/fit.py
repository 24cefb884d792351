"""``voxlm fit``: a formula and images in, maps out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import lazy_loader
import typer

import voxlm as vx
from voxlm.cli.options import (
    Confounds,
    Debug,
    Events,
    Formula,
    Hrf,
    Json,
    Model,
    Report,
    ScalingName,
    Seed,
)
from voxlm.cli.telling import MisuseError, check_page, telling

# The program answers --help and explains misuse without loading what computes and draws.
rehearsal = lazy_loader.load("voxlm.cli.rehearsal", suppress_warning=True)
conclusion = lazy_loader.load("voxlm.cli.conclusion", suppress_warning=True)


def fit(
    formula: Formula,
    bold: Annotated[
        list[Path], typer.Option(help="4-D image (.nii, .nii.gz); once a run.", show_default=False)
    ],
    events: Events = None,
    confounds: Confounds = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Mask on the image's grid: one for all runs, or one a run."),
    ] = None,
    tr: Annotated[
        float | None, typer.Option(help="Repetition time in s; else from sidecar or header.")
    ] = None,
    slice_time_ref: Annotated[
        float, typer.Option(help="Moment within a TR that scan times stand for, 0 to 1.")
    ] = 0.0,
    smoothing_fwhm: Annotated[
        float | None, typer.Option(help="Width of a Gaussian, in mm.")
    ] = None,
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
    alpha: Annotated[float, typer.Option(help="The error rate to hold.")] = 0.05,
    check: Annotated[
        int, typer.Option(help="Refit so many random voxels with statsmodels and compare.", min=0)
    ] = 0,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for maps, tables, pictures and provenance.")
    ] = None,
    report: Report = None,
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

    voxlm fit "y ~ face" --bold bold.nii.gz --events events.tsv --check 50 --report face.html
    """
    with telling(debug):
        check_page(report)
        noise = _noise(model, order=order, maxiter=maxiter, rtol=rtol)
        runs = _runs(
            bold,
            events=events,
            confounds=confounds,
            mask=mask,
            tr=tr,
            slice_time_ref=slice_time_ref,
            smoothing_fwhm=smoothing_fwhm,
            scaling=None if scaling is ScalingName.none else scaling.value,
        )
        questions = contrast or []
        rehearsal.rehearse(
            formula,
            runs,
            questions,
            hrf=hrf,
            correct=correct,
            alpha=alpha,
            order=0 if model is Model.lm else noise.get("order", 1),
            stack=stack,
        )
        progress = sys.stderr.isatty() and not as_json
        verb: Any = vx.lm if model is Model.lm else vx.glsar
        fitted = verb(
            formula,
            runs[0] if len(runs) == 1 else runs,
            hrf=hrf,
            stack=stack,
            progress=progress,
            **noise,
        )
        conclusion.conclude(
            fitted,
            questions,
            correct=correct,
            alpha=alpha,
            check=check,
            seed=seed,
            out=out,
            report=report,
            as_json=as_json,
        )


def _noise(model: Model, **given: float | None) -> dict[str, Any]:
    """Return the options of the noise model that were given; ``lm`` has none."""
    named = {name: value for name, value in given.items() if value is not None}
    if model is Model.lm and named:
        options = ", ".join(f"--{name}" for name in named)
        raise MisuseError(f"{options}: independent noise has no such option; use --model glsar")
    return named


def _runs(bold: Sequence[Path], **options: Any) -> list[vx.Run]:
    """Pair images with their tables."""
    events = _one_a_run("--events", options.pop("events"), len(bold))
    confounds = _one_a_run("--confounds", options.pop("confounds"), len(bold))
    masks = _masks(options.pop("mask"), len(bold))
    return [
        vx.Run(image, events=shown, confounds=courses, mask=inside, **options)
        for image, shown, courses, inside in zip(bold, events, confounds, masks, strict=True)
    ]


def _one_a_run(option: str, paths: list[Path] | None, n_runs: int) -> Sequence[Path | None]:
    """Return one path a run, or none at all."""
    if not paths:
        return [None] * n_runs
    if len(paths) != n_runs:
        raise MisuseError(
            f"{option} was given {len(paths)} times and --bold {n_runs} times; "
            "give it once a run, in the same order"
        )
    return paths


def _masks(paths: list[Path] | None, n_runs: int) -> Sequence[Path | None]:
    """Return one mask a run; a single one serves all."""
    if paths and len(paths) == 1:
        return paths * n_runs
    return _one_a_run("--mask", paths, n_runs)
