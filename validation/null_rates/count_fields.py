"""How often nothing is called something: random-field theory on studies without any effect.

``python -m validation.null_rates.count_fields [STUDIES]`` simulates so many null studies (1,000)
of each smoothness, tests each by ``correct("grf")``, and counts those with a significant voxel.
"""

from __future__ import annotations

import sys
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage, stats

import voxlm as vx
from validation.compare import show

SHAPE, N, ALPHA = (24, 24, 24), 20, 0.05
# Width of the smoothing, in voxels: the least that the theory is used at, and twice as much.
WIDTHS = (3.0, 6.0)
# What a kernel's deviation is in units of its width at half of its height.
DEVIATION = 1 / np.sqrt(8 * np.log(2))
TESTS: dict[str, dict[str, Any]] = {
    "peaks": {},
    "peaks, one side": {"two_sided": False},
    "clusters, p < 0.001": {"level": "cluster", "forming_p": 0.001, "connectivity": 18},
    "clusters, p < 0.01": {"level": "cluster", "forming_p": 0.01, "connectivity": 18},
}


def study(rng: np.random.Generator, fwhm: float) -> vx.Contrast:
    """Make one group of smooth maps without any effect, and its contrast."""
    margin = int(np.ceil(4 * fwhm * DEVIATION))
    larger = tuple(side + 2 * margin for side in SHAPE)
    noise = rng.standard_normal((N, *larger), dtype=np.float32)
    sigma = fwhm * DEVIATION
    inside = (slice(None), *(slice(margin, -margin) for _ in SHAPE))
    maps = ndimage.gaussian_filter(noise, (0, sigma, sigma, sigma))[inside]
    images = [nib.Nifti1Image(row / maps.std(), np.eye(4)) for row in maps]
    return vx.lm("effect ~ 1", vx.Maps(pd.DataFrame({"effect": images}))).contrast("Intercept")


def main() -> None:
    """Print the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    low, high = stats.binom.interval(0.95, n, ALPHA)
    title = f"share of {n} null studies with any significant voxel (level 0.05; 95 % of counts "
    title += f"between {low / n:.3f} and {high / n:.3f})"
    table: dict[str, dict[str, object]] = {}
    for fwhm in WIDTHS:
        hits = dict.fromkeys(TESTS, 0)
        for number in range(n):
            con = study(np.random.default_rng((number, int(fwhm), 4)), fwhm)
            for name, options in TESTS.items():
                hits[name] += con.correct("grf", ALPHA, **options).n_significant > 0
        shares = {name: f"{count / n:.3f}" for name, count in hits.items()}
        table[f"FWHM {fwhm:g} voxels"] = dict(shares)
    show(title, table)


if __name__ == "__main__":
    main()
