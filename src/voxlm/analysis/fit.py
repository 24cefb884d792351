"""A fitted run, and the questions that can be asked of it.

Axes: T scans, n retained scans, V voxels, P columns, p order of the noise model.
"""

from __future__ import annotations

from functools import cached_property, partial
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.contrast import Contrast, ask
from voxlm.analysis.fitted import Fitted
from voxlm.analysis.options import whole
from voxlm.analysis.reporting import Reported
from voxlm.analysis.resampling import ResidualImages
from voxlm.analysis.residuals import run_residuals
from voxlm.analysis.spec import ContrastSpec
from voxlm.analysis.summary import describe_fit
from voxlm.errors import DataError
from voxlm.models.reduce import FITTED, REASONS

# Who asks for a voxel, a script or files loads what they take.
export = lazy_loader.load("voxlm.analysis.export", suppress_warning=True)
saving = lazy_loader.load("voxlm.analysis.save", suppress_warning=True)
voxelwise = lazy_loader.load("voxlm.analysis.voxelwise", suppress_warning=True)

Floats = NDArray[np.float64]


class Fit(Fitted, Reported):
    """A model fitted at every voxel of one run.

    Made by :func:`voxlm.lm` and :func:`voxlm.glsar`. Attributes carry the names of statsmodels'
    results; the last axis is the voxel. Voxels that could not be fitted are NaN everywhere and are
    counted in ``left_out`` and in the summary.

    Parameters
    ----------
    model : {"lm", "glsar"}
        Which verb made it.
    plan : Plan
        The run, its design and the scans kept.
    estimate : Estimate
        The numbers.
    maxiter, rtol : int, float
        Limits of the AR iteration.

    Examples
    --------
    >>> import voxlm as vx
    >>> events = pd.DataFrame({"onset": [4.0, 40, 80], "duration": 9.0, "trial_type": "face"})
    >>> data = np.random.default_rng(0).normal(100, 1, (60, 3))
    >>> fit = vx.glsar("y ~ face", vx.Run(data, events, tr=2.0))
    >>> fit.params.shape, fit.rho.shape, fit.names[0]
    ((3, 3), (1, 3), 'face')
    """

    @cached_property
    def resid(self) -> Floats:
        """Data less fitted values, in the units of the fit, shape ``(n, V)``."""
        every = np.arange(self.n_voxels)
        return voxelwise.series(self, every) - self.fittedvalues

    def contrast(self, spec: ContrastSpec) -> Contrast:
        """Ask a question of the coefficients.

        Parameters
        ----------
        spec : str, array, dict or list of str
            ``"face - house"``, ``"(face + house)/2 - tool"``, ``"face - house = 0.5"`` (t);
            ``"face, house"``, ``"face = house"``, a matrix or a list (joint F); a vector over the
            columns or ``{"face": 1, "house": -1}``.

        Returns
        -------
        Contrast

        Raises
        ------
        ContrastError
            The text cannot be read, or the design cannot estimate it.
        """
        return self._ask(spec, None)

    def t_test(self, spec: ContrastSpec) -> Contrast:
        """Test one row by t; as statsmodels' ``t_test``, at every voxel.

        Parameters
        ----------
        spec : str, array, dict or list of str
            As for :meth:`contrast`.

        Returns
        -------
        Contrast

        Raises
        ------
        ContrastError
            As :meth:`contrast`; and for several rows.
        """
        return self._ask(spec, "t")

    def f_test(self, spec: ContrastSpec) -> Contrast:
        """Test rows jointly by F; as statsmodels' ``f_test``, at every voxel.

        Parameters
        ----------
        spec : str, array, dict or list of str
            As for :meth:`contrast`; one row is tested by F as well.

        Returns
        -------
        Contrast
        """
        return self._ask(spec, "F")

    def _ask(self, spec: ContrastSpec, kind: Literal["t", "F"] | None) -> Contrast:
        residuals = ResidualImages(partial(run_residuals, (self,)))
        return ask(self.estimate, self.design, self.run.space, spec, kind, residuals)

    def wald_test(self, spec: ContrastSpec) -> Contrast:
        """Test rows jointly; the same F as :meth:`f_test`."""
        return self.f_test(spec)

    def voxel(
        self,
        i: int | str | None = None,
        j: int | None = None,
        k: int | None = None,
        *,
        x: float | None = None,
        y: float | None = None,
        z: float | None = None,
        mm: bool = False,
    ) -> Any:
        """Refit one voxel with statsmodels and return its own results object.

        Parameters
        ----------
        i, j, k : int
            Voxel indices in the image's grid; for arrays ``i`` alone, the column. Of a surface or
            of grayordinates ``("left", 1234)`` or ``("CORTEX_LEFT", 1234)``, the vertex of a mesh.
        x, y, z : float
            Instead, a position; in millimetres with ``mm=True``, else in voxel indices.
        mm : bool
            Whether ``x, y, z`` are millimetres.

        Returns
        -------
        statsmodels.regression.linear_model.RegressionResults

        Raises
        ------
        DataError
            The position is outside the grid or the mask, or the voxel was left out.
        """
        at = self._fitted(i, j, k, x, y, z, mm)
        return voxelwise.refit(self, at)

    def to_statsmodels(self, csv: str | PathLike[str], *place: float, mm: bool = False) -> str:
        """Write one voxel's data as a table, and return statsmodels code that fits it.

        Parameters
        ----------
        csv : path
            The table, written over: the series at the retained scans in the units of the fit,
            then the columns of the design.
        *place : int or float
            Voxel indices, or millimetres with ``mm=True``; for arrays, the column.
        mm : bool
            Whether ``place`` is in millimetres.

        Returns
        -------
        str
            Python code that runs as it is and needs nothing of this package. Print it.

        Raises
        ------
        DataError
            The voxel was left out or lies outside, or the folder does not exist.
        """
        return export.statsmodels_code(self, self._place(place, mm), Path(csv))

    def to_r(self, csv: str | PathLike[str], *place: float, mm: bool = False) -> str:
        """Write one voxel's data as a table, and return R code that fits it.

        Parameters
        ----------
        csv, *place, mm
            As for :meth:`to_statsmodels`.

        Returns
        -------
        str
            R code that runs as it is: ``lm``, or ``nlme::gls`` followed by least squares at the
            AR coefficients found here, which equals this fit.
        """
        return export.r_code(self, self._place(place, mm), Path(csv))

    def _place(self, place: tuple[float, ...], mm: bool) -> int:
        if not 1 <= len(place) <= 3:
            raise DataError("say which voxel: three indices, millimetres with mm=True, or a column")
        padded = [*place, None, None][:3]
        indices: list[Any] = [None] * 3 if mm else padded
        return self._fitted(*indices, *(padded if mm else [None] * 3), mm)

    def _fitted(self, *place: Any) -> int:
        """Return the position of a voxel on the voxel axis; it has to have a fit."""
        at = self._position(*place)
        status = int(self.estimate.status[at])
        if status != FITTED:
            raise DataError(f"this voxel was left out of the fit: {REASONS[status]}")
        return at

    def _position(
        self,
        i: int | str | None,
        j: int | None,
        k: int | None,
        x: float | None,
        y: float | None,
        z: float | None,
        mm: bool,
    ) -> int:
        place = [at for at in (x, y, z) if at is not None]
        if i is not None and not place and not mm:
            counted = (j, k) if isinstance(i, str) else (i, j, k)
            if not all(at is None or isinstance(at, Integral) for at in counted):
                raise DataError(f"voxels are counted: i, j, k are whole numbers, got {(i, j, k)}")
            return self.run.space.index(i, j, k)
        if i is not None or j is not None or k is not None or len(place) != 3:
            raise DataError(
                "say which voxel in one way: voxel(i, j, k), or voxel(x=…, y=…, z=…, mm=True)"
            )
        if mm:
            return self.run.space.index_mm(*place)
        return self.run.space.index(*(round(at) for at in place))

    def check(self, n: int = 50, seed: int = 0) -> pd.DataFrame:
        """Refit random voxels with statsmodels; return the table of largest differences.

        Parameters
        ----------
        n : int
            Number of voxels.
        seed : int
            Chooses them.

        Returns
        -------
        DataFrame
            One row a quantity: largest relative and absolute difference, and the voxel.
        """
        return voxelwise.compare(self, whole(n, "n"), seed)

    def image(self, name: str) -> Any:
        """Return a map as an image of the kind the data were; an array for arrays.

        Parameters
        ----------
        name : str
            ``"rsquared"``, ``"scale"``, ``"rho"``, or a column: its coefficients.

        Returns
        -------
        nibabel image, dict of them by hemisphere, or ndarray

        Raises
        ------
        DataError
            For another name.
        """
        return self.run.space.image(self.map(name))

    def save(self, out: str | PathLike[str], contrasts: Any = ()) -> Path:
        """Write maps, design, mask and provenance to a folder, whole or not at all.

        Parameters
        ----------
        out : path
            The folder; made if missing. What an earlier save of the same run wrote there goes,
            other files stay.
        contrasts : iterable of str or Contrast, or a dict of them by name
            Contrasts whose maps are written too.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        DataError
            The folder is another program's data set, or two contrasts come to one name.

        Notes
        -----
        A run with entities, such as :func:`voxlm.bids.runs` gives, is saved as BIDS derivatives:
        ``sub-01/func/sub-01_task-x_contrast-faceMinusHouse_stat-z_statmap.nii.gz``, a sidecar
        beside each map, ``dataset_description.json``; one folder holds all subjects. Other runs
        are saved by the plain names ``contrast-faceMinusHouse_stat-z_statmap.nii.gz``.
        """
        return saving.save_fit(self, self.contrast, Path(out), contrasts)

    def _by_run(self) -> list[Fit]:
        return [self]

    def summary(self) -> str:
        """Describe the fit: formula as understood, columns, scans, voxels."""
        return describe_fit(self)

    def __repr__(self) -> str:
        return describe_fit(self)
