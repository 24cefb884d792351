"""The parts of a model that is data: which images, what correction, the group level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import lazy_loader

from voxlm.analysis.fields import Part, declared, settle
from voxlm.analysis.kinds import (
    Anything,
    Choice,
    Entries,
    FieldError,
    Flag,
    Listed,
    Named,
    Real,
    Text,
)
from voxlm.bids.instructions import INSTRUCTION, check_instruction
from voxlm.errors import FormulaError, VoxlmError, did_you_mean
from voxlm.formula.parse import parse
from voxlm.formula.syntax import Bar

# The names of corrections and their options; the compiled kernels behind them come on first use.
permuting = lazy_loader.load("voxlm.analysis.permuting", suppress_warning=True)
deciding = lazy_loader.load("voxlm.analysis.deciding", suppress_warning=True)
randomfields = lazy_loader.load("voxlm.analysis.randomfields", suppress_warning=True)

FDR = "fdr"
#: Options of one estimator that mean nothing to the others.
OWN = {
    "lm": ("weights", "cov_type", "cluster", "variance_groups", "robust"),
    "lmer": ("weights", "reml", "df"),
    "meta": ("method", "knapp_hartung", "variance_groups"),
}


def check_formula(text: str) -> None:
    """Refuse what no formula is."""
    parse(text)


def check_terms(text: str) -> None:
    """Refuse what cannot be added to a formula."""
    if "~" in text:
        raise FormulaError("a confound is a word or a term, without ~", text, (0, len(text)))
    parse(f"y ~ {text}")


def label(text: str) -> str:
    """Return a contrast's own text, which names it where nothing else does."""
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Which images of a data set a model is for.

    Parameters
    ----------
    task, space : str, optional
        As in the file names.
    subjects, exclude, sessions : list of str
        Labels without ``sub-`` and ``ses-``; all where none is named.
    derivatives : str, optional
        Folder with preprocessed images, from the data set's; ``derivatives/fmriprep`` is found.
    filters : dict
        Other entities, such as ``{"desc": "preproc", "res": "2"}``.
    trial_types : list of str
        The trial types that events may have; any other is an error.
    """

    task: str | None = declared(Text(), "Task label of the runs.", default=None)
    space: str | None = declared(Text(), "Space label of the images.", default=None)
    subjects: tuple[str, ...] = declared(
        Listed(Text()), "Labels of the subjects; all where none is named.", default=()
    )
    exclude: tuple[str, ...] = declared(
        Listed(Text()), "Labels of subjects to leave out.", default=()
    )
    sessions: tuple[str, ...] = declared(
        Listed(Text()), "Labels of the sessions; all where none is named.", default=()
    )
    derivatives: str | None = declared(
        Text(paths=True), "Folder with the preprocessed images.", default=None
    )
    filters: Mapping[str, Any] = declared(
        Named(Anything()), "Other entities of the images.", default=Entries()
    )
    trial_types: tuple[str, ...] = declared(
        Listed(Text()), "Trial types that events may have; any other is an error.", default=()
    )

    def __post_init__(self) -> None:
        settle(self)
        for name in ("subjects", "exclude", "sessions"):
            start = "ses-" if name == "sessions" else "sub-"
            labels = tuple(text.removeprefix(start) for text in getattr(self, name))
            object.__setattr__(self, name, labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """How a contrast is corrected for the number of voxels.

    Parameters
    ----------
    method, alpha
        As for :meth:`voxlm.Contrast.correct`.
    options : dict
        Its other options, such as ``n_perm`` and ``seed``; in a file they stand beside the method.
    """

    OTHER: ClassVar[str] = "options"

    method: str = declared(Text(), "Name of the correction.", default=FDR)
    alpha: float = declared(Real(0, 1, above=True), "The error rate that is held.", default=0.05)
    options: Mapping[str, Any] = declared(
        Named(Anything()), "Options of the correction.", default=Entries()
    )

    def __post_init__(self) -> None:
        settle(self)
        try:
            deciding.check_method(self.method)
        except VoxlmError as error:
            raise FieldError(str(error), ("method",)) from error
        known = ("two_sided", *permuting.OPTIONS, *randomfields.OPTIONS, *permuting.PARI_OPTIONS)
        for name in self.options:
            if name not in known:
                hint = did_you_mean(name, ("method", "alpha", *known))
                raise FieldError(f"unknown key; {hint}", (name,))


CORRECTION = Listed(Part(Correction, short="method"), lone=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The group level: a formula over the maps of all subjects.

    Parameters
    ----------
    formula : str
        R's, such as ``"effect ~ group * age"``; the columns are those of ``participants.tsv``,
        and ``subject``, ``session``, ``contrast``.
    name : str
        The folder of its results.
    model : {"auto", "lm", "lmer", "meta"}
        The verb that fits it; ``auto`` is lmer where the formula has random terms, else lm.
    of : list of str
        First-level contrasts by name; all that have one row where none is named.
    together : bool
        One model of the maps of all contrasts, told apart by the column ``contrast``; else a
        model for each.
    contrasts, correction
        As for the first level.
    transformations : list of dict
        Instructions over the table of maps, see the page on model files.
    participants, mask : path, optional
        The table of covariates, ``participants.tsv`` where none is named; a mask for the maps.
        Relative ones lie in the data set's folder.
    smoothing_fwhm : float, optional
        Width of a Gaussian in mm.
    zeros : {"keep", "missing"}
        As for :class:`voxlm.Maps`.
    weights : str, optional
        The column of prior weights, of :func:`voxlm.lm` and :func:`voxlm.lmer`.
    cov_type, cluster, variance_groups, robust
        Options of :func:`voxlm.lm`.
    reml, df
        Options of :func:`voxlm.lmer`.
    method, knapp_hartung
        Options of :func:`voxlm.meta`.
    """

    formula: str = declared(
        Text(check_formula), 'The group formula, such as "effect ~ group * age".'
    )
    name: str = declared(Text(), "Folder of its results.", default="group")
    model: str = declared(
        Choice(("auto", "lm", "lmer", "meta")),
        "The verb that fits it; auto is lmer with random terms, else lm.",
        default="auto",
    )
    of: tuple[str, ...] = declared(
        Listed(Text()), "First-level contrasts by name; all t contrasts by default.", default=()
    )
    together: bool = declared(
        Flag(), "One model of all contrasts' maps, told apart by `contrast`.", default=False
    )
    contrasts: Mapping[str, str] = declared(
        Named(Text(), names=label), "Contrasts of the group by name.", default=Entries()
    )
    correction: tuple[Correction, ...] = declared(
        CORRECTION, "Correction for the number of voxels.", default=(FDR,)
    )
    transformations: tuple[Mapping[str, Any], ...] = declared(
        Listed(Named(Anything())), INSTRUCTION, default=()
    )
    participants: str | None = declared(
        Text(paths=True), "Table of covariates; participants.tsv by default.", default=None
    )
    mask: str | None = declared(Text(paths=True), "Mask for the maps.", default=None)
    smoothing_fwhm: float | None = declared(
        Real(0, above=True), "Width of a Gaussian in mm.", default=None
    )
    zeros: str = declared(
        Choice(("keep", "missing")), "What a value of exactly 0 is.", default="keep"
    )
    weights: str | None = declared(Text(), "Of lm and lmer: a column.", default=None)
    cov_type: str | None = declared(
        Choice(("nonrobust", "HC0", "HC1", "HC2", "HC3")), "Of lm.", default=None
    )
    cluster: str | None = declared(Text(), "Of lm: a column.", default=None)
    variance_groups: str | None = declared(Text(), "Of lm: a column.", default=None)
    robust: str | None = declared(Choice(("huber", "bisquare")), "Of lm.", default=None)
    reml: bool | None = declared(Flag(), "Of lmer.", default=None)
    df: str | None = declared(Choice(("satterthwaite", "kenward-roger")), "Of lmer.", default=None)
    method: str | None = declared(
        Choice(("reml", "ml", "dl", "pm", "fe")), "Of meta.", default=None
    )
    knapp_hartung: bool | None = declared(Flag(), "Of meta.", default=None)

    def __post_init__(self) -> None:
        settle(self)
        for at, step in enumerate(self.transformations):
            check_step(step, ("transformations", at), "group")
        for model, names in OWN.items():
            for name in set(names) - set(OWN[self.verb]):
                if getattr(self, name) is not None:
                    raise FieldError(f"an option of {model}, but the model is {self.verb}", (name,))

    @property
    def verb(self) -> str:
        """The verb that fits it."""
        if self.model != "auto":
            return self.model
        random = any(isinstance(node, Bar) for _, node in parse(self.formula).rhs.items)
        return "lmer" if random else "lm"

    @property
    def options(self) -> dict[str, Any]:
        """The options of its verb that were given."""
        given = {name: getattr(self, name) for name in OWN[self.verb]}
        return {name: value for name, value in given.items() if value is not None}


def check_step(step: Mapping[str, Any], path: tuple[str | int, ...], level: str) -> None:
    """Refuse an instruction that cannot be carried out, by its place."""
    problem = check_instruction(step, level)
    if problem is not None:
        raise FieldError(problem[1], (*path, *problem[0]))
