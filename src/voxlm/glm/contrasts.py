"""Contrasts with nilearn's names: from text to weights, from a fit to statistics, over runs.

Axes: P columns, Q contrast rows, V voxels, R runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.contrasts.combine import combine
from voxlm.contrasts.estimable import check_estimable
from voxlm.contrasts.statmap import wald
from voxlm.errors import ContrastError, DataError
from voxlm.glm.masking import check_images, make_masker, stack
from voxlm.glm.paths import open_path
from voxlm.glm.weights import as_rows, check_one_of
from voxlm.glm.weights import expression_to_contrast_vector as expression_to_contrast_vector
from voxlm.kernels import tails
from voxlm.models.estimate import Estimate
from voxlm.models.reduce import FITTED

Floats = NDArray[np.float64]
DOFMAX = 1e10
TINY = 1e-50
SMALLEST_VARIANCE = 1e-16  # of compute_fixed_effects
OUTPUTS = ("z_score", "stat", "p_value", "effect_size", "effect_variance")


class Contrast:
    """An effect at every voxel and its test, t or F; contrasts of independent runs add up.

    Parameters
    ----------
    effect : ndarray, shape (V,) or (Q, V)
        Effects.
    variance : ndarray, shape (V,)
        Their variance; for F that of each effect, the effects being independent.
    dim : int, optional
        Q; from the shape where left out.
    dof : float
        Residual degrees of freedom.
    stat_type : {"t", "F"}
        Several effects make it an F.
    tiny : float
        Variances not above it count as none: such a voxel has no statistic.
    dofmax : float
        Largest degrees of freedom.

    Examples
    --------
    >>> con = Contrast(np.array([2.0]), np.array([1.0]), dof=20)
    >>> con.stat(), con.p_value().round(4), con.z_score().round(4)
    (array([2.]), array([0.0296]), array([1.8862]))
    """

    def __init__(
        self,
        effect: Floats,
        variance: Floats,
        dim: int | None = None,
        dof: float = DOFMAX,
        stat_type: str = "t",
        tiny: float = TINY,
        dofmax: float = DOFMAX,
    ) -> None:
        if np.ndim(variance) != 1:
            raise ContrastError("Variance array should have 1 dimension")
        if np.ndim(effect) > 2:
            raise ContrastError("Effect array should have 1 or 2 dimensions")
        check_one_of(stat_type, ["t", "F"], "stat_type")
        effect, variance = np.asarray(effect), np.asarray(variance)
        self.dim = (effect.shape[0] if effect.ndim == 2 else 1) if dim is None else dim
        self.dof, self.tiny, self.dofmax = float(dof), tiny, dofmax
        self.stat_type = "F" if self.dim > 1 else stat_type
        self.variance = variance
        self._raw = np.atleast_2d(effect)
        self._flat = effect.ndim == 1
        self._unit: Floats | None = None
        self.baseline = 0.0

    @classmethod
    def of_rows(
        cls, raw: Floats, unit: Floats, dispersion: Floats, dof: float, stat_type: str
    ) -> Contrast:
        """Make a contrast from its rows and their covariance.

        Parameters
        ----------
        raw : ndarray, shape (Q, V)
            ``C b``.
        unit : ndarray, shape (Q, Q, V)
            Covariance for unit noise.
        dispersion : ndarray, shape (V,)
            Noise variance.
        dof : float
            Residual degrees of freedom.
        stat_type : {"t", "F"}
            The statistic.
        """
        if stat_type == "t":
            return cls(raw[0], unit[0, 0] * dispersion, dof=dof)
        made = cls(raw, dispersion, dof=dof, stat_type="F")
        made._unit, made._flat = unit, False
        return made

    @property
    def covariance(self) -> Floats:
        """Covariance of the rows, shape ``(Q, Q, V)``."""
        Q = self._raw.shape[0]
        unit = np.eye(Q)[:, :, None] if self._unit is None else self._unit
        return np.asarray(unit * self.variance)

    @property
    def effect(self) -> Floats:
        """Effects; those of an F are made independent, each with the same ``variance``."""
        if self._unit is None:
            return self._raw[0] if self._flat else self._raw
        values, vectors = np.linalg.eigh(np.moveaxis(self._unit, -1, 0))
        with np.errstate(invalid="ignore", divide="ignore"):
            turned = np.einsum("vij,iv->jv", vectors, self._raw) / np.sqrt(values.T)
        return np.einsum("vij,jv->iv", vectors, turned)

    def effect_size(self) -> Floats:
        """Return the effect."""
        return self.effect

    def effect_variance(self) -> Floats:
        """Return the variance of the effect."""
        return self.variance

    def stat(self, baseline: float = 0.0) -> Floats:
        """Return t or F of the hypothesis that the effect is ``baseline``, shape ``(V,)``."""
        self.baseline = baseline
        cov = np.where(self.covariance > self.tiny, self.covariance, 0.0)
        cov = cov if self.stat_type == "t" else self.covariance
        null = np.full(self._raw.shape[0], float(baseline))
        kind: Any = self.stat_type
        found = wald(self._raw, cov, self._df, kind, null).stat
        silent = np.all(self._raw == baseline, axis=0) & (self.variance == 0)
        self.stat_ = np.where(silent, 0.0, found * (self._raw.shape[0] / self.dim))
        return self.stat_

    def p_value(self, baseline: float = 0.0) -> Floats:
        """Return the upper tail of the statistic: one-sided for t."""
        self.p_value_ = np.exp(self._log_upper(self.stat(baseline)))
        return self.p_value_

    def one_minus_pvalue(self, baseline: float = 0.0) -> Floats:
        """Return the lower tail of the statistic, computed as such."""
        stat = self.stat(baseline)
        if self.stat_type == "t":
            lower = tails.t_log_sf(-stat, self._df)
        else:
            with np.errstate(divide="ignore"):
                lower = tails.f_log_sf(1.0 / stat, self._df, self.dim)
        self.one_minus_pvalue_ = np.exp(lower)
        return self.one_minus_pvalue_

    def z_score(self, baseline: float = 0.0) -> Floats:
        """Return the normal score of the upper tail; it does not saturate."""
        stat = self.stat(baseline)
        if self.stat_type == "t":
            self.z_score_ = tails.t_to_z(stat, self._df)
        else:
            self.z_score_ = tails.f_to_z(stat, self.dim, self._df)
        return self.z_score_

    @property
    def _df(self) -> float:
        return min(self.dof, self.dofmax) if self.dof > 0 else np.nan

    def _log_upper(self, stat: Floats) -> Floats:
        if self.stat_type == "t":
            return tails.t_log_sf(stat, self._df)
        return tails.f_log_sf(stat, self.dim, self._df)

    def __add__(self, other: Contrast) -> Contrast:
        """Add the contrast of an independent run."""
        if self.stat_type != other.stat_type:
            raise ContrastError("The two contrasts do not have consistent type dimensions")
        if self.dim != other.dim:
            raise ContrastError("The two contrasts do not have compatible dimensions")
        parts = [(c._raw, c.covariance, c.dof) for c in (self, other)]
        mean = combine(parts)
        return self._like(2.0 * mean.effect, 4.0 * mean.cov, self.variance + other.variance, mean)

    def _like(self, raw: Floats, cov: Floats, variance: Floats, of: Any) -> Contrast:
        if self.stat_type == "t":
            return Contrast(raw[0], cov[0, 0], self.dim, float(of.df), "t")
        made = Contrast(raw, variance, self.dim, float(of.df), "F")
        with np.errstate(invalid="ignore", divide="ignore"):
            made._unit = cov / variance
        made._flat = False
        return made

    def __rmul__(self, scalar: float) -> Contrast:
        """Multiply the effect by a number."""
        factor = float(scalar)
        made = Contrast(
            self._raw[0] * factor if self._flat else self._raw * factor,
            self.variance * factor**2,
            self.dim,
            self.dof,
            self.stat_type,
        )
        made._unit = self._unit
        return made

    __mul__ = __rmul__

    def __truediv__(self, scalar: float) -> Contrast:
        """Divide the effect by a number."""
        return self.__rmul__(1.0 / float(scalar))


def compute_contrast(
    labels: NDArray[Any],
    regression_result: Mapping[Any, Any],
    con_val: ArrayLike,
    stat_type: str | None = None,
) -> Contrast:
    """Test a contrast on what :func:`~voxlm.glm.first_level.run_glm` returned.

    Parameters
    ----------
    labels : ndarray, shape (V,)
        The label of each voxel.
    regression_result : dict
        Results by label.
    con_val : array_like, shape (P,) or (Q, P)
        Weights.
    stat_type : {"t", "F"}, optional
        t for one row and F for several where left out.

    Returns
    -------
    Contrast
    """
    first = next(iter(regression_result.values()))
    rows, kind = as_rows(con_val, first.theta.shape[0], stat_type)
    Q, V = rows.shape[0], labels.size
    raw, unit, scale = np.empty((Q, V)), np.empty((Q, Q, V)), np.empty(V)
    for label, fit in regression_result.items():
        at = labels == label
        raw[:, at] = rows @ fit.theta.reshape(fit.theta.shape[0], -1)
        unit[:, :, at] = fit.vcov(matrix=rows, dispersion=1.0)[:, :, None]
        scale[at] = fit.dispersion
    return Contrast.of_rows(raw, unit, scale, first.df_residuals, kind)


def contrast_of(
    found: Estimate, con_val: ArrayLike, stat_type: str | None, names: Sequence[str]
) -> Contrast:
    """Test a contrast on a fit.

    Raises
    ------
    ContrastError
        If the design is singular and does not determine the contrast; columns are named.
    """
    rows, kind = as_rows(con_val, found.X.shape[1], stat_type)
    scale = found.scale if determined(rows, found, names) else np.full(found.scale.shape, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = found.vcov(rows) / found.scale
    effect = found.effect(rows)
    effect[:, found.status != FITTED] = np.nan
    return Contrast.of_rows(effect, unit, scale, found.df_resid, kind)


def determined(rows: Floats, found: Estimate, names: Sequence[str]) -> bool:
    """Tell whether a fit has statistics for some rows; refuse what the design does not determine.

    A column without a value, such as a condition without events in the run, has no effect that
    could be tested: that is said, and the statistics are NaN.
    """
    used = np.any(found.X != 0, axis=0)
    empty = np.flatnonzero(~used & np.any(rows != 0, axis=0))
    if empty.size:
        which = ", ".join(str(names[k]) for k in empty.tolist())
        warn(
            f"The contrast asks for {which}, which is zero in "
            "every row of the design matrix: there is nothing to test",
            UserWarning,
            stacklevel=4,
        )
    if found.df_resid > 0 and np.any(rows[:, used]):
        asked = rows[np.any(rows[:, used] != 0, axis=1)][:, used]
        try:
            check_estimable(asked, found.X[:, used], [str(n) for n in np.array(names)[used]])
        except ContrastError as error:
            raise ContrastError(f"Design matrix is singular: {error}") from error
    return not empty.size


def mean_contrast(contrasts: Sequence[Contrast]) -> Contrast:
    """Return the fixed effect over runs: the mean effect, with the variance of that mean."""
    total = contrasts[0]
    for contrast in contrasts[1:]:
        total = total + contrast
    return total * (1.0 / len(contrasts))


def runs_with_effect(con_vals: Sequence[ArrayLike]) -> list[int]:
    """Return the runs whose contrast is not null, saying which are left out."""
    kept = []
    for run, weights in enumerate(con_vals):
        if np.size(weights) and np.all(np.asarray(weights) == 0):
            warn(f"Contrast for run {run} is null.", UserWarning, stacklevel=3)
            continue
        kept.append(run)
    if not kept:
        raise ContrastError("All contrasts provided were null contrasts.")
    return kept


def compute_fixed_effect_contrast(
    labels: Sequence[NDArray[Any]],
    results: Sequence[Mapping[Any, Any]],
    con_vals: Sequence[ArrayLike],
    stat_type: str | None = None,
) -> Contrast:
    """Test the mean of a contrast over runs.

    Parameters
    ----------
    labels, results : sequence
        What :func:`~voxlm.glm.first_level.run_glm` returned, one of each a run.
    con_vals : sequence of array_like
        Weights of each run; a run whose weights are all zero is left out, with a warning.
    stat_type : {"t", "F"}, optional
        t for one row and F for several where left out.

    Returns
    -------
    Contrast
    """
    runs = runs_with_effect(con_vals)
    return mean_contrast(
        [compute_contrast(labels[k], results[k], con_vals[k], stat_type) for k in runs]
    )


def compute_fixed_effects(
    contrast_imgs: Sequence[Any],
    variance_imgs: Sequence[Any],
    mask: Any = None,
    precision_weighted: bool = False,
    dofs: Sequence[float] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """Combine maps of effects and variances of several runs.

    Parameters
    ----------
    contrast_imgs, variance_imgs : sequence of images
        One of each a run.
    mask : image, masker or None
        Computed from the effects where None.
    precision_weighted : bool
        Whether runs count by the inverse of their variance; else all count the same.
    dofs : sequence of float, optional
        Degrees of freedom of each run; 100 each where left out.

    Returns
    -------
    effect, variance, stat, z : images
    """
    R = len(contrast_imgs)
    if len(variance_imgs) != R:
        raise DataError(
            f"The number of contrast images ({R}) differs from the number of variance images "
            f"({len(variance_imgs)})."
        )
    df = [100.0] * R if dofs is None else [float(one) for one in dofs]
    if len(df) != R:
        raise DataError(
            f"The number of degrees of freedom ({len(df)}) differs from the number of contrast "
            f"images ({R})."
        )
    imgs = check_images(list(contrast_imgs), "contrast_imgs")
    masker = make_masker(imgs, mask, "background")
    effects = stack(masker, imgs)
    variances = np.maximum(
        stack(masker, check_images(list(variance_imgs), "variance_imgs")), SMALLEST_VARIANCE
    )
    runs = [(effects[r][None], variances[r][None, None], df[r]) for r in range(R)]
    found = combine(runs, "precision" if precision_weighted else "unweighted")
    contrast = Contrast(found.effect[0], found.cov[0, 0], dof=sum(df))
    maps = (contrast.effect, contrast.variance, contrast.stat(), contrast.z_score())
    effect, variance, stat, z = (masker.inverse_transform(values) for values in maps)
    return effect, variance, stat, z


open_path(__name__)
