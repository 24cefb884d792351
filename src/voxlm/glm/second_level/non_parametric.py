"""Permutation tests of a group, with nilearn's name.

Axes: N maps, P columns, V voxels.
"""

from __future__ import annotations

from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import VoxlmError, VoxlmWarning
from voxlm.glm.masking import stack
from voxlm.glm.second_level.inputs import maps_of
from voxlm.glm.second_level.second_level import SecondLevelModel
from voxlm.glm.thresholding import graph_of
from voxlm.glm.weights import as_rows
from voxlm.inference.permutation import NothingToTest, PermutationTest, permutation_test
from voxlm.inference.plan import Plan
from voxlm.kernels.rank import rank

Floats = NDArray[np.float64]
NAMES = {
    "maxt": ("t", "logp_max_t"),
    "tfce": ("tfce", "logp_max_tfce"),
    "cluster_extent": ("size", "logp_max_size"),
    "cluster_mass": ("mass", "logp_max_mass"),
}


def non_parametric_inference(
    second_level_input: Any,
    confounds: Any = None,
    design_matrix: Any = None,
    second_level_contrast: Any = None,
    first_level_contrast: Any = None,
    mask: Any = None,
    smoothing_fwhm: Any = None,
    model_intercept: bool = True,
    n_perm: int = 10000,
    two_sided_test: bool = False,
    random_state: Any = None,
    n_jobs: int = 1,  # noqa: ARG001
    verbose: int = 0,
    threshold: float | None = None,
    tfce: bool = False,
) -> Any:
    """Test a contrast of a group by permutation, corrected over voxels.

    Parameters
    ----------
    second_level_input, confounds, design_matrix, second_level_contrast, first_level_contrast
        As for :class:`~voxlm.glm.second_level.SecondLevelModel`.
    mask, smoothing_fwhm
        As its ``mask_img`` and ``smoothing_fwhm``.
    model_intercept : bool
        Whether a constant is added to a design that does not span it.
    n_perm : int
        Permutations; all there are where the design allows no more.
    two_sided_test : bool
        Whether negative effects count too.
    random_state : int, generator or None
        Chooses the permutations; None chooses anew each time.
    n_jobs : int
        Taken for nilearn's signature: all cores are used, and the result does not depend on it.
    verbose : int
        Whether progress is printed.
    threshold : float, optional
        Uncorrected p that forms clusters.
    tfce : bool
        Whether clusters are enhanced without a threshold.

    Returns
    -------
    image or dict of images
        ``-log10`` of the corrected p of the largest statistic; with ``threshold`` or ``tfce`` a
        dict of ``t``, ``logp_max_t`` and ``tfce``, ``logp_max_tfce``, ``size``, ``logp_max_size``,
        ``mass``, ``logp_max_mass`` as asked for. At voxels that could not be tested statistics are
        NaN, and p is 1.

    Notes
    -----
    The contrast is tested in the whole design (Winkler et al., NeuroImage 92, 2014): the effect is
    that of the contrast, whatever columns it weighs, and the t is the parametric one. Signs are
    flipped where the hypothesis fixes the mean, and maps exchanged elsewhere. The enhancement is
    nilearn's, with a hundred steps up to the largest value of each map.
    """
    if n_perm < 1:
        raise VoxlmError(f"n_perm counts permutations and is at least 1, got {n_perm!r}")
    if threshold is not None and not 0 < threshold < 0.5:
        raise VoxlmError(
            f"threshold is an uncorrected p that forms clusters, for instance 0.001; got "
            f"{threshold!r}: is it a statistic?"
        )
    model = SecondLevelModel(mask_img=mask, smoothing_fwhm=smoothing_fwhm, verbose=verbose)
    model.fit(second_level_input, confounds, design_matrix)
    X, weights = design_and_contrast(model, second_level_contrast, model_intercept)
    masker = model._masker
    Y = stack(masker, maps_of(model.second_level_input_, first_level_contrast))
    methods = ["maxt"]
    methods += ["tfce"] if tfce else []
    methods += [] if threshold is None else ["cluster_extent", "cluster_mass"]
    plan = Plan(
        methods=methods,
        n_perm=n_perm,
        seed=seed_of(random_state),
        two_sided=two_sided_test,
        forming_p=threshold,
        scaling="per-map",
    )
    graph = graph_of(masker) if len(methods) > 1 else None
    if rank(X) == len(X):
        why = f"{len(X)} maps and {rank(X)} independent columns leave no residual to permute"
        values = no_maps(why, Y.shape[1], methods)
    else:
        try:
            values = maps(permutation_test(Y, X, weights, plan, graph=graph))
        except NothingToTest as nothing:
            values = no_maps(str(nothing), Y.shape[1], methods)
    images = {name: masker.inverse_transform(one) for name, one in values.items()}
    return images if len(methods) > 1 else images["logp_max_t"]


def design_and_contrast(
    model: SecondLevelModel, contrast: Any, model_intercept: bool
) -> tuple[Floats, Floats]:
    """Return the design, with a constant if asked for, and the rows of the contrast."""
    X = model.design_matrix_.to_numpy(dtype=np.float64)
    rows, _ = as_rows(model._weights(contrast), X.shape[1], None)
    ones = np.ones((len(X), 1))
    if model_intercept and rank(np.hstack([X, ones])) > rank(X):
        X = np.hstack([X, ones])
        rows = np.hstack([rows, np.zeros((len(rows), 1))])
    return X, rows


def no_maps(why: str, n_voxels: int, methods: list[str]) -> dict[str, Floats]:
    """Return maps without a value, saying why."""
    warn(f"{why}, so there are no statistics", VoxlmWarning, stacklevel=3)
    names = [name for method in methods for name in NAMES[method]]
    return {name: np.full(n_voxels, 0.0 if name.startswith("logp") else np.nan) for name in names}


def maps(found: PermutationTest) -> dict[str, Floats]:
    """Return the maps of a test by nilearn's names."""
    sign = np.sign(found.statistic)
    out = {"t": found.statistic, "logp_max_t": _logp(found, "maxt")}
    asked = {measure.method for measure in found.measures}
    if "tfce" in asked:
        out["tfce"] = found.measure("tfce").observed * sign
        out["logp_max_tfce"] = _logp(found, "tfce")
    for name, method in (("size", "cluster_extent"), ("mass", "cluster_mass")):
        if method in asked:
            out[name] = found.measure(method).observed
            out[f"logp_max_{name}"] = _logp(found, method)
    return out


def _logp(found: PermutationTest, method: str) -> Floats:
    return np.abs(np.log10(np.nan_to_num(found.measure(method).p, nan=1.0)))


def seed_of(random_state: Any) -> int:
    """Return the seed that a random state stands for.

    Examples
    --------
    >>> seed_of(3)
    3
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    draw = getattr(random_state, "integers", getattr(random_state, "randint", None))
    if draw is None:
        raise VoxlmError(f"random_state is a number or a generator, got {random_state!r}")
    return int(draw(2**31 - 1))
