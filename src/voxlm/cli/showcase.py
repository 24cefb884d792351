"""The demonstration: simulate, fit as anyone would, and judge by the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

import voxlm as vx
from voxlm import report
from voxlm.analysis.fit import Fit
from voxlm.cli.answers import Answer, answer, write_answers
from voxlm.images.atomic import check_writable, write_text
from voxlm.simulate import Score, Study, score, study

FORMULA = "y ~ face + house + motion"
#: Contrasts, and their weights on the true effects of face and house.
CONTRASTS: dict[str, list[tuple[float, float]]] = {
    "face - house": [(1.0, -1.0)],
    "(face + house)/2": [(0.5, 0.5)],
    "face, house": [(1.0, 0.0), (0.0, 1.0)],
}
ALPHA = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One contrast of the demonstration, and how it stands against the truth.

    Parameters
    ----------
    answer : Answer
    truth : ndarray, shape (Q, V)
    score : Score
    """

    answer: Answer
    truth: NDArray[np.float64]
    score: Score


def show(out: Path, *, seed: int, as_json: bool) -> None:
    """Run the demonstration and print its table.

    Parameters
    ----------
    out : Path
        The study goes to ``out/data``, results to ``out/results``.
    seed : int
    as_json : bool
        Print one JSON object instead of text.
    """
    check_writable(out, folder=True)
    made = study(out / "data", seed=seed)
    (run,) = made.runs
    fitted = vx.glsar(FORMULA, run)
    judged = [_judge(each, made) for each in answer(fitted, list(CONTRASTS), "fdr", ALPHA)]
    results = out / "results"
    write_answers(fitted, [each.answer for each in judged], results)
    if report.can_draw("design_correlation.png and truth.png"):
        _draw(fitted, judged[0], made, results)
    record = _record(judged, made, fitted, seed)
    write_text(results / "score.json", json.dumps(record, indent=2) + "\n")
    if as_json:
        typer.echo(json.dumps(record, indent=2))
        return
    typer.echo(f"{fitted}\n")
    for each in judged:
        typer.echo(f"{each.answer.contrast.text}: {each.answer.verdict}\n{each.score}\n")
    typer.echo(
        f"rho        mean {np.nanmean(fitted.rho[0]):.3f}, truth {made.truth.rho.mean():.3f}"
    )
    typer.echo(f"study      {made.folder}\nresults    {results}\npictures   {_pictures(results)}")


def _judge(answered: Answer, made: Study) -> Judged:
    """Put a contrast's true effect beside its estimate."""
    effects = np.stack([made.truth.effects[name] for name in ("face", "house")])
    truth = np.asarray(CONTRASTS[answered.contrast.text]) @ effects
    found = score(
        truth,
        np.atleast_2d(answered.contrast.effect),
        answered.verdict.significant,
        made.truth.labels,
        made.truth.regions,
    )
    return Judged(answered, truth, found)


def _draw(fitted: Fit, first: Judged, made: Study, results: Path) -> None:
    """Draw the design's correlations, and estimates against the truth."""
    report.save_picture(report.plot_correlation(fitted.design), results / "design_correlation.png")
    axes = report.plot_truth(
        first.truth[0], first.answer.contrast.effect, made.truth.labels, made.truth.regions
    )
    axes.set_title(first.answer.contrast.text)
    report.save_picture(axes, results / "truth.png")


def _pictures(results: Path) -> str:
    """List the pictures written."""
    return ", ".join(sorted(path.name for path in results.glob("*.png")))


def _record(judged: list[Judged], made: Study, fitted: Fit, seed: int) -> dict[str, object]:
    """Return the whole comparison as plain numbers and texts."""
    return {
        "seed": seed,
        "formula": FORMULA,
        "formula_as_understood": fitted.design.formula,
        "n_voxels": fitted.n_voxels,
        "n_scans": fitted.run.clock.n_scans,
        "df_resid": fitted.df_resid,
        "mean_rho": {
            "truth": float(made.truth.rho.mean()),
            "estimate": float(np.nanmean(fitted.rho[0])),
        },
        "contrasts": [
            each.answer.record()
            | {
                "power": each.score.power,
                "false_discovery_proportion": each.score.false_discovery_proportion,
                "regions": json.loads(each.score.table.to_json(orient="index")),
            }
            for each in judged
        ],
    }
