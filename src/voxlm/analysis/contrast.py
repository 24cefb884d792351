"""A question asked of a fit, answered at every voxel."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lazy_loader
import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.options import share
from voxlm.analysis.resampling import Resampling, ResidualImages, RunParts
from voxlm.analysis.spec import ContrastSpec
from voxlm.contrasts.estimable import check_estimable
from voxlm.contrasts.hypothesis import Hypothesis, hypothesis
from voxlm.contrasts.statmap import StatMap, test
from voxlm.design.columns import Design
from voxlm.errors import DataError, did_you_mean
from voxlm.images.space import Space
from voxlm.kernels.tails import t_isf
from voxlm.models.estimate import Estimate

if TYPE_CHECKING:
    from voxlm.analysis.verdict import Verdict
    from voxlm.inference.ari import AllResolution

# Corrections need these, and some of them compiled kernels.
deciding = lazy_loader.load("voxlm.analysis.deciding", suppress_warning=True)
permuting = lazy_loader.load("voxlm.analysis.permuting", suppress_warning=True)
resolution = lazy_loader.load("voxlm.inference.ari", suppress_warning=True)

Floats = NDArray[np.float64]

MAPS = ("effect", "se", "stat", "t", "F", "z", "p", "log10p")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Contrast:
    """Effect, standard error, statistic, p and z of one question, at every voxel.

    Parameters
    ----------
    hypothesis : Hypothesis
        The rows of C, their null values, t or F.
    result : StatMap
        The numbers.
    space : Space
        Where the voxels lie.
    resampling : Resampling or RunParts, optional
        The maps of a group, or what each run adds, for corrections that permute.
    residuals : ResidualImages, optional
        For corrections by random-field theory.

    Examples
    --------
    >>> import pandas as pd
    >>> import voxlm as vx
    >>> maps = vx.Maps(pd.DataFrame({"age": [20.0, 30, 40, 50]}), data=[[1.0], [3], [2], [4]])
    >>> con = vx.lm("~ age", maps).contrast("age")
    >>> con.effect.round(3), con.t.round(3), con.p.round(3)
    (array([0.08]), array([1.886]), array([0.2]))
    """

    hypothesis: Hypothesis
    result: StatMap
    space: Space
    resampling: Resampling | RunParts | None = None
    residuals: ResidualImages | None = None

    @property
    def text(self) -> str:
        """The contrast as asked."""
        return self.hypothesis.text

    @property
    def kind(self) -> Literal["t", "F"]:
        """The statistic."""
        return self.hypothesis.kind

    @property
    def effect(self) -> Floats:
        """``C b``: shape ``(V,)`` for a t, ``(Q, V)`` for an F."""
        return self.result.effect[0] if self.kind == "t" else self.result.effect

    @property
    def se(self) -> Floats:
        """Standard error of each row of the effect, shape as ``effect``."""
        return self.result.se

    @property
    def stat(self) -> Floats:
        """The t or F statistic, shape ``(V,)``."""
        return self.result.stat

    @property
    def t(self) -> Floats:
        """The t statistic, shape ``(V,)``; an error for a joint test."""
        if self.kind != "t":
            raise DataError(f"{self.text!r} is a joint test: it has F, not t")
        return self.stat

    @property
    def F(self) -> Floats:  # noqa: N802
        """The F statistic, shape ``(V,)``; the square of t for a single row."""
        return self.stat if self.kind == "F" else self.stat**2

    @property
    def p(self) -> Floats:
        """The p-value, two-sided for a t, shape ``(V,)``."""
        return self.result.p

    @property
    def log10p(self) -> Floats:
        """The base-10 logarithm of p, which does not underflow, shape ``(V,)``."""
        return self.result.log10p

    @property
    def z(self) -> Floats:
        """The normal score with the same tail, signed, shape ``(V,)``."""
        return self.result.z

    @property
    def df(self) -> Any:
        """Residual degrees of freedom."""
        return self.result.df

    @property
    def df_num(self) -> int:
        """Numerator degrees of freedom: the number of rows."""
        return self.hypothesis.C.shape[0]

    def conf_int(self, alpha: float = 0.05) -> Floats:
        """Return the bounds of the interval of the effect.

        Parameters
        ----------
        alpha : float
            One less the coverage, for instance 0.05 for 95 %.

        Returns
        -------
        ndarray, shape (2, V), or (2, Q, V) of a joint test
            Lower bounds, then upper ones, in the units of the effect.

        Raises
        ------
        DataError
            An ``alpha`` that is not between 0 and 1.
        """
        half = t_isf(share(alpha) / 2, self.df) * self.se
        return np.stack([self.effect - half, self.effect + half])

    def values(self, name: str) -> Floats:
        """Return a map by name.

        Parameters
        ----------
        name : {"effect", "se", "stat", "t", "F", "z", "p", "log10p"}

        Returns
        -------
        ndarray, shape (V,), or (Q, V) for effect and se of a joint test

        Raises
        ------
        DataError
            For another name, and for ``"t"`` of a joint test.
        """
        if name not in MAPS:
            raise DataError(f"no map called {name!r}; {did_you_mean(name, MAPS)}")
        found: Floats = getattr(self, name)
        return found

    def image(self, name: str) -> Any:
        """Return a map as an image of the kind the data were: NIfTI, or an array for arrays.

        Parameters
        ----------
        name : {"effect", "se", "stat", "t", "F", "z", "p", "log10p"}

        Returns
        -------
        nibabel image, dict of them by hemisphere, or ndarray
            Its header declares the statistic and its degrees of freedom.

        Raises
        ------
        DataError
            As for :meth:`values`.
        """
        intent, df = self.intent(name)
        return self.space.image(self.values(name), intent=intent, df=df)

    def intent(self, name: str) -> tuple[str | None, Any]:
        """Return what a map's header declares: its intent, and degrees of freedom."""
        resolved = self.kind if name == "stat" else name
        if resolved == "t" and np.isinf(self.df).all():
            return "z", None
        df = {"t": self.df, "F": (self.df_num, self.df)}.get(resolved)
        return None if resolved == "log10p" else resolved, df

    def save(self, prefix: str | PathLike[str]) -> list[Path]:
        """Write effect, se, statistic, z and p maps as ``{prefix}_stat-{name}_statmap``.

        Parameters
        ----------
        prefix : path
            Folder and start of the names.

        Returns
        -------
        list of Path
            The files.
        """
        start = Path(prefix)
        written: list[Path] = []
        for name in ("effect", "se", self.kind, "z", "p"):
            path = start.with_name(f"{start.name}_stat-{name}_statmap{self.space.extension}")
            intent, df = self.intent(name)
            written.extend(self.space.write(path, self.values(name), intent=intent, df=df))
        return written

    def correct(
        self, method: str = "fdr", alpha: float = 0.05, two_sided: bool = True, **options: Any
    ) -> Verdict:
        """Decide which voxels are significant.

        Parameters
        ----------
        method : str
            ``"fdr"`` is Benjamini and Hochberg's; ``"fdr_by"``, ``"bonferroni"``, ``"holm"``,
            ``"none"``. By permutation of the maps of a group, or by flips of whole runs:
            ``"maxt"``, ``"maxt_step"`` (step-down), ``"cluster_extent"``, ``"cluster_mass"``,
            ``"tfce"``. All-resolution inference: ``"ari"``, and ``"pari"`` calibrated by
            permutation. Random-field theory, as SPM: ``"grf"``.
        alpha : float
            The error rate to hold.
        two_sided : bool
            Whether both signs of a t count, or positive effects alone. An F has one side.
        **options
            For permutations: ``n_perm`` (5,000), ``seed``, ``blocks`` (labels or a column's name),
            ``forming_p`` (0.001; several at once are allowed), ``connectivity`` (6, 18 or 26),
            ``progress`` and the others of :class:`voxlm.inference.plan.Plan`.
            For ``grf``: ``level`` (``"voxel"`` or ``"cluster"``), ``forming_p`` or ``forming``,
            ``connectivity``. For ``ari`` and ``pari``: ``forming_p`` or ``forming``,
            ``connectivity``; for ``pari`` also ``n_perm`` (1,000), ``seed``, ``blocks``, ``start``.

        Returns
        -------
        Verdict

        Raises
        ------
        VoxlmError
            A method or option that is unknown or does not go with the contrast.
        """
        return deciding.decide(self, method, alpha, two_sided, options)

    def discoveries(
        self, alpha: float = 0.05, method: Literal["ari", "pari"] = "ari", **options: Any
    ) -> AllResolution:
        """Bound the number of truly active voxels in any region, chosen before or after.

        Parameters
        ----------
        alpha : float
            All bounds hold together with probability ``1 - alpha``.
        method : {"ari", "pari"}
            By Simes' test on the p-values, or calibrated by permuting the maps of a group.
        **options
            For ``pari``: ``n_perm`` (1,000), ``seed``, ``blocks``, ``start`` and others of
            :class:`voxlm.inference.plan.Plan`.

        Returns
        -------
        AllResolution
            ``.discoveries(region)``, ``.proportion(region)``, ``.by_label(labels)``.

        Raises
        ------
        DataError
            Another method, or options with ``"ari"``, which takes none.

        References
        ----------
        .. [1] Rosenblatt JD et al. (2018). All-resolutions inference for brain imaging.
           NeuroImage 181:786-796.
        """
        if method == "pari":
            return permuting.bound(self.resampling, self.hypothesis, alpha, options)
        if method != "ari" or options:
            what = f"options {', '.join(options)} are for 'pari'" if options else f"got {method!r}"
            raise DataError(f"bounds come from 'ari' or 'pari': {what}")
        return resolution.ari(self.p, alpha)

    def __repr__(self) -> str:
        df = np.unique(np.asarray(self.df))
        shown = f"{df[0]:g}" if df.size == 1 else f"{df.min():g} to {df.max():g}"
        finite = self.stat[np.isfinite(self.stat)]
        span = f"{finite.min():.3g} to {finite.max():.3g}" if finite.size else "no finite value"
        freedom = f"{self.df_num}, {shown}" if self.kind == "F" else shown
        where = f"{finite.size:,} {self.space.counted}"
        return f"{self.hypothesis}\n{self.kind}({freedom}) at {where}: {span}"


def ask(
    estimate: Estimate,
    design: Design,
    space: Space,
    spec: ContrastSpec,
    kind: Literal["t", "F"] | None,
    residuals: ResidualImages | None = None,
) -> Contrast:
    """Read a contrast over a design's columns, check it, and test it at every voxel."""
    question = hypothesis(spec, design.coefficients, kind, design.meaning)
    check_estimable(question.C, estimate.X, design.names)
    return Contrast(question, test(estimate, question), space, residuals=residuals)
