"""The row of the compiler: from text to matrix, against nilearn on as many columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix

import voxlm as vx
from benchmarks.measure import DifferentWorkError, Measured, Row, Settings, in_turn
from voxlm.formula import engine

FORMULA = "y ~ trial_type*task/rt + motion24 + acompcor(5) + cosine(1/128)"
N_SCANS, N_EVENTS, TR = 400, 200, 2.0
AXES = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make events of three conditions and two tasks, and confounds in fMRIPrep's names."""
    rng = np.random.default_rng(0)
    events = pd.DataFrame(
        {
            "onset": np.sort(rng.uniform(0, 780, N_EVENTS)),
            "duration": rng.choice([0.5, 1.0, 2.0], N_EVENTS),
            "trial_type": rng.choice(["face", "house", "tool"], N_EVENTS),
            "task": rng.choice(["attend", "ignore"], N_EVENTS),
            "rt": rng.uniform(0.3, 1.5, N_EVENTS),
        }
    )
    names = [*AXES, *(f"a_comp_cor_{k:02d}" for k in range(200))]
    return events, pd.DataFrame(rng.normal(size=(N_SCANS, len(names))), columns=names)


def compiled(run: vx.Run) -> vx.Design:
    """Compile the formula with nothing of it remembered."""
    engine.expand.cache_clear()
    engine.structure.cache_clear()
    return vx.design(FORMULA, run)


def compiling(settings: Settings) -> Measured:
    """Time the compiler with nothing of the formula remembered, and nilearn's design matrix."""
    events, confounds = tables()
    run = vx.Run(np.ones((N_SCANS, 1)), events, confounds, tr=TR, scaling=None)
    cells = events.assign(trial_type=events.trial_type + events.task)
    scaled = cells.assign(trial_type=cells.trial_type + "_rt", modulation=cells.rt)
    table = pd.concat([cells.assign(modulation=1.0), scaled])
    table = table[["onset", "duration", "trial_type", "modulation"]]

    def peer() -> pd.DataFrame:
        return make_first_level_design_matrix(
            run.clock.times, table, "spm", high_pass=1 / 128, add_regs=confounds.iloc[:, :29]
        )

    our_times, peer_times, made, theirs = in_turn(lambda: compiled(run), peer, settings.repeat)
    if len(made.names) != theirs.shape[1]:
        raise DifferentWorkError(f"{len(made.names)} columns for nilearn's {theirs.shape[1]}")
    span = np.linalg.lstsq(theirs.to_numpy()[:, :12], made.matrix[:, :12], rcond=None)[1]
    agreement = (
        f"{len(made.names)} columns on both sides; our task columns lie in the span of nilearn's "
        f"to {span.max() ** 0.5:.1g}"
    )
    return Measured(our_times, peer_times, agreement)


def compile_alone(settings: Settings) -> Measured:
    """Time the compiler by itself, against the clock."""
    run = vx.Run(np.ones((N_SCANS, 1)), *tables(), tr=TR, scaling=None)
    times, *_ = in_turn(lambda: compiled(run), lambda: None, settings.repeat)
    return Measured(times)


ROWS = (
    Row(
        "compile",
        f"text to matrix: {FORMULA}, {N_SCANS} scans, {N_EVENTS} events",
        "nilearn make_first_level_design_matrix",
        "faster",
        1.0,
        2.0,
        compiling,
    ),
    Row("compile-time", "the same", "", "under", 0.05, 0.025, compile_alone),
)
