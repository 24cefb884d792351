"""What the scaling of TFCE does to power: exact integrals against nilearn's and PALM's per map.

``python -m validation.tfce_scaling.count_power [STUDIES]`` simulates so many studies (1,000) of
each kind, without a signal, with a focal and with a broad one, and counts those in which any voxel
of the signal (of the map, where there is none) is significant at a family-wise level of 0.05.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from validation.compare import show
from voxlm.inference.permutation import permutation_test
from voxlm.inference.plan import Plan
from voxlm.kernels.graph import volume_graph

SHAPE, N, MARGIN = (18, 18, 18), 20, 4
V = int(np.prod(SHAPE))
GRAPH = volume_graph(SHAPE, np.arange(V))
ALPHA, N_PERM = 0.05, 199
# Deviation of the blob in voxels, and its peak in deviations of the noise.
SIGNALS = {"none": (1.0, 0.0), "focal": (1.3, 1.4), "broad": (3.0, 0.75)}


def blob(deviation: float, peak: float) -> NDArray[np.float64]:
    """Make a Gaussian signal in the middle."""
    places = np.indices(SHAPE) - (np.array(SHAPE) // 2)[:, None, None, None]
    return np.asarray(peak * np.exp(-0.5 * (places**2).sum(axis=0) / deviation**2)).ravel()


def study(rng: np.random.Generator, signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make maps of smooth noise of variance 1, with a signal."""
    larger = tuple(side + 2 * MARGIN for side in SHAPE)
    noise = ndimage.gaussian_filter(rng.standard_normal((N, *larger)), (0, 1.2, 1.2, 1.2))
    inside = (slice(None), *(slice(MARGIN, -MARGIN) for _ in SHAPE))
    maps = noise[inside].reshape(N, V)
    return np.asarray(maps / maps.std() + signal)


def count(name: str, n_studies: int) -> dict[str, object]:
    """Count the studies in which each method finds the signal, and which the scalings share."""
    deviation, peak = SIGNALS[name]
    signal = blob(deviation, peak)
    where = signal >= 0.5 * peak
    found: dict[str, list[bool]] = {"exact": [], "per-map": [], "max-T": []}
    for number in range(n_studies):
        data = study(np.random.default_rng((number, 5)), signal)
        for scaling in ("exact", "per-map"):
            methods = ("tfce", "maxt") if scaling == "exact" else ("tfce",)
            plan = Plan(methods, n_perm=N_PERM, seed=number, scaling=scaling)
            test = permutation_test(data, np.ones((N, 1)), [1.0], plan, graph=GRAPH)
            found[scaling].append(bool((test.measure("tfce").p[where] <= ALPHA).any()))
            if scaling == "exact":
                found["max-T"].append(bool((test.measure("maxt").p[where] <= ALPHA).any()))
    exact, scaled = np.array(found["exact"]), np.array(found["per-map"])
    row: dict[str, object] = {method: _interval(hits) for method, hits in found.items()}
    row["exact alone"], row["per-map alone"] = (
        int((exact & ~scaled).sum()),
        int((scaled & ~exact).sum()),
    )
    return row


def _interval(hits: list[bool]) -> str:
    """Write a share with half of its 95 % interval."""
    share = float(np.mean(hits))
    half = stats.norm.isf(0.025) * np.sqrt(share * (1 - share) / len(hits))
    return f"{share:.3f} ± {half:.3f}"


def main() -> None:
    """Print the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    title = f"share of {n} studies in which any voxel of the signal is significant"
    show(title, {name: count(name, n) for name in SIGNALS})


if __name__ == "__main__":
    main()
