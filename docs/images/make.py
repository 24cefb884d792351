"""Draw the pictures of the README and the docs: python docs/images/make.py."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nilearn.datasets import load_fsaverage
from nilearn.surface import SurfaceImage

import voxlm as vx
from voxlm.cli.answers import answer, picture
from voxlm.report import plot_correlation, plot_design, plot_truth, save_picture
from voxlm.report.canvas import new_figure
from voxlm.simulate import study

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "corrections.md"


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


def corrections() -> None:
    """Run the first blocks of the page on corrections, and draw what it speaks of."""
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for block in blocks[:2]:
        exec(block, names)
    save_picture(names["by_tfce"].plot(), HERE / "corrections-tfce.png")
    verdict = names["by_height"]
    figure = new_figure(6, 2.8)
    ax = figure.add_subplot()
    ax.hist(verdict.null, bins=40, color="0.75")
    ax.axvline(verdict.threshold, color="tab:red")
    ax.annotate(
        f"5 % lie beyond {verdict.threshold:.2f}",
        (verdict.threshold, 0.9),
        xycoords=("data", "axes fraction"),
        xytext=(6, 0),
        textcoords="offset points",
        color="tab:red",
    )
    ax.set(xlabel="largest |t| of a permutation", ylabel="permutations")
    ax.spines[["top", "right"]].set_visible(False)
    save_picture(figure, HERE / "corrections-null.png")


def surfaces() -> None:
    """Simulate sixteen maps on fsaverage5 with one region a hemisphere, test them, and draw."""
    rng = np.random.default_rng(0)
    mesh = load_fsaverage("fsaverage5")["pial"]
    maps = {}
    for side, x in (("left", -40.0), ("right", 40.0)):
        away = ((mesh.parts[side].coordinates - [x, -52.0, -18.0]) ** 2).sum(axis=1)
        effect = 2.5 * np.exp(-away / (2 * 9.0**2))
        maps[side] = (effect + rng.normal(0, 3, (16, effect.size))).astype(np.float32)
    pairs = [SurfaceImage(mesh, {side: rows[k] for side, rows in maps.items()}) for k in range(16)]
    table = pd.DataFrame({"effect": pairs})
    group = vx.lm("~ 1", vx.Maps(table, mesh=mesh, smoothing_fwhm=6.0))
    figure = group.contrast("Intercept").correct("fdr").plot()
    figure.savefig(HERE / "surface.png", dpi=80, facecolor="white", metadata={"Software": None})


if __name__ == "__main__":
    main()
    corrections()
    surfaces()
