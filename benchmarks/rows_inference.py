"""Rows on group inference: 20 maps in the MNI brain mask, 3 mm (69,765 voxels) or 2 mm."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from nibabel import Nifti1Image
from nilearn.datasets import load_mni152_brain_mask
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols
from nilearn.mass_univariate._utils import calculate_tfce
from scipy import ndimage
from tfce import tfce as tfce_in_c

from benchmarks.measure import Measured, Row, Settings, in_turn, same_maps
from benchmarks.rows_processes import child, family_mb
from voxlm.inference.permutation import permutation_test
from voxlm.inference.plan import Plan
from voxlm.inference.refits import refit_of
from voxlm.kernels.enhance import tfce
from voxlm.kernels.graph import volume_graph
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import fit_intercept

N_MAPS = 20
FLIPS = 1000
MANY_FLIPS = 10_000
TFCE_FLIPS = 100
# Permutations that nilearn does; its time for all is taken to grow with their number, the map as
# it is counted as one.
SAMPLE = {"tfce": 10, "clusters": 100}
FORMING_P = (0.01, 0.001, 0.0001)
# The same t; a TFCE of 100 steps is a few percent off the integral.
# Sums in single precision are a few parts in a million off.
EXACT, STEPPED, SINGLE = 1 - 1e-12, 0.999, 1 - 1e-9
CONNECTED = {6: 1, 26: 3}
MIXED, MIXED_FLIPS = (100, 3, 50_000), 16


@cache
def _mask(resolution: int) -> Any:
    return np.asarray(load_mni152_brain_mask(resolution=resolution).dataobj) != 0


@cache
def _graph(resolution: int, connectivity: int) -> Any:
    mask = _mask(resolution)
    return volume_graph(mask.shape, np.flatnonzero(mask), connectivity)


@cache
def _maps() -> Any:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((N_MAPS, *_mask(3).shape))
    smooth = ndimage.gaussian_filter(noise, (0, 1.2, 1.2, 1.2))[:, _mask(3)]
    return np.ascontiguousarray(smooth / smooth.std())


@cache
def _masker() -> Any:
    return NiftiMasker(Nifti1Image(_mask(3).astype(np.uint8), np.diag([3.0, 3, 3, 1]))).fit()


@cache
def _covariates() -> Any:
    return np.random.default_rng(1).standard_normal((N_MAPS, 4))


def _group(
    settings: Settings,
    plan: Plan,
    peer_options: dict[str, Any],
    design: Any,
    n_peer: int,
) -> Measured:
    """Time one contrast by permutation; the peer may do fewer permutations."""
    data = _maps()
    contrast = np.eye(design.shape[1])[0]
    graph = _graph(3, 6)

    def peer() -> Any:
        return permuted_ols(
            design[:, :1],
            data,
            design[:, 1:] if design.shape[1] > 1 else None,
            model_intercept=False,
            n_perm=n_peer,
            two_sided_test=True,
            random_state=0,
            n_jobs=settings.peer_jobs,
            masker=_masker(),
            output_type="dict",
            **peer_options,
        )

    ours, theirs, mine, other = in_turn(
        lambda: permutation_test(data, design, contrast, plan, graph=graph), peer, settings.repeat
    )
    said = same_maps(mine.statistic, other["t"][0], "t", EXACT)
    share = (plan.n_perm + 1) / (n_peer + 1)
    if n_peer < plan.n_perm:
        said += f"; nilearn did {n_peer} permutations"
    return Measured(ours, [seconds * share for seconds in theirs], said)


def flips(settings: Settings) -> Measured:
    """Time max-T by sign flips."""
    return _group(settings, Plan(n_perm=FLIPS), {}, np.ones((N_MAPS, 1)), FLIPS)


def freedman_lane(settings: Settings) -> Measured:
    """Time max-T of a covariate beside three nuisances, by exchanges."""
    return _group(settings, Plan(n_perm=FLIPS), {}, _covariates(), FLIPS)


def enhanced(settings: Settings) -> Measured:
    """Time TFCE by sign flips."""
    plan = Plan(("maxt", "tfce"), n_perm=TFCE_FLIPS)
    return _group(settings, plan, {"tfce": True}, np.ones((N_MAPS, 1)), SAMPLE["tfce"])


def clusters(settings: Settings) -> Measured:
    """Time extents and masses at three thresholds against nilearn's at one."""
    methods = ("maxt", "cluster_extent", "cluster_mass")
    plan = Plan(methods, n_perm=FLIPS, forming_p=FORMING_P)
    options = {"threshold": FORMING_P[1]}
    return _group(settings, plan, options, np.ones((N_MAPS, 1)), SAMPLE["clusters"])


def one_map(resolution: int, connectivity: int) -> Callable[[Settings], Measured]:
    """Return a timer of one TFCE map against nilearn's."""

    def measure(settings: Settings) -> Measured:
        volume, values = _one_map(resolution)
        graph = _graph(resolution, connectivity)
        near = ndimage.generate_binary_structure(3, CONNECTED[connectivity])
        ours, peer, mine, theirs = in_turn(
            lambda: tfce(values, graph),
            lambda: calculate_tfce(volume[..., None], near),
            settings.repeat,
        )
        step = np.abs(values).max() / 100
        said = same_maps(mine, theirs[..., 0][_mask(resolution)] * step, "TFCE", STEPPED)
        return Measured(ours, peer, said)

    return measure


