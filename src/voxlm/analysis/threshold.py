"""``threshold``: a correction of one map that was made before, here or elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.deciding import PERMUTED, check_method
from voxlm.analysis.options import whole
from voxlm.analysis.regions import label
from voxlm.analysis.verdict import Verdict
from voxlm.contrasts.hypothesis import Hypothesis
from voxlm.contrasts.statmap import StatMap, wald
from voxlm.errors import DataError, VoxlmError
from voxlm.images.single import SingleMap, read_single
from voxlm.images.space import Space
from voxlm.kernels.tails import t_isf

Stat = Literal["z", "t", "F", "p"]
Floats = NDArray[np.float64]

# No p is as small as that of a larger z in double precision.
LARGEST_Z = 40.0
# From so many voxels on, a map that never leaves 0 to 1 is one of p.
ENOUGH = 20
NO_MESH = "without the surface, mesh=, nobody knows which vertices are neighbours"


def threshold(
    image: Any,
    method: str = "fdr",
    alpha: float = 0.05,
    two_sided: bool = True,
    *,
    stat: str | None = None,
    df: float | None = None,
    df_num: int | None = None,
    mask: Any = None,
    mesh: Any = None,
    min_size: int = 1,
    connectivity: int = 6,
    **options: Any,
) -> Verdict:
    """Correct one map of z, t, F or p for the number of voxels.

    Parameters
    ----------
    image : path, nibabel image, or a pair of them
        The map: a volume; ``(left, right)`` of a surface (``.func.gii``), or one hemisphere;
        grayordinates (``.dscalar.nii``).
    method : str
        ``"none"``, ``"bonferroni"``, ``"holm"``, ``"fdr"``, ``"fdr_by"`` or ``"ari"``. Other
        corrections need the data: :meth:`voxlm.Contrast.correct`.
    alpha : float
        The error rate to hold.
    two_sided : bool
        Whether both signs of z and t count. Values of p are taken as they are.
    stat : {"z", "t", "F", "p"}, optional
        What the values are; left out, what the header says, else z.
    df, df_num : float, int, optional
        Degrees of freedom of t and F, residual and numerator; left out, those of the header.
    mask : path, nibabel image, or a pair of them, optional
        Of the same kind. Left out, the voxels that are finite and not 0.
    mesh : pair (left, right) of paths, nibabel images or nilearn meshes, optional
        The surfaces of maps on them, as for :class:`voxlm.Run`; without them, no clusters.
    min_size : int
        Clusters of fewer voxels are left out. It changes no p.
    connectivity : {6, 18, 26}
        Neighbours of a voxel; vertices are neighbours if they share an edge.
    **options
        For ``"ari"``: ``forming_p`` or ``forming``.

    Returns
    -------
    Verdict

    Raises
    ------
    DataError, VoxlmError
        A map of several volumes, of other values than it is said to have, or without a value;
        missing degrees of freedom; a method that needs the data.

    Examples
    --------
    >>> import nibabel as nib
    >>> z = np.zeros((4, 4, 4), dtype=np.float32)
    >>> z[1:3, 1:3, 1:3] = [[[5.0, 0.3], [4.0, 0.2]], [[0.1, -1.0], [0.5, 0.4]]]
    >>> verdict = threshold(nib.Nifti1Image(z, np.eye(4)), "bonferroni")
    >>> verdict.n_significant, round(verdict.threshold, 3)
    (2, 2.734)
    """
    _check_method(method)
    found = read_single(image, mask, mesh)
    named, freedom, rows = _declared(found, stat, df, df_num)
    _check_range(found.values, named, found.name)
    contrast = _as_contrast(found.values, found.space, named, freedom, rows, found.name)
    if min_size != 1 and not found.space.linked:
        raise DataError(f"min_size counts clusters, and {NO_MESH}")
    clustered = method == "ari" and found.space.linked
    own = {**options, "connectivity": connectivity} if clustered else options
    verdict = contrast.correct(method, alpha, two_sided, **own)
    verdict = replace(verdict, connectivity=connectivity)
    return _large_enough(verdict, whole(min_size, "min_size"))


def _check_method(method: str) -> None:
    check_method(method)
    if method in PERMUTED or method in ("pari", "grf"):
        need = "residual images" if method == "grf" else "the maps behind this one, to permute them"
        raise VoxlmError(
            f"{method!r} needs {need}: correct the contrast of a fit instead, "
            "or use fdr, fdr_by, bonferroni, holm, none or ari"
        )


def _declared(
    found: SingleMap, stat: str | None, df: float | None, df_num: int | None
) -> tuple[Stat, float, int]:
    """Return what the values are, with degrees of freedom: as said, or as the file says."""
    named = stat or found.kind or "z"
    if named not in get_args(Stat):
        raise VoxlmError(f"stat is z, t, F or p; got {stat!r}")
    if named in ("z", "p") and (df is not None or df_num is not None):
        raise VoxlmError(f"df and df_num are of t and F; this is a map of {named}")
    if named == "t" and df_num is not None:
        raise VoxlmError("df_num is of F; a t has df alone")
    if named in ("z", "p"):
        return named, float("inf"), 1  # type: ignore[return-value]
    held = list(found.df) if found.kind == named else []
    df = df if df is not None else (held[-1] if held else 0.0) or None
    if named == "F" and df_num is None:
        df_num = (int(held[0]) if held else 0) or None
    if df is None or (named == "F" and df_num is None):
        wanted = "df=" if named == "t" else "df_num= and df="
        raise VoxlmError(f"a map of {named} needs {wanted}: {found.name} does not say them")
    return named, float(df), int(df_num or 1)  # type: ignore[return-value]


def _check_range(values: Floats, stat: str, name: str) -> None:
    """Refuse values that cannot be what they are said to be, and name what they look like."""
    some = values[np.isfinite(values)]
    low, high = float(some.min()), float(some.max())
    span = f"{name} goes from {low:.4g} to {high:.4g}"
    if stat == "p" and (low < 0 or high > 1):
        raise DataError(f"p-values lie between 0 and 1, but {span}: is it z or t? say so by stat")
    if stat == "F" and low < 0:
        raise DataError(f"an F is never negative, but {span}: is it t or z? say so by stat")
    if stat != "p" and low >= 0 and high <= 1 and some.size >= ENOUGH:
        raise DataError(
            f"{span}, as p-values do and a map of {stat} does not: if they are p, say stat='p'"
        )
    if stat == "z" and max(-low, high) > LARGEST_Z:
        raise DataError(f"{span}, beyond any z: is it t or F? say so by stat, with df")


def _as_contrast(
    values: Floats, space: Space, stat: Stat, df: float, df_num: int, name: str
) -> Contrast:
    """Take a map's values for the statistic of a contrast."""
    text = f"{stat} of {_called(name)}"
    if stat == "F":
        question = Hypothesis(np.eye(df_num), np.zeros(df_num), "F", text, ("row",) * df_num)
        nothing = np.full((df_num, values.size), np.nan)
        cov = np.full((df_num, df_num, values.size), np.nan)
        result = StatMap(nothing, cov, values, "F", df, df_num, np.zeros(df_num))
        return Contrast(question, result, space)
    # A two-sided p has lost its sign: its z is taken as positive.
    shown = t_isf(values / 2.0, np.inf) if stat == "p" else values
    question = Hypothesis(np.ones((1, 1)), np.zeros(1), "t", text, ("map",))
    unit = np.ones((1, 1, values.size))
    return Contrast(question, wald(shown[None], unit, df, "t"), space)


def _called(name: str) -> str:
    """Return a file's name without its folder; of a pair what both names have in common."""
    files = [re.sub(r"(^|_)hemi-[LR]_", r"\1", Path(one).name) for one in name.split(" + ")]
    return " + ".join(dict.fromkeys(files))


def _large_enough(verdict: Verdict, min_size: int) -> Verdict:
    """Leave out small clusters."""
    if min_size == 1:
        return verdict
    decision = verdict.decision
    labels = label(verdict.contrast, decision.significant, verdict.connectivity)
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    kept = decision.significant & (np.where(labels >= 0, sizes[labels], 0) >= min_size)
    words = f"{decision.words}, in clusters of {min_size} {verdict.contrast.space.counted} or more"
    return replace(verdict, decision=replace(decision, significant=kept, words=words))
