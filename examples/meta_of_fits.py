"""First-level fits of unequal precision, by their variances: python examples/meta_of_fits.py."""

import numpy as np
import pandas as pd

import voxlm as vx

# 16 subjects; half of them were scanned for a third of the time. A subject's effect varies with
# a variance between subjects of 0.6; patients have 0.5 more.
rng = np.random.default_rng(0)
n_voxels, between, difference = 1000, 0.6, 0.5
fits, rows = [], []
for subject in range(16):
    n_scans = 200 if subject % 4 < 2 else 66
    onsets = np.arange(6.0, 2.0 * n_scans - 20, 16.0)
    events = pd.DataFrame({"onset": onsets, "duration": 4.0, "trial_type": "tone"})
    blank = vx.Run(rng.normal(100, 1, (n_scans, 1)), events, tr=2.0)
    design = vx.lm("y ~ tone - drift", blank).design
    patient = subject % 2
    effect = 1.0 + difference * patient + np.sqrt(between) * rng.standard_normal(n_voxels)
    truth = np.stack([effect, np.full(n_voxels, 100.0)])
    series = vx.simulate.series(
        design.matrix, n_voxels, params=truth, rho=(), sigma=2.0, seed=subject + 1
    )
    run = vx.Run(series.data, events, tr=2.0, scaling=None)
    fits.append(vx.lm("y ~ tone - drift", run))
    rows.append((f"sub-{subject:02d}", "patient" if patient else "control", n_scans))
table = pd.DataFrame(rows, columns=["subject", "group", "scans"])

maps = vx.Maps.from_fits(fits, contrast="tone", table=table)
print(table.assign(variance=np.median(maps.variances, axis=1).round(3)), "\n")

fit = vx.meta("effect ~ group", maps)  # REML, Knapp and Hartung's t
print(fit)
plain = vx.lm("effect ~ group", maps)  # every subject alike
fixed = vx.meta("effect ~ group", maps, method="fe")  # subjects do not differ but by noise

shown = {}
for name, one in (("REML", fit), ("least squares", plain), ("fixed effects", fixed)):
    low, high = one.conf_int()[1]
    shown[name] = {
        "truth": difference,
        "estimate": one.params[1].mean(),
        "sd of estimate": one.params[1].std(),
        "coverage": np.mean((low <= difference) & (difference <= high)),
    }
shown = pd.DataFrame(shown).T
print(f"\npatients - controls\n{shown.round(3)}")
print(f"variance between subjects: truth {between}, estimate {fit.tau2.mean():.3f}")
assert 0.92 < shown.loc["REML", "coverage"] < 0.985
assert shown.loc["REML", "sd of estimate"] < shown.loc["least squares", "sd of estimate"]
assert shown.loc["fixed effects", "coverage"] < 0.85
