"""Visits over time, slopes that differ, patients who drop out: python examples/longitudinal.py."""

import numpy as np
import pandas as pd

import voxlm as vx

# 40 people, up to five visits at their own times. Patients leave earlier; who has left stays away.
rng = np.random.default_rng(0)
rows = []
for person in range(40):
    group = "patient" if person % 2 else "control"
    time = 0.0
    for visit in range(5):
        rows.append((f"sub-{person:02d}", group, round(time, 2)))
        time += rng.uniform(0.7, 1.3)
        if visit > 0 and rng.uniform() < (0.35 if group == "patient" else 0.1):
            break
table = pd.DataFrame(rows, columns=["subject", "group", "time"])
print(table.groupby("group").agg(people=("subject", "nunique"), maps=("time", "size")), "\n")

formula = "effect ~ group * time + (1 + time | subject)"
made = vx.simulate.group(
    formula,
    table,
    1000,
    params={"Intercept": 2.0, "time": -0.1, "group[T.patient]:time": -0.3},
    components={"subject": [[1.0, -0.1], [-0.1, 0.08]]},
    sigma=0.7,
    seed=2,
)

# Scans miss a voxel here and there: each voxel is fitted on the maps that have it.
data = made.data.copy()
data[rng.uniform(size=data.shape) < 0.0002] = np.nan
maps = vx.Maps(table, data=data)
fit = vx.lmer(formula, maps)
print(fit)
print(f"maps at a voxel: {fit.nobs.min()} to {fit.nobs.max()}\n")

# Do the slopes differ between people? One variance and one covariance more.
flat = vx.lmer("effect ~ group * time + (1 | subject)", maps)
print(vx.anova(flat, fit), "\n")

shown = made.coverage(fit)
print(shown.round(3))
intercept, slope = fit.components.mean(axis=1)
print(f"variances of intercept and slope: truth 1 and 0.08, estimates {intercept:.3f}, {slope:.3f}")
assert shown["coverage"].between(0.92, 0.975).all()
