"""``lm``: least squares over scans or over maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import lazy_loader
from numpy.typing import ArrayLike

from voxlm.analysis.firstlevel import Noise, fit_runs
from voxlm.analysis.fit import Fit
from voxlm.analysis.fixed import FixedEffects
from voxlm.bids.maps import Maps
from voxlm.bids.run import Run
from voxlm.design.columns import Design
from voxlm.errors import DataError

if TYPE_CHECKING:
    from voxlm.analysis.groupfit import GroupFit

# The group level has kernels of its own, which a first-level fit need not load.
lmmaps = lazy_loader.load("voxlm.analysis.lmmaps", suppress_warning=True)


@overload
def lm(
    formula: str,
    data: Maps,
    *,
    weights: str | ArrayLike | None = ...,
    cov_type: str = ...,
    cluster: str | None = ...,
    variance_groups: str | None = ...,
    robust: Literal["huber", "bisquare"] | None = ...,
) -> GroupFit: ...
@overload
def lm(formula: str | Design, data: Run, *, hrf: Any = ..., progress: bool = ...) -> Fit: ...
@overload
def lm(
    formula: str | Design,
    data: Sequence[Run],
    *,
    hrf: Any = ...,
    stack: Literal[False] = ...,
    progress: bool = ...,
) -> FixedEffects: ...
@overload
def lm(
    formula: str | Design,
    data: Sequence[Run],
    *,
    hrf: Any = ...,
    stack: Literal[True],
    progress: bool = ...,
) -> Fit: ...
def lm(
    formula: str | Design,
    data: Run | Sequence[Run] | Maps,
    *,
    hrf: Any = "spm",
    stack: bool = False,
    progress: bool = False,
    weights: str | ArrayLike | None = None,
    cov_type: str = "nonrobust",
    cluster: str | None = None,
    variance_groups: str | None = None,
    robust: Literal["huber", "bisquare"] | None = None,
) -> Fit | FixedEffects | GroupFit:
    """Fit by least squares at every voxel, over scans or over maps.

    Parameters
    ----------
    formula : str or Design
        For runs ``"y ~ face + house + motion"``, or a design made before; for maps
        ``"effect ~ group + age"``.
    data : Run, list of Run, or Maps
        One run, several, or the maps of a group.
    hrf : str, HRF, or dict
        Runs: the response of event terms that carry no tag of their own.
        A dict names responses for ``hrf(face, name)``, with ``default`` for the rest.
    stack : bool
        What to do with several runs. False: one fit a run, combined by fixed effects. True: one
        model of all of them, with task effects in common and confounds, drift and constant a run.
    progress : bool
        Runs: show a progress bar.
    weights : str or array_like of shape (N,), optional
        Maps: positive weights, or the column that holds them.
    cov_type : {"nonrobust", "HC0", "HC1", "HC2", "HC3"}
        Maps: what is assumed of the errors.
    cluster : str, optional
        Maps: the column whose groups have errors of their own; statsmodels' ``cluster``.
    variance_groups : str, optional
        Maps: the column whose groups have residual variances of their own; Welch and
        Satterthwaite's degrees of freedom.
    robust : {"huber", "bisquare"}, optional
        Maps: fit as statsmodels' RLM does with ``conv="weights"``.

    Returns
    -------
    Fit
        For a run, and for stacked runs.
    FixedEffects
        For a list of runs.
    GroupFit
        For maps.

    Raises
    ------
    DataError
        An option of one kind of data is given with the other.

    Notes
    -----
    Equal to ``statsmodels`` OLS, WLS or RLM at every voxel.

    Examples
    --------
    >>> import pandas as pd
    >>> maps = Maps(pd.DataFrame({"age": [20.0, 30, 40, 50]}), data=[[1.0], [3], [2], [4]])
    >>> lm("~ age", maps).params.round(3).tolist()
    [[-0.3], [0.08]]
    """
    for_maps: dict[str, Any] = {
        "weights": weights,
        "cov_type": cov_type,
        "cluster": cluster,
        "variance_groups": variance_groups,
        "robust": robust,
    }
    if isinstance(data, Maps):
        _forbid("maps", {"hrf": hrf != "spm", "stack": stack, "progress": progress})
        fitted: GroupFit = lmmaps.lm_maps(formula, data, **for_maps)
        return fitted
    given = {name: value is not None for name, value in for_maps.items()}
    _forbid("runs", given | {"cov_type": cov_type != "nonrobust"})
    return fit_runs(formula, data, hrf, Noise("lm", 0, 1, 0.0), stack, progress)


def _forbid(kind: str, given: dict[str, bool]) -> None:
    """Refuse options that would be ignored."""
    names = [name for name, is_given in given.items() if is_given]
    if names:
        other = "runs" if kind == "maps" else "maps (vx.Maps)"
        raise DataError(
            f"{', '.join(names)}: an option for {other}, but the data are {kind}; leave it out"
        )
