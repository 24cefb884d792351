"""A model as data, for both levels: it prints, compares, and goes to and from files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import lazy_loader

from voxlm.analysis.fields import Part, declared, make, plain, settle
from voxlm.analysis.kinds import (
    Anything,
    Choice,
    Either,
    Entries,
    FieldError,
    Flag,
    Listed,
    Named,
    Real,
    Text,
)
from voxlm.analysis.modelparts import (
    CORRECTION,
    FDR,
    Correction,
    Data,
    Group,
    check_formula,
    check_step,
    check_terms,
    label,
)
from voxlm.bids.instructions import INSTRUCTION
from voxlm.errors import DataError, VoxlmError, did_you_mean
from voxlm.hrf import as_response

# What a model can do is loaded when it does it: a model by itself is only data.
files = lazy_loader.load("voxlm.analysis.modelfile", suppress_warning=True)
applying = lazy_loader.load("voxlm.analysis.applying", suppress_warning=True)
survey = lazy_loader.load("voxlm.analysis.survey", suppress_warning=True)
batch = lazy_loader.load("voxlm.analysis.batch", suppress_warning=True)
statsmodel = lazy_loader.load("voxlm.analysis.statsmodel", suppress_warning=True)

NOISE = re.compile(r"ols|ar\((\d+)\)")


def check_noise(text: str) -> None:
    """Refuse what names no noise."""
    found = NOISE.fullmatch(text.replace(" ", ""))
    if not found or found[1] == "0":
        raise DataError(f"noise is 'ols' (independent) or 'ar(1)', 'ar(2)', …; got {text!r}")


def check_response(text: str) -> None:
    """Refuse what names no response."""
    try:
        as_response(text)
    except VoxlmError as error:
        raise DataError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Model:
    """A model of both levels as data.

    Parameters
    ----------
    formula : str
        Of a run, such as ``"y ~ face + house + motion"``.
    name : str
        What files and reports call the model.
    confounds : list of str
        Words added to the formula, such as ``["motion24", "acompcor(5)"]``.
    hrf : str or dict
        The response of event terms that carry no tag; a dict names responses for
        ``hrf(face, name)``, with ``default`` for the rest.
    noise : str
        ``"ols"``, or ``"ar(p)"`` of order p.
    maxiter, rtol
        As for :func:`voxlm.glsar`.
    contrasts : dict, or list of str
        Contrasts by name; those of a list are called by their text.
    correction : str, dict, or list of these
        ``"fdr"``, or ``{"method": "fdr", "alpha": 0.01}``.
    tr, slice_time_ref, smoothing_fwhm, scaling, mask
        As for :class:`voxlm.Run`; what is left out is the run's own. A relative mask lies in the
        data set's folder.
    mesh : list of path, optional
        The surfaces that vertices lie on, left and right, for clusters, areas and pictures.
        Relative ones lie in the data set's folder.
    stack : bool
        Several runs as one model; else a fit each, combined by fixed effects.
    weighting : {"unweighted", "precision"}
        How fixed effects combine runs.
    unit : {"session", "subject"}
        What runs are combined over.
    data : dict
        Which images: ``task``, ``space``, ``subjects``, ``exclude``, ``sessions``,
        ``derivatives``, ``filters``, ``trial_types``.
    transformations : list of dict
        Instructions over the events and confounds, before the formula; those of BIDS Stats Models.
    group : dict, or list of dict
        The group level: ``formula``, ``model``, ``contrasts``, ``correction``, …

    Raises
    ------
    DataError, FormulaError
        Naming the field.

    Examples
    --------
    >>> model = Model(formula="y ~ face + house + motion", contrasts=["face - house"],
    ...               group={"formula": "effect ~ age", "contrasts": ["age"]})
    >>> print(model)
    formula = "y ~ face + house + motion"
    <BLANKLINE>
    [contrasts]
    "face - house" = "face - house"
    <BLANKLINE>
    [group]
    formula = "effect ~ age"
    <BLANKLINE>
    [group.contrasts]
    age = "age"
    >>> Model.from_toml(model.to_toml()) == model
    True
    """

    formula: str = declared(
        Text(check_formula), 'The formula of a run, such as "y ~ face + house + motion".'
    )
    name: str = declared(Text(), "What files and reports call the model.", default="")
    confounds: tuple[str, ...] = declared(
        Listed(Text(check_terms)), "Words added to the formula, such as motion24.", default=()
    )
    hrf: str | Mapping[str, str] = declared(
        Either(Text(check_response), Named(Text(check_response))),
        "Response of event terms without a tag, or responses by name.",
        default="spm",
    )
    noise: str = declared(
        Text(check_noise), "ols (independent) or ar(p), p the order.", default="ar(1)"
    )
    maxiter: int = declared(Real(1, whole=True), "Fits at most, of AR noise.", default=3)
    rtol: float = declared(Real(0), "When a voxel has settled, of AR noise.", default=1e-4)
    contrasts: Mapping[str, str] = declared(
        Named(Text(), names=label), "Contrasts by name.", default=Entries()
    )
    correction: tuple[Correction, ...] = declared(
        CORRECTION, "Correction for the number of voxels.", default=(FDR,)
    )
    tr: float | None = declared(Real(0, above=True), "Repetition time in s.", default=None)
    slice_time_ref: float | None = declared(
        Real(0, 1), "Moment within a TR that scan times stand for.", default=None
    )
    smoothing_fwhm: float | None = declared(
        Real(0, above=True), "Width of a Gaussian in mm.", default=None
    )
    scaling: str = declared(
        Choice(("percent", "grand_mean", "none")), "What the data are divided by.",
        default="percent",
    )  # fmt: skip
    mask: str | None = declared(Text(paths=True), "Mask on the images' grid.", default=None)
    mesh: tuple[str, ...] = declared(
        Listed(Text(paths=True)), "Surfaces, left and right, of vertices.", default=()
    )
    stack: bool = declared(Flag(), "Fit several runs as one model.", default=False)
    weighting: str = declared(
        Choice(("unweighted", "precision")), "How fixed effects combine runs.",
        default="unweighted",
    )  # fmt: skip
    unit: str = declared(
        Choice(("session", "subject")), "What runs are combined over.", default="session"
    )
    data: Data = declared(Part(Data), "Which images of a data set.", default_factory=Data)
    transformations: tuple[Mapping[str, Any], ...] = declared(
        Listed(Named(Anything())), INSTRUCTION, default=()
    )
    group: tuple[Group, ...] = declared(
        Listed(Part(Group), lone=True), "The group level.", default=()
    )

    def __post_init__(self) -> None:
        settle(self)
        for at, step in enumerate(self.transformations):
            check_step(step, ("transformations", at), "run")
        self._check_groups()

    def _check_groups(self) -> None:
        names = [group.name for group in self.group]
        for at, group in enumerate(self.group):
            if names.count(group.name) > 1:
                raise FieldError(f"{group.name!r} names two groups", ("group", at, "name"))
            for name in group.of:
                if name not in self.contrasts:
                    hint = did_you_mean(name, self.contrasts)
                    raise FieldError(f"no contrast {name!r}; {hint}", ("group", at, "of"))

    @property
    def whole_formula(self) -> str:
        """The formula with the confounds added."""
        return " + ".join([self.formula, *self.confounds])

    @property
    def order(self) -> int:
        """Order of the AR noise; 0 for independent noise."""
        found = NOISE.fullmatch(self.noise.replace(" ", ""))
        return int(found[1] or 0) if found else 0

    def fit(self, data: Any, *, progress: bool = False) -> Any:
        """Fit the first level.

        Parameters
        ----------
        data : Run or list of Run
            As for :func:`voxlm.glsar`. What the model says of reading (smoothing, scaling, …) is
            applied to each.
        progress : bool
            Show a progress bar.

        Returns
        -------
        Fit, or FixedEffects for a list that is not stacked

        Examples
        --------
        >>> import numpy as np, pandas as pd, voxlm as vx
        >>> events = pd.DataFrame({"onset": [4.0, 30.0], "duration": 2.0, "trial_type": "face"})
        >>> run = vx.Run(np.random.default_rng(0).normal(100, 1, (40, 5)), events, tr=2.0)
        >>> vx.Model(formula="y ~ face", noise="ols").fit(run).df_resid
        37.0
        """
        return applying.fit(self, data, progress)

    def explain(self, run: Any) -> Any:
        """Say what each word of the formula means in a run; see :func:`voxlm.explain`."""
        return applying.explain(self, run)

    def to_r(self, run: Any = None, table: Any = None) -> str:
        """Write the R calls that fit the same model to one voxel, both levels.

        Parameters
        ----------
        run : Run, optional
            For the first level.
        table : DataFrame, optional
            For the groups: a row a map.

        Returns
        -------
        str
            ``d`` holds a run's design and series ``y``, of a group the table and maps' values;
            ``fit.to_r`` writes a voxel's data as well.

        Examples
        --------
        >>> import pandas as pd
        >>> table = pd.DataFrame({"age": [30.0, 41.0, 28.0], "subject": ["a", "b", "c"]})
        >>> print(Model(formula="y ~ face", group={"formula": "effect ~ age"}).to_r(table=table))
        # group
        lm(effect ~ 1 + age, data = d)
        """
        return applying.to_r(self, run, table)  # type: ignore[no-any-return]

    def check(self, dataset: str | PathLike[str], subjects: Sequence[str] | None = None) -> Any:
        """Check the model against all tables of a data set, without opening an image.

        Parameters
        ----------
        dataset, subjects
            As for :meth:`run`.

        Returns
        -------
        DataFrame
            A row a problem: subject, run, problem, place, level: an error keeps it from being
            fitted, a warning looks wrong.
        """
        return survey.check(self, dataset, subjects)[0]

    def run(
        self,
        dataset: str | PathLike[str],
        out: str | PathLike[str],
        *,
        subjects: Sequence[str] | None = None,
        level: str = "all",
        workers: int = 1,
        report: bool = False,
        progress: bool = False,
    ) -> Any:
        """Run the model over a data set, both levels; see ``voxlm run --help``.

        Parameters
        ----------
        dataset : path
            A BIDS data set.
        out : path
            Folder of the results. What is there and was made of the same inputs by the same model
            is kept.
        subjects : list of str, optional
            Labels; those of the model by default. The group is then left out.
        level : {"all", "subject", "group"}
            Which levels; ``"group"`` takes the subjects that are there.
        workers : int
            Processes, a subject each.
        report, progress : bool
            Write a page on each subject and group; show a progress bar.

        Returns
        -------
        Outcome
            What was done; ``.failed`` names what was not, and why.
        """
        return batch.run(
            self, dataset, out, subjects=subjects, level=level, workers=workers, report=report,
            progress=progress,
        )  # fmt: skip

    def to_dict(self, whole: bool = False) -> dict[str, Any]:
        """Return dicts, lists, texts and numbers; without defaults unless ``whole``."""
        return plain(self, whole)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Model:
        """Make a model of what :meth:`to_dict` returns.

        Raises
        ------
        DataError
            For unknown keys and values that do not fit, by their place.
        """
        return make(cls, given)  # type: ignore[no-any-return]

    def to_toml(self, path: str | PathLike[str] | None = None) -> str:
        """Return the model as TOML, and write it to a file if one is named."""
        return files.to_toml(self, path)  # type: ignore[no-any-return]

    @classmethod
    def from_toml(cls, source: str | PathLike[str]) -> Model:
        """Read a TOML file, or a text of several lines.

        Raises
        ------
        DataError
            Naming file, line and key.
        """
        return files.from_toml(cls, source)  # type: ignore[no-any-return]

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """As :meth:`to_toml`, in JSON."""
        return files.to_json(self, path)  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, source: str | PathLike[str]) -> Model:
        """Read a JSON file, or a text; see :meth:`from_toml`."""
        return files.from_json(cls, source)  # type: ignore[no-any-return]

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Model:
        """Read a file by its suffix: ``.toml``, ``.json``, or ``_smdl.json`` (BIDS Stats Model)."""
        return files.load(cls, path)  # type: ignore[no-any-return]

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of model files, by which editors complete them."""
        return files.schema(cls)  # type: ignore[no-any-return]

    @classmethod
    def from_bids_stats_model(cls, source: Any) -> Model:
        """Read a BIDS Stats Model.

        Parameters
        ----------
        source : path, str or dict
            The file, its text, or what is in it.

        Raises
        ------
        DataError
            Naming the instruction or key that cannot be honoured.
        """
        return statsmodel.read(cls, source)  # type: ignore[no-any-return]

    def to_bids_stats_model(self) -> dict[str, Any]:
        """Return the model as a BIDS Stats Model.

        Raises
        ------
        DataError
            Naming what the standard cannot say.
        """
        return statsmodel.write(self)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return self.to_toml().rstrip()
