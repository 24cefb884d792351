"""Twelve runs of one person, against SPM12: python -m validation.haxby_multirun.compare_spm."""

from __future__ import annotations

import nibabel as nib
import numpy as np

import voxlm as vx
from validation.compare import compare, show, show_check
from validation.data import folder

DATA = folder("haxby_multirun")
SPM = DATA / "reference_spm12_1slice_multisession_ar1"
CONDITIONS = ["bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe"]
FORMULA = "y ~ " + " + ".join(CONDITIONS)
OBJECTS = "(" + " + ".join(name for name in CONDITIONS if name != "scrambledpix") + ")/7"
N_RUNS, N_SCANS = 12, 121


def runs_of(kind: str = "1slice", **options: object) -> list[vx.Run]:
    """Return the twelve runs as a user would name them."""
    stem = str(DATA / "sub-1_task-objectviewing_run-{:02d}_")
    return [
        vx.Run(
            stem.format(number) + f"desc-{kind}_bold.nii.gz",
            events=stem.format(number) + "events.tsv",
            confounds=stem.format(number) + "desc-motion_timeseries.tsv",
            mask=DATA / f"desc-{kind}_brain_mask.nii.gz",
            **options,
        )
        for number in range(1, N_RUNS + 1)
    ]


def reference(name: str, run: vx.Run) -> np.ndarray:
    """Return a map of SPM's at the voxels of the run."""
    values = np.asarray(nib.load(SPM / f"{name}.nii.gz").dataobj, float)
    return values.reshape(run.space.shape)[run.space.mask]  # SPM left out the axis of length 1


def given(matrix: np.ndarray, names: list[str]) -> vx.Design:
    """Make a design of columns that another program made."""
    return vx.Design(
        matrix, tuple(vx.Column(name, name, "task") for name in names), None, "SPM's X"
    )


def sessions() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each session's whitened columns of SPM's, with its filter, and its whitened data."""
    spm = np.load(SPM / "spm_design.npz")
    found = []
    for k, run in enumerate(runs_of(scaling=None)):
        rows = slice(k * N_SCANS, (k + 1) * N_SCANS)
        W, X = spm["W"][rows, rows], spm["X"][rows]
        own = [*range(8 * k, 8 * k + 8), 8 * N_RUNS + k]
        Y = W @ (run.scans.read(np.arange(run.space.n_voxels)) * spm["gSF"][rows, None])
        found.append((np.hstack([W @ X[:, own], spm[f"X0_{k + 1:02d}"]]), Y))
    return found


def one_model() -> dict[str, dict[str, float]]:
    """Fit SPM's model of all sessions, whitened by SPM, as one regression of 1,452 scans."""
    parts, run = sessions(), runs_of()[0]
    width = parts[0][0].shape[1]
    X = np.zeros((N_RUNS * N_SCANS, N_RUNS * width))
    for k, (columns, _) in enumerate(parts):
        X[k * N_SCANS : (k + 1) * N_SCANS, k * width : (k + 1) * width] = columns
    names = [f"s{k + 1}_{n}" for k in range(N_RUNS) for n in range(width)]
    fit = vx.lm(given(X, names), vx.Run(np.vstack([y for _, y in parts]), scaling=None))
    spm = [k * width + n for k in range(N_RUNS) for n in range(8)]
    betas = np.load(SPM / "betas_in_mask.npz")["betas"][: 8 * N_RUNS]
    weights = dict.fromkeys(names, 0.0)
    any_condition = np.zeros((8, len(names)))
    for k in range(N_RUNS):
        weights[f"s{k + 1}_3"], weights[f"s{k + 1}_4"] = 1.0, -1.0
        any_condition[np.arange(8), k * width + np.arange(8)] = 1.0
    joint = fit.f_test(any_condition)
    print(f"\nresidual degrees of freedom {fit.df_resid:g}; SPM's 1296")
    return {
        "betas of conditions": compare(fit.params[spm], betas),
        "residual variance": compare(fit.scale, reference("ResMS", run)),
        "face - house: t": compare(fit.t_test(weights).t, reference("spmT_0001", run)),
        "any condition: F": compare(joint.stat, reference("spmF_0003", run)),
    }


def combined() -> dict[str, dict[str, float]]:
    """Fit SPM's columns session by session, combined by fixed effects."""
    names = [*CONDITIONS, *[f"x{k}" for k in range(5)]]
    parts, run = sessions(), runs_of()[0]
    fits = [vx.lm(given(X, names), vx.Run(Y, scaling=None)) for X, Y in parts]
    fixed = vx.FixedEffects(tuple(fits))
    # SPM's contrast adds the sessions; fixed effects take their mean.
    con = fixed.contrast("face - house")
    return {
        "effect": compare(N_RUNS * con.effect, reference("con_0001", run)),
        "t": compare(con.t, reference("spmT_0001", run)),
        "any condition: F": compare(
            fixed.f_test(", ".join(CONDITIONS)).stat, reference("spmF_0003", run)
        ),
    }


def own_formula() -> dict[str, dict[str, float]]:
    """Fit what a user would type. SPM's scan times are at half a TR (T0 = 8 of 16)."""
    rows = {}
    runs = runs_of(slice_time_ref=0.5)
    fits = {"lm": vx.lm(FORMULA, runs), "glsar": vx.glsar(FORMULA, runs)}
    for name, fixed in fits.items():
        for text, number in (("face - house", 1), (OBJECTS, 2)):
            for weighting in ("unweighted", "precision"):
                con = fixed.contrast(text, weighting)
                label = "objects" if number == 2 else text
                rows[f"{name}, {label}, {weighting}"] = compare(
                    con.t, reference(f"spmT_{number:04d}", runs[0])
                )
        joint = fixed.f_test(", ".join(CONDITIONS))
        rows[f"{name}, any condition: F"] = compare(joint.stat, reference("spmF_0003", runs[0]))
    rho = np.concatenate([fit.rho[0] for fit in fits["glsar"]])
    print(f"\nrho of glsar: quartiles {np.nanpercentile(rho, [25, 50, 75]).round(3)}")
    V = np.load(SPM / "spm_design.npz")["V"]
    pooled = [V[k * N_SCANS, k * N_SCANS + 1] / V[k * N_SCANS, k * N_SCANS] for k in range(N_RUNS)]
    print(f"lag-one correlation that SPM pooled, by session: {np.round(pooled, 3)}")
    return rows


def main() -> None:
    """Print every comparison."""
    show("Given SPM's columns and whitening, one model of 12 sessions", one_model())
    show("The same columns, one fit a session, combined by fixed effects", combined())
    show("Our formula, a list of runs", own_formula())
    slice_, brain = runs_of(), runs_of("25mm")
    show_check(
        {
            "1slice run 1, AR(1)": vx.glsar(FORMULA + " + motion", slice_[0]),
            "1slice run 12, AR(2)": vx.glsar(FORMULA, slice_[11], order=2),
            "25mm run 1, AR(1)": vx.glsar(FORMULA, brain[0]),
            "25mm run 6, OLS": vx.lm(FORMULA, brain[5]),
        }
    )


if __name__ == "__main__":
    main()
