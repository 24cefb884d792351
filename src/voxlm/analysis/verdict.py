"""A decision about a contrast: which voxels, at what threshold, by what rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.errors import DataError, VoxlmError, did_you_mean
from voxlm.images.space import Volume
from voxlm.inference.clusters import find_clusters
from voxlm.inference.decision import METHODS, Decision, correct
from voxlm.kernels.graph import volume_graph

if TYPE_CHECKING:
    from voxlm.analysis.contrast import Contrast
    from voxlm.inference.permutation import PermutationTest

# Only some corrections need it, and compiled kernels with it.
permuting = lazy_loader.load("voxlm.analysis.permuting", suppress_warning=True)

Floats = NDArray[np.float64]

MAPS = ("p", "significant", "stat", "z", "effect")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Verdict:
    """Which voxels of a contrast are significant.

    Parameters
    ----------
    contrast : Contrast
        What was decided about.
    decision : Decision
        Corrected p, significance, threshold.
    permutations : PermutationTest, optional
        The null distributions, where maps were permuted.
    """

    contrast: Contrast
    decision: Decision
    permutations: PermutationTest | None = None

    @property
    def method(self) -> str:
        """The rule."""
        return self.decision.method

    @property
    def alpha(self) -> float:
        """The error rate held."""
        return self.decision.alpha

    @property
    def p(self) -> Floats:
        """Corrected p-values, shape ``(V,)``."""
        return self.decision.p

    @property
    def significant(self) -> NDArray[np.bool_]:
        """Whether each voxel is significant, shape ``(V,)``."""
        return self.decision.significant

    @property
    def threshold(self) -> float | Floats:
        """The |t| or F from which a voxel is significant; infinity where none is."""
        return self.decision.threshold

    @property
    def n_significant(self) -> int:
        """Number of significant voxels."""
        return int(self.significant.sum())

    def values(self, name: str) -> Floats:
        """Return ``p``, ``significant``, or a map of the contrast where significant, else 0."""
        if name not in MAPS:
            raise DataError(f"no map called {name!r}; {did_you_mean(name, MAPS)}")
        if name == "p":
            return self.p
        if name == "significant":
            return self.significant.astype(np.float64)
        return np.where(self.significant, self.contrast.values(name), 0.0)

    def image(self, name: str = "stat") -> Any:
        """Return a map as an image.

        Parameters
        ----------
        name : {"stat", "z", "effect", "p", "significant"}
            The statistic, z or effect where significant and 0 elsewhere; the corrected p; or the
            mask of significant voxels.
        """
        values = self.values(name)
        if name == "significant":
            return self.contrast.space.image(self.significant)
        kind = self.contrast.kind if name == "stat" else name
        df = {"t": self.contrast.df, "F": (self.contrast.df_num, self.contrast.df)}.get(kind)
        return self.contrast.space.image(values, intent=kind, df=df)

    def table(
        self, connectivity: Literal[6, 18, 26] = 6, min_distance: float = 8.0
    ) -> pd.DataFrame:
        """Return the clusters of significant voxels and their peaks.

        Parameters
        ----------
        connectivity : {6, 18, 26}
            Neighbours of a voxel.
        min_distance : float
            Sub-peaks closer than this, in millimetres, are left out.

        Returns
        -------
        DataFrame
            One row a cluster, and one for each of up to three sub-peaks (``1a``, ``1b``, …): place
            in mm, statistic, corrected p, and for clusters the size in voxels and mm³.
            For arrays, which have no neighbours: one row a significant column.
        """
        return tabulate(self, connectivity, min_distance)

    def __repr__(self) -> str:
        return str(self.decision)


def decide(contrast: Contrast, method: str, alpha: float, options: Mapping[str, Any]) -> Verdict:
    """Correct a contrast for the number of voxels."""
    if method in METHODS:
        if options:
            raise VoxlmError(f"{', '.join(options)}: not for {method!r}, which permutes nothing")
        return Verdict(contrast, correct(contrast.result, method, alpha))
    if method not in permuting.PERMUTED:
        known = (*METHODS, *permuting.PERMUTED)
        raise VoxlmError(
            f"unknown correction {method!r}; {did_you_mean(str(method), known)} "
            f"The methods are: {', '.join(known)}"
        )
    test = permuting.permute(
        contrast.resampling, contrast.hypothesis, contrast.space, method, dict(options)
    )
    return Verdict(contrast, test.decide(method, alpha), test)


def tabulate(
    verdict: Verdict, connectivity: Literal[6, 18, 26], min_distance: float
) -> pd.DataFrame:
    """List the clusters of significant voxels with their peaks; see :meth:`Verdict.table`."""
    stat, p, space = verdict.contrast.stat, verdict.p, verdict.contrast.space
    if not isinstance(space, Volume):
        chosen = np.flatnonzero(verdict.significant)
        chosen = chosen[np.argsort(-np.abs(stat[chosen]), kind="stable")]
        return pd.DataFrame({"column": chosen, "stat": stat[chosen], "p": p[chosen]})
    voxels = space.voxels
    found = find_clusters(
        np.where(np.isfinite(stat), stat, 0.0),
        volume_graph(space.shape, np.ravel_multi_index(tuple(voxels.T), space.shape), connectivity),
        verdict.significant,
        positions=space.mm(voxels),
        min_distance=min_distance,
    )
    volume = float(np.prod(space.voxel_sizes))
    rows = []
    for k, peaks in enumerate(found.peaks):
        for rank, voxel in enumerate(peaks):
            x, y, z = space.mm(voxels[voxel])[0]
            size = int(found.size[k]) if rank == 0 else pd.NA
            rows.append(
                {
                    "cluster": f"{k + 1}{chr(ord('a') + rank - 1) if rank else ''}",
                    "x": x,
                    "y": y,
                    "z": z,
                    "stat": stat[voxel],
                    "p": p[voxel],
                    "voxels": size,
                    "mm3": size * volume if rank == 0 else pd.NA,
                }
            )
    columns = ["cluster", "x", "y", "z", "stat", "p", "voxels", "mm3"]
    return pd.DataFrame(rows, columns=columns)
