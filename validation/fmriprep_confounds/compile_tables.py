"""Formulas on fMRIPrep's real tables: python -m validation.fmriprep_confounds.compile_tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import voxlm as vx
from validation.data import folder
from voxlm.formula import Schema, parse, resolve

DATA = folder("fmriprep_confounds")
FORMULAS = (
    "y ~ motion",
    "y ~ motion12",
    "y ~ motion24",
    "y ~ motion + csf + white_matter",
    "y ~ motion24 - rot_z",
    "y ~ motion + framewise_displacement",
    "y ~ standardize(global_signal) + lag(global_signal, 1)",
    "y ~ a_comp_cor_00 + a_comp_cor_01",
    "y ~ wmcsf",
    "y ~ gsr",
    "y ~ acompcor(5)",
    "y ~ scrub(fd)",
    "y ~ nonsteady",
    'y ~ match("motion_outlier")',
)


def tables() -> list[Path]:
    """Return the confounds tables: one row a scan."""
    return sorted(DATA.glob("*desc-confounds*.tsv"))


def outcome(formula: str, path: Path) -> str:
    """Return how many confound columns a formula has on a table, or the first line of the error."""
    n_scans = len(pd.read_csv(path, sep="\t"))
    scans = np.random.default_rng(0).normal(100, 1, (n_scans, 1))
    run = vx.Run(scans, confounds=path, tr=2.0)
    try:
        # The tables of 30 rows are too short for motion24 with drift: meaning first, then matrix.
        meaning = resolve(parse(formula), Schema.of(run.events, run.confounds))
        made = vx.design(formula, run)
    except vx.VoxlmError as error:
        return str(error).splitlines()[0]
    words = sum(len(term.factors) for term in meaning.scans)
    columns = sum(column.role == "confound" for column in made.columns)
    return f"{columns} columns of {words} words"


def main() -> None:
    """Print one table of outcomes a confounds file, and one explanation."""
    for path in tables():
        frame = pd.read_csv(path, sep="\t")
        print(f"\n{path.name}: {len(frame)} scans, {frame.shape[1]} columns")
        for formula in FORMULAS:
            print(f"  {formula:<58}{outcome(formula, path)}")
    events = DATA / "sub-01_task-auditory_events.tsv"
    confounds = DATA / "sub-01_task-auditory_desc-confounds_timeseries.tsv"
    print(f"\n{vx.explain('y ~ trial_type + motion24 + csf', events, confounds)}")


if __name__ == "__main__":
    main()
