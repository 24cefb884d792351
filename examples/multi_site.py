"""Eight sites that may not share images, only statistics: python examples/multi_site.py."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import voxlm as vx

# 8 sites × 12 people × 2 visits; sites differ, and so do people within them.
rng = np.random.default_rng(0)
table = pd.DataFrame(
    [
        (
            f"site-{site}",
            f"{site}-{person:02d}",
            visit,
            ages[person],
            "case" if person % 3 else "ref",
        )
        for site in range(8)
        for ages in [rng.uniform(20, 70, 12).round(1)]
        for person in range(12)
        for visit in (0.0, 1.0)
    ],
    columns=["site", "subject", "visit", "age", "status"],
)
formula = "effect ~ status + center(age) + visit + (1 | site/subject)"
made = vx.simulate.group(
    formula,
    table,
    1000,
    params={"Intercept": 1.0, "status[T.ref]": -0.5, "center(age)": 0.01, "visit": 0.2},
    components={"site": 0.3, "site:subject": 0.6},
    sigma=0.7,
    seed=3,
)

# Two consortia of four sites each fit their own maps and hand over a file of statistics.
folder = Path(tempfile.mkdtemp())
for name, mine in (("east", table["site"] < "site-4"), ("west", table["site"] >= "site-4")):
    part = vx.lmer(formula, vx.Maps(table[mine], data=made.data[mine.to_numpy()]))
    vx.save_statistics(part, folder / f"{name}.npz")

# Whoever has both files has the fit of all maps, and may ask it anything about its columns.
both = [vx.load_statistics(folder / f"{name}.npz") for name in ("east", "west")]
fit = vx.merge_statistics(both)
whole = vx.lmer(formula, made.maps)
print(fit)
gap = np.abs(fit.contrast("visit").t - whole.contrast("visit").t).max()
print(f"\nlargest difference in t to the fit of all maps at once: {gap:.1e}\n")
assert gap < 1e-4

shown = made.coverage(fit)
print(shown.round(3))
print("variances, truth and estimate:")
for name, truth, estimate in zip(
    ("site:subject", "site"), (0.6, 0.3), sorted(fit.components.mean(axis=1))[::-1], strict=True
):
    print(f"  {name:12s} {truth:.2f} {estimate:.3f}")
assert shown["coverage"].between(0.92, 0.975).all()
