"""One run of blocks, against SPM12: python -m validation.nft_block.compare_spm."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

import voxlm as vx
from validation.compare import compare, show, show_check
from validation.data import folder

DATA = folder("nft_block")
A = DATA / "reference_spm12_A_hrf_ar1_motion"
B = DATA / "reference_spm12_B_informed_ols"
SCAN = DATA / "sub-01_task-nfb_bold.nii.gz"


def run_of(**options: object) -> vx.Run:
    """Return the run as a user would name it, in SPM's mask."""
    return vx.Run(
        SCAN,
        events=DATA / "sub-01_task-nfb_events.tsv",
        confounds=DATA / "sub-01_task-nfb_desc-motion_timeseries.tsv",
        mask=A / "mask.nii.gz",
        **options,
    )


def reference(path: Path, run: vx.Run) -> np.ndarray:
    """Return a map of SPM's at the voxels of the run."""
    return np.asarray(nib.load(path).dataobj, float)[run.space.mask]


def given(matrix: np.ndarray) -> vx.Design:
    """Make a design of columns that another program made."""
    names = [f"x{k + 1}" for k in range(matrix.shape[1])]
    return vx.Design(
        matrix, tuple(vx.Column(name, name, "task") for name in names), None, "SPM's X"
    )


def same_columns(folder_: Path, joint: slice) -> dict[str, dict[str, float]]:
    """Fit SPM's own whitened, filtered columns; return the comparisons of effect, t and F."""
    spm, plain = np.load(folder_ / "spm_design.npz"), run_of(scaling=None)
    W, X = spm["W"], spm["X"]
    # Filtering data and columns by the residuals of X0 is having X0 as columns.
    design = given(np.hstack([W @ X, spm["X0_01"]]))
    Y = W @ plain.scans.read(np.arange(plain.space.n_voxels))
    fit = vx.lm(design, vx.Run(Y * spm["gSF"][:, None], scaling=None))
    t = fit.t_test(np.eye(len(fit.params))[0])
    F = fit.f_test(np.eye(len(fit.params))[joint])
    betas = [reference(folder_ / f"beta_{k + 1:04d}.nii.gz", plain) for k in range(X.shape[1])]
    return {
        "betas": compare(fit.params[: X.shape[1]], betas),
        "residual variance": compare(fit.scale, reference(folder_ / "ResMS.nii.gz", plain)),
        "t": compare(t.stat, reference(folder_ / "spmT_0001.nii.gz", plain)),
        "F": compare(F.stat, reference(folder_ / "spmF_0002.nii.gz", plain)),
    }


def own_formula() -> dict[str, vx.Fit]:
    """Fit what a user would type. SPM's scan times are at half a TR (T0 = 8 of 16)."""
    half = run_of(slice_time_ref=0.5, scaling=None)
    informed = 'y ~ hrf(regulation, "spm + derivative + dispersion")'
    return {
        "A, glsar": vx.glsar("y ~ regulation + motion", half),
        "A, lm": vx.lm("y ~ regulation + motion", half),
        "B, lm": vx.lm(informed, half),
        "B, lm, response alone": vx.lm("y ~ regulation", half),
        "A, glsar, T0 = 0": vx.glsar("y ~ regulation + motion", run_of(scaling=None)),
    }


def against_spm(fits: dict[str, vx.Fit]) -> dict[str, dict[str, float]]:
    """Compare effects, t and F maps of the formulas with SPM's."""
    rows = {}
    units = float(np.load(A / "spm_design.npz")["gSF"][0])  # SPM's effects are of scaled data
    for name, fit in fits.items():
        spm = A if name.startswith("A") else B
        con = fit.contrast("regulation")
        rows[f"{name}: effect"] = compare(
            units * con.effect, reference(spm / "con_0001.nii.gz", fit.run)
        )
        rows[f"{name}: t"] = compare(con.t, reference(spm / "spmT_0001.nii.gz", fit.run))
        if name in ("A, glsar", "A, lm"):
            joint = fit.f_test("trans_x, trans_y, trans_z, rot_x, rot_y, rot_z")
        elif name == "B, lm":
            joint = fit.f_test("basis(regulation)")
        else:
            continue
        rows[f"{name}: F"] = compare(joint.stat, reference(spm / "spmF_0002.nii.gz", fit.run))
    return rows


def regressors() -> dict[str, dict[str, float]]:
    """Compare our column of the task with SPM's, by the moment that scan times stand for."""
    theirs = np.load(A / "spm_design.npz")["X"][:, 0]
    rows = {}
    for at in (0.0, 7 / 16, 0.5):
        ours = vx.design("y ~ regulation", run_of(slice_time_ref=at)).frame["regulation"]
        rows[f"slice_time_ref={at:g}"] = compare(ours, theirs)
    return rows


def main() -> None:
    """Print every comparison."""
    show("Given SPM's own columns and whitening, A", same_columns(A, slice(1, 7)))
    show("Given SPM's own columns, B", same_columns(B, slice(0, 3)))
    fits = own_formula()
    show("The task column", regressors())
    show("Our formulas", against_spm(fits))
    rho = fits["A, glsar"].rho[0]
    V = np.load(A / "spm_design.npz")["V"]
    print(f"\nrho of glsar: quartiles {np.nanpercentile(rho, [25, 50, 75]).round(3)}")
    print(f"lag-one correlation that SPM pooled: {V[0, 1] / V[0, 0]:.3f}")
    raw = {
        "int16, AR(1)": vx.glsar("y ~ regulation + motion", run_of()),
        "int16, AR(3)": vx.glsar("y ~ regulation + motion", run_of(), order=3),
        "int16, OLS": vx.lm("y ~ regulation + motion", run_of()),
    }
    show_check(raw)
    sig = raw["int16, AR(1)"].contrast("regulation").correct("fdr", alpha=0.05)
    print(f"\n{sig!r}\n{sig.table().head(6).to_string()}")


if __name__ == "__main__":
    main()
