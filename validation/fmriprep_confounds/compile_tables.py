"""Formulas on fMRIPrep's real tables: python -m validation.fmriprep_confounds.compile_tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import voxlm as vx
from validation.compare import show
from validation.data import folder

DATA = folder("fmriprep_confounds")
AXES = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
PARTS = ["", "_derivative1", "_power2", "_derivative1_power2"]
MOTION24 = [axis + part for part in PARTS for axis in AXES]


def starting(*starts: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return what takes the columns whose names start so, in the order of the table."""
    return lambda table: table[[name for name in table if name.startswith(starts)]]


def spikes(table: pd.DataFrame) -> pd.DataFrame:
    """Return one column for each scan that moved by more than 0.5 mm."""
    bad = np.flatnonzero(table["framewise_displacement"] > 0.5)
    return pd.DataFrame(np.eye(len(table))[:, bad])


# What each word stands for, taken from the table by pandas.
FORMULAS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "y ~ motion": lambda table: table[AXES],
    "y ~ motion12": lambda table: table[MOTION24[:12]],
    "y ~ motion24": lambda table: table[MOTION24],
    "y ~ motion24 - rot_z": lambda table: table[MOTION24].drop(columns="rot_z"),
    "y ~ motion + wmcsf": lambda table: table[[*AXES, "csf", "white_matter"]],
    "y ~ gsr": lambda table: table[["global_signal"]],
    "y ~ acompcor(5)": lambda table: table[[f"a_comp_cor_0{k}" for k in range(5)]],
    "y ~ tcompcor(3)": lambda table: table[
        [name for name in table if name.startswith(("t_comp_cor_", "tcompcor_"))][:3]
    ],
    "y ~ nonsteady": starting("non_steady_state_outlier"),
    'y ~ match("motion_outlier*")': starting("motion_outlier"),
    "y ~ scrub(0.5)": spikes,
    "y ~ standardize(csf)": lambda table: (
        (table[["csf"]] - table["csf"].mean()) / table["csf"].std(ddof=0)
    ),
    "y ~ lag(csf, 1)": lambda table: table[["csf"]].shift(1),
}


def tables() -> list[Path]:
    """Return the confounds tables: one row a scan."""
    return sorted(DATA.glob("*desc-confounds*.tsv"))


def outcome(formula: str, path: Path) -> str:
    """Return the number of confound columns and their largest difference from pandas'."""
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    scans = np.random.default_rng(0).normal(100, 1, (len(table), 1))
    try:
        made = vx.design(formula, vx.Run(scans, confounds=path, tr=2.0))
    except vx.VoxlmError as error:
        return str(error).splitlines()[0]
    chosen = [column.role == "confound" for column in made.columns]
    ours = made.matrix[:, chosen]
    expected = FORMULAS[formula](table).fillna(0.0).to_numpy(dtype=float)
    if ours.shape != expected.shape:
        return f"{ours.shape[1]}, but the table has {expected.shape[1]}"
    size = max(1e-300, np.abs(expected).max(initial=0.0))
    gap = np.abs(ours - expected).max(initial=0.0) / size
    return f"{ours.shape[1]}" if gap < 1e-12 else f"{ours.shape[1]}, off by {gap:.1e}"


def main() -> None:
    """Print one row a formula, one column a table, and one explanation."""
    names = {f"table {k + 1}": path for k, path in enumerate(tables())}
    for name, path in names.items():
        frame = pd.read_csv(path, sep="\t")
        print(f"{name}: {path.name}, {len(frame)} scans, {frame.shape[1]} columns")
    show(
        "Confound columns, equal to the table's to 1e-12 unless said",
        {text: {name: outcome(text, path) for name, path in names.items()} for text in FORMULAS},
    )
    events = DATA / "sub-01_task-auditory_events.tsv"
    confounds = DATA / "sub-01_task-auditory_desc-confounds_timeseries.tsv"
    print(f"\n{vx.explain('y ~ trial_type + motion12 + wmcsf', events, confounds)}")


if __name__ == "__main__":
    main()
