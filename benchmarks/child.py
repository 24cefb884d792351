"""Work done in a process of its own; prints one line of JSON.

``python -m benchmarks.child JOB …``, where JOB is a key of ``JOBS`` and what follows its arguments.
Nothing is imported before the work asks for it: what a library costs to load is measured too.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.study import Study


def peak_mb() -> float:
    """Return the peak resident memory of this process in MB (10⁶ bytes).

    ``ru_maxrss`` is not used: on Linux it starts from the parent's, as it outlives ``exec``.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status does not give VmHWM; peak memory needs Linux")


def import_voxlm() -> dict[str, float]:
    """Time ``import voxlm`` alone."""
    start = time.perf_counter()
    importlib.import_module("voxlm")
    return {"seconds": time.perf_counter() - start}


def first_call() -> dict[str, float]:
    """Time the first fit and contrast of a process, on data so small that they cost nothing.

    Libraries that the verbs load are in, and compiled kernels, which come from the cache on disk;
    numpy and pandas, with which the user makes the data, and the Run are timed apart.
    """
    start = time.perf_counter()
    np, pd = importlib.import_module("numpy"), importlib.import_module("pandas")
    events = pd.DataFrame({"onset": [4.0, 20.0], "duration": 2.0, "trial_type": "face"})
    data = np.random.default_rng(0).normal(100, 1, (40, 20))
    at = [start, time.perf_counter()]
    vx = importlib.import_module("voxlm")
    run = vx.Run(data, events, tr=2.0)
    at.append(time.perf_counter())
    for _ in range(2):
        vx.glsar("y ~ face", run).contrast("face").z.sum()
        at.append(time.perf_counter())
    names = ("numpy_pandas", "run", "seconds", "again")
    return {name: b - a for name, (a, b) in zip(names, pairwise(at), strict=True)}


def ours(folder: str, out: str, drift: str = "cosine(1/128)") -> dict[str, float]:
    """Go from files to a map with voxlm; report the peak memory."""
    work = importlib.import_module("benchmarks.ours")
    work.file_to_map(Study(Path(folder)), Path(out), drift=drift)
    return {"mb": peak_mb()}


def nilearn(folder: str, out: str) -> dict[str, float]:
    """Go from files to a map with nilearn; report the peak memory."""
    work = importlib.import_module("benchmarks.peer_nilearn")
    work.nilearn_file(Study(Path(folder)), Path(out), None, 1)
    return {"mb": peak_mb()}


def face(work: str, package: str, folder: str, out: str) -> dict[str, float]:
    """Go from files to a map with one of the two packages; report the peak memory."""
    importlib.import_module("benchmarks.face").WORK[work](package, Path(folder), Path(out))
    return {"mb": peak_mb()}


def flips(path: str, n_perm: str) -> dict[str, float]:
    """Flip the signs of maps in a file with voxlm; report the peak memory."""
    np, permutation = map(importlib.import_module, ("numpy", "voxlm.inference.permutation"))
    plan = importlib.import_module("voxlm.inference.plan").Plan(n_perm=int(n_perm))
    data = np.load(path)
    permutation.permutation_test(data, np.ones((len(data), 1)), [1.0], plan)
    return {"mb": peak_mb()}


def flips_nilearn(path: str, n_perm: str, n_jobs: str) -> dict[str, float]:
    """Flip the signs of maps in a file with nilearn; report the peak memory."""
    np, peer = map(importlib.import_module, ("numpy", "nilearn.mass_univariate"))
    data = np.load(path)
    ones = np.ones((len(data), 1))
    peer.permuted_ols(
        ones, data, model_intercept=False, n_perm=int(n_perm), random_state=0, n_jobs=int(n_jobs)
    )
    return {"mb": peak_mb()}


JOBS: dict[str, Any] = {
    "import": import_voxlm,
    "first-call": first_call,
    "ours": ours,
    "nilearn": nilearn,
    "face": face,
    "flips": flips,
    "flips-nilearn": flips_nilearn,
}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](*sys.argv[2:])))
