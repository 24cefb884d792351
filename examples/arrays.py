"""Arrays instead of images, and statsmodels beside every number: python examples/arrays.py."""

import numpy as np
import pandas as pd
import statsmodels.api as sm

import voxlm as vx

# 200 scans of 500 "voxels": AR(2) noise, and a response to every tone that differs by voxel.
events = pd.DataFrame(
    {"onset": np.arange(10.0, 380.0, 21.0), "duration": 2.0, "trial_type": "tone"}
)
blank = vx.Run(np.random.default_rng(0).normal(100, 1, (200, 1)), events, tr=2.0)
design = vx.glsar("y ~ tone - drift", blank).design
truth = np.stack([np.linspace(0, 3, 500), np.full(500, 100.0)])
made = vx.simulate.series(design.matrix, 500, params=truth, rho=(0.4, 0.1), seed=1)

fit = vx.glsar("y ~ tone - drift", vx.Run(made.data, events, tr=2.0, scaling=None), order=2)
print(fit)

# The numbers are statsmodels' own, at every voxel.
for voxel in (0, 250, 499):
    model = sm.GLSAR(made.data[:, voxel], design.matrix, rho=2)
    results = model.iterative_fit(maxiter=3, rtol=1e-4)
    np.testing.assert_allclose(fit.params[:, voxel], results.params, rtol=1e-10)
    np.testing.assert_allclose(fit.bse[:, voxel], results.bse, rtol=1e-10)
    np.testing.assert_allclose(fit.rho[:, voxel], model.rho, rtol=1e-8)

tone = fit.contrast("tone")
lower, upper = tone.conf_int()
covered = float(np.mean((lower <= truth[0]) & (truth[0] <= upper)))
print(f"95% intervals cover the truth at {covered:.0%} of the voxels")
assert covered > 0.9
