"""Draw the pictures of the README and the docs: python docs/images/make.py."""

from __future__ import annotations

import tempfile
from pathlib import Path

import voxlm as vx
from voxlm.cli.answers import answer, picture
from voxlm.report import plot_correlation, plot_design, plot_truth, save_picture
from voxlm.simulate import study

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Simulate the study of ``voxlm demo``, fit it, and draw."""
    with tempfile.TemporaryDirectory() as folder:
        made = study(folder)
        (run,) = made.runs
        fit = vx.glsar("y ~ face + house + motion", run)
        (difference,) = answer(fit, ["face - house"], "fdr", 0.05)
        save_picture(picture(fit, difference), HERE / "face-minus-house.png")
        save_picture(plot_design(fit.design), HERE / "design.png")
        save_picture(plot_correlation(fit.design), HERE / "design-correlation.png")
        truth = made.truth.effects["face"] - made.truth.effects["house"]
        axes = plot_truth(truth, difference.contrast.effect, made.truth.labels, made.truth.regions)
        save_picture(axes, HERE / "truth.png")


if __name__ == "__main__":
    main()