def one_map_in_c(resolution: int, connectivity: int) -> Callable[[Settings], Measured]:
    """Return a timer of one TFCE map against that of the package tfce, also exact."""

    def measure(settings: Settings) -> Measured:
        volume, values = _one_map(resolution)
        graph = _graph(resolution, connectivity)
        ours, peer, mine, theirs = in_turn(
            lambda: tfce(values, graph),
            lambda: tfce_in_c(volume, connectivity=connectivity),
            settings.repeat,
        )
        return Measured(ours, peer, same_maps(mine, theirs[_mask(resolution)], "TFCE", SINGLE))

    return measure


def _one_map(resolution: int) -> tuple[Any, Any]:
    mask = _mask(resolution)
    noise = np.random.default_rng(2).standard_normal(mask.shape)
    volume = np.where(mask, ndimage.gaussian_filter(noise, 1.2), 0.0)
    volume *= 2.0 / volume[mask].std()
    return volume, volume[mask]


@cache
def _mixed() -> Any:
    """A design of 100 subjects, three maps each, five columns, and 50,000 voxels."""
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(MIXED[0]), MIXED[1])
    between = rng.standard_normal((MIXED[0], 2))[subject]
    X = np.c_[np.ones(subject.size), rng.standard_normal((subject.size, 2)), between]
    data = rng.standard_normal((subject.size, MIXED[2]))
    data += rng.standard_normal((MIXED[0], MIXED[2]))[subject]
    return X, subject, data, fit_intercept(intercept_basis(X, subject), data)


def mixed_flips(settings: Settings) -> Measured:
    """Time one flip of subjects with an exact REML refit, the mean of sixteen."""
    X, subject, data, fit = _mixed()
    contrast = np.eye(X.shape[1])[1]

    def ours(n_perm: int) -> float:
        plan = Plan(n_perm=n_perm, blocks=subject, exchange="whole", permute="flip")
        start = time.perf_counter()
        permutation_test(data, X, contrast, plan, refitter=refit_of(fit))
        return time.perf_counter() - start

    ours(MIXED_FLIPS)
    # What is done once, whatever the number of flips, is left out.
    pairs = [(ours(2 * MIXED_FLIPS), ours(MIXED_FLIPS)) for _ in range(settings.repeat)]
    once = np.median([2 * few - many for many, few in pairs])
    return Measured(
        [(many - few) / MIXED_FLIPS for many, few in pairs], agreement=f"{once:.2f} s in advance"
    )


def memory(settings: Settings) -> Measured:
    """Measure peak memory of ten thousand sign flips on both cores."""
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "maps.npy")
        np.save(path, _maps())
        for _ in range(settings.repeat):
            peer.append(family_mb("flips-nilearn", path, MANY_FLIPS, 2))
            ours.append(family_mb("flips", path, MANY_FLIPS))
        alone = child("flips-nilearn", path, MANY_FLIPS, 1)["mb"]
    return Measured(ours, peer, f"nilearn with n_jobs=1, slower: {alone:.0f} MB")


GROUP = "20 maps × 69,765 voxels"
ROWS = (
    Row(
        "flips-maxt",
        f"{GROUP}: max-T, 1,000 sign flips",
        "nilearn permuted_ols",
        "faster",
        20,
        40,
        flips,
    ),
    Row(
        "freedman-lane",
        "the same, a covariate and three nuisances, 1,000 exchanges",
        "nilearn permuted_ols",
        "faster",
        15,
        30,
        freedman_lane,
    ),
    Row(
        "flips-tfce",
        "the same, TFCE, 100 sign flips, two-sided",
        f"nilearn permuted_ols, from {SAMPLE['tfce']} flips",
        "faster",
        40,
        75,
        enhanced,
    ),
    Row(
        "flips-clusters",
        "the same, extent and mass at three thresholds, 1,000 sign flips",
        f"nilearn permuted_ols at one threshold, from {SAMPLE['clusters']} flips",
        "faster",
        20,
        50,
        clusters,
    ),
    Row(
        "flips-memory",
        "the same, peak memory of 10,000 sign flips",
        "nilearn permuted_ols, n_jobs=2, workers counted",
        "within",
        1 / 2,
        1 / 4,
        memory,
        "MB",
    ),
    Row(
        "flips-lmer",
        "lmer, 300 maps × 50,000 voxels: max-T, one flip with its REML refit",
        "—",
        "under",
        0.4,
        0.1,
        mixed_flips,
    ),
    Row(
        "tfce-map",
        "one TFCE map, 69,765 voxels, 6 neighbours",
        "nilearn calculate_tfce",
        "faster",
        50,
        90,
        one_map(3, 6),
    ),
    Row(
        "tfce-map-2mm",
        "one TFCE map, 235,375 voxels, 26 neighbours",
        "nilearn calculate_tfce",
        "faster",
        25,
        45,
        one_map(2, 26),
    ),
    Row(
        "tfce-map-c",
        "one TFCE map, 69,765 voxels, 6 neighbours",
        "tfce (C)",
        "faster",
        1.2,
        2,
        one_map_in_c(3, 6),
    ),
    Row(
        "tfce-map-2mm-c",
        "one TFCE map, 235,375 voxels, 26 neighbours",
        "tfce (C)",
        "faster",
        1,
        1.5,
        one_map_in_c(2, 26),
    ),
)
