"""``voxlm demo``: the main job on a study whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import lazy_loader
import typer

from voxlm.cli.options import Debug, Json, Seed
from voxlm.cli.telling import telling

showcase = lazy_loader.load("voxlm.cli.showcase", suppress_warning=True)


def demo(
    out: Annotated[Path, typer.Argument(help="Folder for the study and its results.")],
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Simulate a study, fit it, and compare the results with its truth.

    Writes a BIDS-like study (image, events, confounds, mask, true effects) to OUT/data, runs
    the same code on those files as any fit, and writes maps and pictures to OUT/results.

    **Example**

    voxlm demo out/ --seed 1
    """
    with telling(debug):
        showcase.show(out, seed=seed, as_json=as_json)
