"""A decision about a contrast: which voxels, at what threshold, by what rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError, VoxlmError, did_you_mean
from voxlm.images.space import measured
from voxlm.inference.decision import Decision, correct, p_of

if TYPE_CHECKING:
    from voxlm.analysis.contrast import Contrast
    from voxlm.inference.ari import AllResolution
    from voxlm.inference.permutation import PermutationTest
    from voxlm.inference.randomfield import RandomField

clustertable = lazy_loader.load("voxlm.analysis.clustertable", suppress_warning=True)
verdictplot = lazy_loader.load("voxlm.analysis.verdictplot", suppress_warning=True)
verdictfile = lazy_loader.load("voxlm.analysis.verdictfile", suppress_warning=True)
images = lazy_loader.load("voxlm.images.region", suppress_warning=True)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MAPS = ("p", "q", "significant", "stat", "z", "effect", "tdp")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Verdict:
    """Which voxels of a contrast are significant.

    Made by :meth:`voxlm.Contrast.correct`. Two verdicts are equal when all of their numbers are.

    Parameters
    ----------
    contrast : Contrast
        What was decided about.
    decision : Decision
        Corrected p, significance, threshold.
    two_sided : bool
        Whether both signs of a t count.
    connectivity : int
        Neighbours of a voxel in clusters.
    permutations : PermutationTest, optional
        The null distributions, where something was permuted.
    bounds : AllResolution, optional
        Of ``"ari"`` and ``"pari"``.
    formed : ndarray of bool, shape (V,), optional
        Voxels of the clusters that ``bounds`` were asked about.
    field : RandomField, optional
        Of ``"grf"``: smoothness, resels, degrees of freedom.
    forming : float
        Height that ``"grf"`` formed clusters at.
    """

    contrast: Contrast
    decision: Decision
    two_sided: bool = True
    connectivity: int = 6
    permutations: PermutationTest | None = None
    bounds: AllResolution | None = None
    formed: Bools | None = None
    field: RandomField | None = None
    forming: float = float("nan")

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
        """Corrected p-values, shape ``(V,)``; NaN where there was no test."""
        return self.decision.p

    @property
    def q(self) -> Floats:
        """False-discovery q-values, shape ``(V,)``: Benjamini and Hochberg's, or the verdict's."""
        if self.method in ("fdr", "fdr_by"):
            return self.decision.p
        return correct(p_of(self.contrast.result, self.two_sided), "fdr", self.alpha).p

    @property
    def significant(self) -> Bools:
        """Whether each voxel is significant, shape ``(V,)``."""
        return self.decision.significant

    @property
    def threshold(self) -> float | Floats:
        """The statistic from which a voxel is significant, in its own units.

        Of both signs where both count. Infinity where none is; NaN where it is no height, as for
        TFCE; for clusters the height that forms them.
        """
        return self.decision.threshold

    @property
    def words(self) -> str:
        """The threshold and what it holds, as a sentence."""
        return self.decision.words

    @property
    def null(self) -> Floats:
        """The null distribution that p was counted in, shape ``(K,)``; empty where there is none.

        The largest statistic, cluster or enhancement of each permutation; for ``"pari"`` the
        steepest line below its sorted p, the observed one included.
        """
        if self.bounds is not None:
            return self.bounds.null
        if self.permutations is None:
            return np.empty(0)
        return self.permutations.measure(self.method, self._at_forming()).null

    @property
    def n_significant(self) -> int:
        """Number of significant voxels."""
        return int(self.significant.sum())

    def _at_forming(self) -> float | None:
        height = self.decision.threshold
        return float(height) if self.method.startswith("cluster") else None

    def at(self, forming: float) -> Verdict:
        """Return the decision at another of the cluster-forming thresholds that were given.

        Parameters
        ----------
        forming : float
            In units of the statistic; ``verdict.permutations`` lists them.
        """
        if self.permutations is None or not self.method.startswith("cluster"):
            raise VoxlmError(f"{self.method!r} forms no clusters at several thresholds")
        decided = self.permutations.decide(
            self.method, self.alpha, forming, measured(self.contrast.space)
        )
        return replace(self, decision=decided)

    def tdp(self, region: ArrayLike | str | PathLike[str] | int | None = None) -> float:
        """Return the least share of truly active voxels in a region, chosen before or after.

        Parameters
        ----------
        region : array of bool of shape (V,), path, image, or int
            Voxels; a mask on the grid of the maps; or the number of a cluster in ``table()``.
            All voxels where it is left out.

        Returns
        -------
        float
            From 0 to 1; all such bounds hold together with probability ``1 - alpha``.

        Raises
        ------
        VoxlmError
            A verdict by another method than ``"ari"`` or ``"pari"``; a region of another shape.
        """
        if self.bounds is None:
            raise VoxlmError(
                f"true-discovery proportions come from correct('ari') or 'pari'; this verdict is "
                f"by {self.method!r}"
            )
        return self.bounds.proportion(self._region(region))

    def _region(self, region: Any) -> Bools:
        if region is None:
            return np.ones(len(self.p), dtype=np.bool_)
        if isinstance(region, (int, np.integer)) and not isinstance(region, (bool, np.bool_)):
            found = clustertable.clusters_of(self)
            if not 1 <= region <= len(found):
                raise VoxlmError(f"there is no cluster {region}: the table has {len(found)}")
            return np.asarray(found.labels == region)
        if images.names_region(region):
            return np.asarray(images.read_region(region, self.contrast.space))
        return np.asarray(region)

    def values(self, name: str) -> Floats:
        """Return a map by name.

        Parameters
        ----------
        name : {"stat", "z", "effect", "p", "q", "significant", "tdp"}
            The statistic, z or effect where significant and 0 elsewhere; corrected p; q;
            significance as 0 and 1; each cluster's true-discovery proportion.
        """
        if name not in MAPS:
            raise DataError(f"no map called {name!r}; {did_you_mean(name, MAPS)}")
        if name in ("p", "q"):
            return self.p if name == "p" else self.q
        if name == "tdp":
            return np.asarray(clustertable.tdp_map(self))
        if name == "significant":
            return self.significant.astype(np.float64)
        return np.where(self.significant, self.contrast.values(name), 0.0)

    def image(self, name: str = "stat") -> Any:
        """Return a map as an image of the kind the data were.

        Parameters
        ----------
        name : {"stat", "z", "effect", "p", "q", "significant", "tdp"}
            As for :meth:`values`; ``significant`` as a mask.
        """
        values = self.values(name)
        if name == "significant":
            return self.contrast.space.image(self.significant)
        intent, df = self.intent(name)
        return self.contrast.space.image(values, intent=intent, df=df)

    def intent(self, name: str) -> tuple[str | None, Any]:
        """Return what a map's header declares: its intent, and degrees of freedom."""
        if name in ("tdp", "significant"):
            return None, None
        resolved, df = self.contrast.intent("p" if name == "q" else name)
        return resolved, df

    def table(
        self, connectivity: Literal[6, 18, 26] | None = None, min_distance: float = 8.0
    ) -> pd.DataFrame:
        """Return the clusters of significant voxels and their peaks.

        Parameters
        ----------
        connectivity : {6, 18, 26}, optional
            Neighbours of a voxel; as the verdict formed its clusters, else 6.
        min_distance : float
            Sub-peaks closer than this, in millimetres, are left out.

        Returns
        -------
        DataFrame
            One row a cluster, and one for each of up to three sub-peaks (``1a``, ``1b``, …), as
            nilearn's ``get_clusters_table``: place in mm, statistic, corrected p; for clusters also
            the size in voxels and mm³, and the centre of mass, weighted by the statistic's size.
            ``"grf"`` adds the p of peaks and of clusters. ``"ari"`` and ``"pari"`` list every
            cluster formed, with its true discoveries and their proportion.
            For arrays, which have no neighbours: one row a significant column.
        """
        found: pd.DataFrame = clustertable.tabulate(self, connectivity, min_distance)
        return found

    def plot(self, background: Any = None, n_slices: int = 12) -> Any:
        """Draw the significant part of the statistic, wherever it lies.

        Volumes are drawn in axial slices, surfaces and the cortex of grayordinates on their
        meshes; of columns that have no place, each is a point.

        Parameters
        ----------
        background : image, optional
            Of a volume: drawn in grey below, on the same grid. Without it, maps in MNI space lie on
            a template, and others on their mask.
        n_slices : int
            Of a volume: at most so many slices.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        DataError
            A background of a map that is no volume.
        """
        return verdictplot.draw(self, background, n_slices)

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write the verdict to a folder, whole or not at all; :func:`voxlm.load_verdict` reads it.

        Parameters
        ----------
        folder : path
            Gets maps of the thresholded statistic, of corrected p and q, of significance, the
            clusters as a table, the null distribution, and all numbers in full precision.

        Returns
        -------
        Path
        """
        written: Path = verdictfile.save_verdict(self, Path(folder))
        return written

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Verdict):
            return NotImplemented
        return bool(verdictfile.same(self, other))

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return self.decision.told(self.contrast.space.counted)
