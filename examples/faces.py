"""One run from files to a corrected map, and its truth: python examples/faces.py."""

import tempfile
from pathlib import Path

import numpy as np

import voxlm as vx

folder = Path(tempfile.mkdtemp())
study = vx.simulate.study(folder / "study", seed=3)

run = vx.Run(study.bold[0], events=study.events[0], confounds=study.confounds[0], mask=study.mask)
fit = vx.glsar("y ~ face + house + motion", run)
print(fit)

difference = fit.contrast("face - house")
decision = difference.correct("fdr", alpha=0.05)
print(decision)
print(decision.table().head())

# The truth is known, so the estimate can be judged: within a quarter of a percent of signal on
# average, in the region that prefers faces and in the one that prefers houses.
truth = study.truth.effects["face"] - study.truth.effects["house"]
for label, region in enumerate(study.truth.regions, start=1):
    here = study.truth.labels == label
    print(
        f"{region}: truth {truth[here].mean():+.2f}, estimate {difference.effect[here].mean():+.2f}"
    )
    assert abs(difference.effect[here].mean() - truth[here].mean()) < 0.25

# Leaving the motion parameters out lets motion into the residuals and into the face effect.
careless = vx.glsar("y ~ face + house", run)
assert np.nanmedian(careless.scale) > np.nanmedian(fit.scale)

fit.save(folder / "out", contrasts=[difference])
print("written:", *sorted(path.name for path in (folder / "out").iterdir()), sep="\n  ")
