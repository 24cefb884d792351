"""Ten conditions, events without length: python -m validation.pyhrf_localizer.count_active."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd

import voxlm as vx
from validation.compare import show, show_check
from validation.data import folder

DATA = folder("pyhrf_localizer")
TR = 2.4
SHIFT = 37  # scans by which the null's task columns are turned round
SETS = {
    "ten conditions": (
        "real_data_vol_4_regions_BOLD.nii.gz",
        "real_data_vol_4_regions_mask.nii.gz",
        "paradigm_loc.csv",
    ),
    "audio and video": (
        "subj0_bold_session0.nii.gz",
        "subj0_parcellation.nii.gz",
        "paradigm_loc_av.csv",
    ),
}


def events_of(name: str) -> pd.DataFrame:
    """Read a paradigm without a header: session, condition, onset, duration[, amplitude]."""
    names = ["session", "trial_type", "onset", "duration", "amplitude"]
    return pd.read_csv(DATA / name, sep=r"\s+", header=None, names=names)


def run_of(bold: str, mask: str, paradigm: str) -> vx.Run:
    """Return a run. The headers say 1.0, and one of them says seconds: the TR is put right."""
    image = nib.load(DATA / bold)
    image.header["pixdim"][4] = TR
    image.header.set_xyzt_units("mm", "sec")
    events = events_of(paradigm)[["onset", "duration", "trial_type"]]
    return vx.Run(image, events=events, mask=DATA / mask)


def active(fit: vx.Fit) -> dict[str, object]:
    """Return the share of voxels where the conditions matter jointly."""
    names = [column.name for column in fit.design.columns if column.role == "task"]
    joint = fit.f_test(np.eye(len(fit.params))[: len(names)])
    fitted = np.isfinite(joint.p)
    return {
        "conditions": len(names),
        "voxels": int(fitted.sum()),
        "df": fit.df_resid,
        "p < .001": float((joint.p[fitted] < 1e-3).mean()),
        "FDR 5%": float(joint.correct("fdr").significant[fitted].mean()),
        "largest F": float(np.nanmax(joint.stat)),
        "median rho": float(np.nanmedian(fit.rho)) if fit.order else 0.0,
    }


def shifted(run: vx.Run) -> vx.Design:
    """Turn the task columns round by some scans: they no longer say when anything happened."""
    made = vx.design("y ~ trial_type", run)
    matrix = np.array(made.matrix)
    task = [column.role == "task" for column in made.columns]
    matrix[:, task] = np.roll(matrix[:, task], SHIFT, axis=0)
    return replace(made, matrix=matrix)


def main() -> None:
    """Print the shares, and the same for columns that say nothing."""
    rows, fits = {}, {}
    for name, files in SETS.items():
        run = run_of(*files)
        for verb in (vx.lm, vx.glsar):
            label = f"{name}, {verb.__name__}"
            fits[label] = verb("y ~ trial_type", run)
            rows[label] = active(fits[label])
            rows[f"{label}, shifted"] = active(verb(shifted(run), run))
    show("Share of voxels where any condition matters", rows)
    show_check(fits)
    calculation = "trial_type[calculaudio] + trial_type[calculvideo]"
    reading = "trial_type[phraseaudio] + trial_type[phrasevideo]"
    con = fits["ten conditions, glsar"].contrast(f"({calculation})/2 - ({reading})/2")
    print(f"\n{con!r}\n{con.correct('fdr').table().head(4).to_string()}")


if __name__ == "__main__":
    main()
