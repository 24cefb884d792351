"""One voxel of a group fit as a table and the R lines that fit it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxlm.analysis.groupdesign import covariates
from voxlm.errors import DataError
from voxlm.formula.schema import labels

if TYPE_CHECKING:
    import pandas as pd

    from voxlm.analysis.groupfit import GroupFit

EXACT = 'optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5)'
LIBRARIES = {"lmer": "lmerTest", "robust": "MASS", "meta": "metafor"}
# What R calls differently; a function it does not have is refused.
WORDS = (
    (r"\bcenter\(([^(),]+)\)", r"scale(\1, scale = FALSE)"),
    (r"\bstandardize\(([^(),]+)\)", r"I((\1 - mean(\1)) / sqrt(mean((\1 - mean(\1))^2)))"),
    (r"\bC\(([^(),]+)\)", r"factor(\1)"),
    (r"\bC\(([^(),]+),\s*(?:contr\.)?(?i:Treatment)\(([^()]+)\)\)", r"relevel(factor(\1), \2)"),
    (r"\bC\(([^(),]+),\s*(?:contr\.)?(?i:(?:Treatment|Sum|Helmert|Poly))(?:\(\))?\)", None),
)
WITHOUT = re.compile(r"\b(cr|cc|lag|Diff|within)\b(?=\s*[(=)])")


def write_r(fit: GroupFit, voxel: int, folder: Path) -> Path:
    """Write a voxel's table and the R lines that fit it.

    Raises
    ------
    DataError
        A formula, or an option, that R has no words for.
    """
    right = r_formula(fit.design.meaning.meaning.formula.text.split("~", 1)[1].strip())
    frame = covariates(fit.maps)
    response = _free(frame, fit.design.meaning.meaning.formula.response or "effect")
    frame[response] = np.asarray(fit.maps.values[:, voxel], dtype=np.float64)
    lines = [f"library({name})" for name in _libraries(fit, right)]
    lines.append('maps <- read.csv("voxel.csv", check.names = FALSE, encoding = "UTF-8")')
    lines += _factors(fit, frame)
    lines += _calls(fit, voxel, frame, response, right)
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "voxel.csv", index=False, float_format="%.17g", encoding="utf-8")
    script = folder / "voxel.R"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return script


def _factors(fit: GroupFit, frame: pd.DataFrame) -> list[str]:
    """Return the lines that make factors, levels in our order; the table gets their labels."""
    meaning = fit.design.meaning.meaning
    terms = [*meaning.terms, *(term for block in meaning.random for term in block.terms)]
    coded = {column for term in terms for factor in term for _, column in factor.names}
    groups = {name for block in meaning.random for name in block.groups}
    lines = []
    for variable in meaning.schema.variables:
        name, at = variable.name, f'maps[["{_escaped(variable.name)}"]]'
        if variable.kind == "categorical" and name in coded:
            levels = ", ".join(f'"{_escaped(level)}"' for level in variable.levels)
            frame[name] = labels(frame[name])
            lines.append(f"{at} <- factor({at}, levels = c({levels}))")
        elif name in groups:
            lines.append(f"{at} <- factor({at})")
    return lines


def _calls(fit: GroupFit, voxel: int, frame: pd.DataFrame, response: str, right: str) -> list[str]:
    """Return the lines that fit and tell; what they need is put into the table."""
    options, quoted = fit.options, f"`{response}`"
    extra = ""
    if fit.root is not None:
        name = _free(frame, "prior_weights")
        frame[name], extra = options["weights"], f", weights = `{name}`"
    if fit.model == "meta":
        return _meta_calls(fit, voxel, frame, quoted, right)
    if fit.model == "robust":
        psi = f"psi.{options['robust']}"
        return [f"fit <- rlm({quoted} ~ {right}, maps, psi = {psi})", "summary(fit)"]
    if fit.model == "lmer":
        reml = str(options["reml"]).upper()
        control = f"REML = {reml}, control = lmerControl({EXACT})"
        how = ', ddf = "Kenward-Roger"' if options["df"] == "kenward-roger" else ""
        call = f"fit <- lmer({quoted} ~ {right}, maps{extra}, {control})"
        return [call, f"summary(fit{how})"]
    kind = options["cov_type"]
    call = f"fit <- lm({quoted} ~ {right}, maps{extra})"
    if kind == "nonrobust":
        return [call, "summary(fit)"]
    if kind == "variance_groups":
        raise DataError("R's lm has one residual variance: to_r has no lines for variance_groups=")
    cov = f'sandwich::vcovHC(fit, type = "{kind}")'
    if kind == "cluster":
        at = f'maps[["{_escaped(options["groups"])}"]]'
        cov = f"sandwich::vcovCL(fit, cluster = {at})"
    return [call, f"lmtest::coeftest(fit, vcov = {cov})"]


def _meta_calls(
    fit: GroupFit, voxel: int, frame: pd.DataFrame, quoted: str, right: str
) -> list[str]:
    if fit.options["levels"]:
        raise DataError("metafor's rma has one variance between maps: leave variance_groups= out")
    known, offset, effect = fit.maps.variances, fit.design.offset, quoted
    assert known is not None
    name = _free(frame, "variance")
    frame[name] = np.asarray(known[:, voxel], dtype=np.float64)
    if offset is not None:
        taken = _free(frame, "offset_sum")
        frame[taken] = offset
        effect = f"{quoted} - `{taken}`"
        right = re.sub(r"\s*\+?\s*offset\((?:[^()]|\([^()]*\))*\)", "", right).strip(" +") or "1"
    method = fit.options["method"].upper()
    test = "knha" if fit.options["knapp_hartung"] else "z"
    call = f'rma({effect}, `{name}`, mods = ~ {right}, data = maps, method = "{method}"'
    return [f'fit <- {call}, test = "{test}")', "summary(fit)"]


def _libraries(fit: GroupFit, right: str) -> list[str]:
    found = [LIBRARIES[fit.model]] if fit.model in LIBRARIES else []
    return [*found, "splines"] if re.search(r"\bbs\(", right) else found


def _free(frame: pd.DataFrame, name: str) -> str:
    """Return a column's name that the table does not have yet."""
    while name in frame:
        name += "_"
    return name


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def r_formula(right: str) -> str:
    """Write the right side of a group formula in R's words.

    Raises
    ------
    DataError
        For a function that R does not have.

    Examples
    --------
    >>> r_formula("center(age) * C(group, Sum) + (1 | subject)")
    'scale(age, scale = FALSE) * C(group, contr.sum) + (1 | subject)'
    """
    without = WITHOUT.search(right)
    if without:
        raise DataError(f"R has no {without[1]} as formulas here have it; to_r cannot write it")
    for pattern, words in WORDS:
        if words is None:
            right = re.sub(pattern, _contrast, right)
        else:
            right = re.sub(pattern, words, right)
    return right


def _contrast(found: re.Match[str]) -> str:
    """Write a coding as R's ``contr`` functions."""
    word: Any = re.search(r"(?i)(treatment|sum|helmert|poly)(?:\(\))?\)$", found[0])
    return f"C({found[1]}, contr.{word[1].lower()})"
