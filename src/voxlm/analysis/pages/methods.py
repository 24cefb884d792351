"""The methods paragraph of a fit, ready to paste, with the works it stands on."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from voxlm.analysis.fit import Fit
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.verdict import Verdict
from voxlm.formula.terms import Resolved
from voxlm.images.space import one_of

PACKAGES = (
    "voxlm", "numpy", "scipy", "pandas", "numba", "nibabel", "formulaic", "statsmodels",
    "matplotlib", "nilearn", "jinja2",
)  # fmt: skip

WORKS = {
    "spm": "Friston KJ et al. (1998). Event-related fMRI: characterizing differential responses. "
    "NeuroImage 7:30-40.",
    "glover": "Glover GH (1999). Deconvolution of impulse response in event-related BOLD fMRI. "
    "NeuroImage 9:416-429.",
    "glm": "Friston KJ et al. (1994). Statistical parametric maps in functional imaging: a general "
    "linear approach. Human Brain Mapping 2:189-210.",
    "ar": "Worsley KJ et al. (2002). A general statistical analysis for fMRI data. NeuroImage "
    "15:1-15.",
    "motion24": "Friston KJ et al. (1996). Movement-related effects in fMRI time-series. Magnetic "
    "Resonance in Medicine 35:346-355.",
    "acompcor": "Behzadi Y et al. (2007). A component based noise correction method (CompCor) for "
    "BOLD and perfusion based fMRI. NeuroImage 37:90-101.",
    "scrub": "Power JD et al. (2012). Spurious but systematic correlations in functional "
    "connectivity MRI networks arise from subject motion. NeuroImage 59:2142-2154.",
    "fdr": "Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate. Journal of the "
    "Royal Statistical Society B 57:289-300.",
    "fdr_by": "Benjamini Y, Yekutieli D (2001). The control of the false discovery rate in "
    "multiple testing under dependency. Annals of Statistics 29:1165-1188.",
    "holm": "Holm S (1979). A simple sequentially rejective multiple test procedure. Scandinavian "
    "Journal of Statistics 6:65-70.",
    "tfce": "Smith SM, Nichols TE (2009). Threshold-free cluster enhancement. NeuroImage 44:83-98.",
    "permutation": "Winkler AM et al. (2014). Permutation inference for the general linear model. "
    "NeuroImage 92:381-397.",
    "lmer": "Bates D et al. (2015). Fitting linear mixed-effects models using lme4. Journal of "
    "Statistical Software 67(1).",
    "lmertest": "Kuznetsova A et al. (2017). lmerTest package: tests in linear mixed effects "
    "models. Journal of Statistical Software 82(13).",
    "kenward-roger": "Kenward MG, Roger JH (1997). Small sample inference for fixed effects from "
    "restricted maximum likelihood. Biometrics 53:983-997.",
    "meta": "Chen G et al. (2012). FMRI group analysis combining effect estimates and their "
    "variances. NeuroImage 60:747-765.",
    "fixed": "Beckmann CF et al. (2003). General multilevel linear modeling for group analysis in "
    "FMRI. NeuroImage 20:1052-1063.",
}
PERMUTED = ("maxt", "maxt_step", "cluster_extent", "cluster_mass", "tfce")
SCALINGS = {
    "percent": "scaled to percent of each {unit}'s mean",
    "grand_mean": "scaled to percent of the grand mean",
    None: "left in the units of the data",
}


def first_level_methods(
    fits: Sequence[Fit], verdicts: Sequence[Verdict], weighting: str = "unweighted"
) -> str:
    """Describe the fit of one or several runs, with references.

    Parameters
    ----------
    fits : sequence of Fit
        One a run.
    verdicts : sequence of Verdict
        Contrasts, decided.
    weighting : {"unweighted", "precision"}
        How contrasts combine the runs.

    Returns
    -------
    str
        A paragraph, and the references it numbers.
    """
    cited: list[str] = ["glm"]
    said = [*_data(fits), *_model(fits[0], cited), _noise(fits[0], cited)]
    if len(fits) > 1:
        cited.append("fixed")
        mean = "mean" if weighting == "unweighted" else "precision-weighted mean"
        said.append(
            f"Contrasts of the {len(fits)} runs were combined by fixed effects: the {mean} of the "
            f"runs' effects, with its standard error."
        )
    return _joined([*said, *_tests(verdicts, cited)], cited)


def group_methods(fit: GroupFit, verdicts: Sequence[Verdict]) -> str:
    """Describe the fit of a group, with references; as :func:`first_level_methods`."""
    cited: list[str] = []
    said = [
        f"{fit.maps.n_maps} maps were analysed at each of {fit.n_voxels:,} {fit.space.counted} "
        f"with voxlm {_version('voxlm')}.",
        f"The model was `{fit.formula.strip()}`, {_estimator(fit, cited)}.",
    ]
    if (fit.nobs < fit.maps.n_maps).any():
        said.append(f"A {one_of(fit.space)} was fitted on the maps that have a value there.")
    return _joined([*said, *_tests(verdicts, cited)], cited)


def versions() -> dict[str, str]:
    """Return the versions of what took part, Python among them."""
    return {"Python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _joined(sentences: Sequence[str], cited: Sequence[str]) -> str:
    works = list(dict.fromkeys(cited))
    text = " ".join(sentence for sentence in sentences if sentence)
    numbers = "\n".join(f"[{k + 1}] {WORKS[work]}" for k, work in enumerate(works))
    for k, work in enumerate(works):
        text = text.replace(f"[{work}]", f"[{k + 1}]")
    return f"{text}\n\n{numbers}" if works else text


def _data(fits: Sequence[Fit]) -> Iterator[str]:
    first = fits[0]
    runs = "One run" if len(fits) == 1 else f"{len(fits)} runs"
    scans = ", ".join(f"{fit.run.clock.n_scans}" for fit in fits)
    pace = "" if first.run.tr is None else f", TR {first.run.clock.tr:g} s"
    yield (
        f"{runs} ({scans} scans{pace}) {'was' if len(fits) == 1 else 'were'} analysed at each of "
        f"{first.n_voxels:,} {first.run.space.counted} with voxlm {_version('voxlm')} by a "
        f"general linear model [glm]."
    )
    width = first.run.smoothing_fwhm
    smoothed = ""
    if width is not None:
        smoothed = (
            f"smoothed with a Gaussian of {_widths(width)} mm full width at half maximum and "
        )
    scaled = SCALINGS[first.run.scaling].format(unit=one_of(first.run.space))
    yield f"Data were {smoothed}{scaled}."


def _widths(width: Any) -> str:
    sizes = sorted({f"{float(size):g}" for size in width})
    return sizes[0] if len(sizes) == 1 else " x ".join(f"{float(size):g}" for size in width)


def _model(fit: Fit, cited: list[str]) -> Iterator[str]:
    meaning = fit.design.meaning
    if fit.formula:
        yield f"The model of each run was `{fit.formula}`."
    if not isinstance(meaning, Resolved):
        yield f"The design had {fit.design.matrix.shape[1]} columns."
        return
    if meaning.events:
        yield _response(meaning, cited)
    nuisance = list(_nuisance(fit, meaning, cited))
    if nuisance:
        yield f"The model included {' and '.join(nuisance)}."


def _response(meaning: Resolved, cited: list[str]) -> str:
    response = str(meaning.hrf)
    for name in ("spm", "glover"):
        if name in response:
            cited.append(name)
            response = response.replace(name, f"{name} [{name}]", 1)
    return f"Events were convolved with the response {response} unless the formula names one."


def _nuisance(fit: Fit, meaning: Resolved, cited: list[str]) -> Iterator[str]:
    roles = [column.role for column in fit.design.columns]
    if "confound" in roles:
        works = [work for work in ("motion24", "acompcor", "scrub") if work in fit.formula]
        cited += works
        marks = "".join(f" [{work}]" for work in works)
        yield f"{roles.count('confound')} confound columns{marks}"
    if "drift" in roles and meaning.drift is not None:
        yield f"{roles.count('drift')} columns of slow drift ({meaning.drift.text})"


def _noise(fit: Fit, cited: list[str]) -> str:
    if fit.order == 0:
        return "Noise was taken to be independent (ordinary least squares)."
    cited.append("ar")
    return (
        f"Noise was modelled as autoregressive of order {fit.order} at each "
        f"{one_of(fit.run.space)}, its coefficients not binned, by feasible generalised least "
        f"squares with Yule-Walker estimates, at most {fit.maxiter} fits each [ar]."
    )


def _estimator(fit: GroupFit, cited: list[str]) -> str:
    options = fit.options
    if fit.model == "lmer":
        cited += ["lmer", "kenward-roger" if options["df"] == "kenward-roger" else "lmertest"]
        by = "restricted maximum likelihood" if options["reml"] else "maximum likelihood"
        df = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward and Roger"}
        return (
            f"a linear mixed model fitted by {by} [lmer], with degrees of freedom by "
            f"{df[options['df']]} [{cited[-1]}]"
            + ("" if options.get("weights") is None else ", and prior weights of the maps")
        )
    if fit.model == "meta":
        cited.append("meta")
        tests = "t by Knapp and Hartung" if options["knapp_hartung"] else "z"
        return (
            f"with the maps' own variances and a variance between maps by "
            f"{options['method'].upper()} [meta], tested by {tests}"
        )
    if fit.model == "robust":
        return f"an M-estimate with {options['robust']}'s norm"
    weighted = "weighted" if options.get("weights") is not None else "ordinary"
    kind = options.get("cov_type", "nonrobust")
    return f"{weighted} least squares" + ("" if kind == "nonrobust" else f" with {kind} covariance")


def _tests(verdicts: Sequence[Verdict], cited: list[str]) -> Iterator[str]:
    for verdict in verdicts:
        contrast = verdict.contrast
        works = [verdict.method] if verdict.method in WORKS else []
        works += ["permutation"] if verdict.method in PERMUTED else []
        cited += works
        marks = "".join(f" [{work}]" for work in works)
        sided = "two-sided" if verdict.two_sided else "one-sided"
        sides = f"{sided} t" if contrast.kind == "t" else "F"
        yield (
            f"The contrast `{contrast.text}` was tested by {sides} tests; {verdict.decision.words}"
            f"{marks}: {verdict.n_significant:,} of {verdict.decision.n_tests:,} "
            f"{contrast.space.counted} were significant."
        )
