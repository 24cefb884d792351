"""From a BIDS Stats Model to a model of this package, as plain data."""

from __future__ import annotations

import fnmatch
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxlm.bids.instructions import read, spelled
from voxlm.bids.standard import (
    CONFOUND,
    ENTITIES,
    Edge,
    Node,
    check_keys,
    edges_of,
    incoming,
    nodes_of,
    quoted,
    refuse,
    weighted,
)
from voxlm.bids.variables import listed
from voxlm.errors import DataError, VoxlmWarning, did_you_mean

LEVELS_OF = "trial_type."
SUFFIXES = ("derivative", "dispersion")
SELECTING = ("Select", "Delete", "Group")


def read_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a BIDS Stats Model.

    Parameters
    ----------
    document : mapping
        What the JSON file holds.

    Returns
    -------
    dict
        What :meth:`voxlm.Model.from_dict` takes.

    Raises
    ------
    DataError
        Naming each node, key or instruction that cannot be honoured.
    """
    nodes = nodes_of(document)
    edges = edges_of(document, nodes)
    roots = [node for node in nodes if node.level == "run"]
    if len(roots) != 1:
        raise DataError(f"a model has one run node, this document {len(roots)}")
    root = roots[0]
    found: dict[str, Any] = {"name": str(document.get("Name", "")), "data": _input(document)}
    found |= _run(root) | _combining(root, nodes)
    sources = {node.name: incoming(node, edges) for node in nodes}
    groups = [
        _group(node, edge, list(found["contrasts"]))
        for node in nodes
        if node.level == "dataset"
        for edge in sources[node.name]
    ]
    if groups:
        found["group"] = groups
    return {key: value for key, value in found.items() if value not in ({}, [], "")}


def _input(document: Mapping[str, Any]) -> dict[str, Any]:
    """Translate ``Input``."""
    found: dict[str, Any] = {}
    filters: dict[str, Any] = {}
    for key, value in (document.get("Input") or {}).items():
        values = [str(one) for one in listed(value)]
        if key in ("task", "space"):
            if len(values) != 1:
                raise DataError(f"Input.{key} cannot be honoured: a model is of one {key}")
            found[key] = values[0]
        elif key in ("subject", "session"):
            found[f"{key}s"] = values
        elif key in ENTITIES:
            filters[ENTITIES[key]] = values
        elif (key, values) not in (("suffix", ["bold"]), ("datatype", ["func"])):
            raise DataError(f"Input.{key} cannot be honoured; {did_you_mean(key, ENTITIES)}")
    return found | ({"filters": filters} if filters else {})


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of the run node: which responses they have, and how a formula names them.

    Parameters
    ----------
    responses : dict of str to str
        Of the convolved variables, such as ``spm + derivative`` or ``fir(delays=[0, 1])``.
    steps : list
        The instructions that change tables.
    simple : bool
        Whether they only tell the levels of ``trial_type`` apart, which formulas do themselves.
    made : frozenset of str
        Variables of events that instructions make.
    """

    responses: dict[str, str]
    steps: list[Mapping[str, Any]]
    simple: bool
    made: frozenset[str]

    def name(self, variable: str) -> str:
        """Write a variable as the formula names it."""
        if variable == LEVELS_OF + "*":
            return "trial_type"
        if self.simple and variable.startswith(LEVELS_OF):
            return quoted(variable.removeprefix(LEVELS_OF))
        return quoted(variable)

    def of_events(self, variable: str) -> bool:
        """Tell whether a variable is known to be one of events."""
        return variable in self.made or (self.simple and variable.startswith(LEVELS_OF))

    def response(self, variable: str) -> str | None:
        """Return a variable's response; None where it is not convolved."""
        for pattern, found in self.responses.items():
            if fnmatch.fnmatchcase(variable, pattern):
                return found
        return None


def _run(node: Node) -> dict[str, Any]:
    """Translate the run node."""
    for key in ("subject",):
        if key not in node.group_by:
            raise refuse(node, "GroupBy", "a run node is grouped by subject at least")
    if node.kind != "glm":
        raise refuse(node, "Model.Type", "a series is fitted by a glm")
    if node.model.get("Formula"):
        raise refuse(node, "Model.Formula", "X lists the variables of a run")
    variables = _variables(node)
    contrasts = _contrasts(node, variables.name, "constant")
    formula, hrf = _formula(node, variables)
    found: dict[str, Any] = {"formula": formula, "hrf": hrf, "contrasts": contrasts}
    if not variables.simple:
        found["transformations"] = [dict(step) for step in variables.steps]
    return found | node.own


def _variables(node: Node) -> Variables:
    responses: dict[str, str] = {}
    steps: list[Mapping[str, Any]] = []
    made: set[str] = set()
    for step in node.instructions:
        args = read(step)
        inputs = [str(one) for one in listed(args.get("input", []))]
        name = spelled(str(args.get("name")))
        if name == "Convolve":
            _only(node, step, ("name", "input", "model", "derivative", "dispersion", "firdelays"))
            responses |= dict.fromkeys(inputs, _response(node, args))
            continue
        late = [one for one in inputs if one in responses]
        if late and name not in SELECTING:
            why = f"it changes {late[0]!r}, which is convolved already"
            raise refuse(node, f"instruction {step.get('Name')!r}", why)
        steps.append(step)
        made |= {str(one) for one in listed(args.get("output", inputs))}
    hrf = node.model.get("HRF")
    if hrf:
        known = ("Variables", "Model", "Parameters", "Description")
        check_keys(hrf, known, f"node {node.name!r}, HRF", needed=("Variables",))
        args = {"model": hrf.get("Model", "spm"), **read(hrf.get("Parameters") or {})}
        responses |= dict.fromkeys((str(v) for v in hrf["Variables"]), _response(node, args))
    return Variables(responses, steps, all(_is_plain(step) for step in steps), frozenset(made))


def _only(node: Node, step: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in read(step):
        if key not in known:
            raise refuse(node, f"instruction {step.get('Name')!r}", f"its argument {key!r}")


def _is_plain(step: Mapping[str, Any]) -> bool:
    """Tell whether an instruction only names what a formula names without it."""
    args = read(step)
    name = spelled(str(args.get("name")))
    return name == "Select" or (
        name == "Factor" and listed(args.get("input")) == ["trial_type"] and len(args) == 2
    )


def _response(node: Node, args: Mapping[str, Any]) -> str:
    """Write a response as a formula does."""
    model = str(args.get("model", "spm")).lower()
    if model == "fir":
        delays = args.get("firdelays")
        if not delays:
            raise refuse(node, "the response fir", "it has no fir_delays")
        return f"fir(delays={[float(one) if one % 1 else int(one) for one in delays]})"
    words = [word.strip() for word in model.split("+")]
    words += [word for word in SUFFIXES if args.get(word) and word not in words]
    if words[0] not in ("spm", "glover") or set(words[1:]) - set(SUFFIXES):
        raise refuse(node, "the response", f"{model!r} is not known here")
    return " + ".join(words)


def _formula(node: Node, variables: Variables) -> tuple[str, str]:
    """Write X as a formula, and return the response of what has no tag."""
    names = [str(one) for one in node.x if one != 1]
    bases: list[str] = []
    bare: list[str] = []
    for name in names:
        base = name.rpartition("_")[0] if name.endswith(SUFFIXES) else ""
        if base in names and variables.response(base) is not None:
            continue  # a derivative is part of its variable's response
        (bases if variables.response(name) is not None else bare).append(name)
    given = {name: _kept(node, name, names, variables.response(name) or "") for name in bases}
    plain = [one for one in given.values() if not one.startswith("fir")]
    usual = Counter(plain).most_common(1)[0][0] if plain else "spm"
    known = [n for n in bare if CONFOUND.fullmatch(n) or "*" in n or variables.of_events(n)]
    unknown = [name for name in bare if name not in known]
    if unknown and not variables.responses:
        warnings.warn(
            f"node {node.name!r}: nothing is convolved; those of {', '.join(unknown)} that are "
            "events get the response 'spm'",
            VoxlmWarning,
            stacklevel=2,
        )
        unknown = []
    # Where a bare name may be one of events, what has no tag is not convolved: as it says.
    usual = "boxcar" if unknown else usual
    terms = [
        _term(name, variables, given, usual) for name in names if name in given or name in bare
    ]
    start = [] if 1 in node.x else ["0"]
    return "y ~ " + " + ".join([*start, *terms, *_drift(node)]).replace("+ - ", "- "), usual


def _kept(node: Node, name: str, names: Sequence[str], response: str) -> str:
    """Return a response with those of its derivatives that X has."""
    words = response.split(" + ")
    if response.startswith("fir"):
        return response
    here = [word for word in words[1:] if f"{name}_{word}" in names]
    if here not in ([], words[1:]):
        raise refuse(node, "Model.X", f"it has one derivative of {name!r} without the other")
    return " + ".join([words[0], *here])


def _term(name: str, variables: Variables, given: Mapping[str, str], usual: str) -> str:
    written = variables.name(name)
    if name in given:
        response = given[name]
        if response.startswith("fir"):
            return f"fir({written}, {response[4:]}"
        return written if response == usual else f'hrf({written}, "{response}")'
    if variables.of_events(name):
        return written if usual == "boxcar" else f"boxcar({written})"
    return f'match("{name}")' if "*" in name or "?" in name else written


def _drift(node: Node) -> list[str]:
    """Write the high-pass filter; the standard implies none."""
    options = node.model.get("Options") or {}
    for key in ("LowPassFilterCutoffHz", "ReplaceVariables"):
        if options.get(key) is not None:
            raise refuse(node, f"Options.{key}", "there is no such filter or replacement here")
    if options.get("Aggregate", "none") != "none":
        raise refuse(node, "Options.Aggregate", "every voxel has its own model")
    for key, value in (options.get("Mask") or {}).items():
        if (key, listed(value)) not in (("desc", ["brain"]), ("suffix", ["mask"])):
            raise refuse(node, "Options.Mask", "the mask is the run's brain mask")
    cut = options.get("HighPassFilterCutoffHz")
    if cut is None:
        return ["- drift"]
    if not isinstance(cut, int | float):
        raise refuse(node, "Options.HighPassFilterCutoffHz", f"{cut!r} is no frequency in Hz")
    return [f"cosine({float(cut)!r})"]


def _contrasts(node: Node, name: Any, intercept: str) -> dict[str, str]:
    """Translate contrasts and dummy contrasts, by name."""
    found: dict[str, str] = {}
    known = [str(one) for one in node.x]
    for each in node.content.get("Contrasts") or []:
        parts = ("Name", "ConditionList", "Weights")
        at = f"node {node.name!r}, a contrast"
        check_keys(each, (*parts, "Test", "Description"), at, needed=parts)
        label = str(each["Name"])
        where = f"node {node.name!r}, contrast {label!r}"
        conditions = [str(one) for one in each["ConditionList"]]
        for one in conditions:
            if not any(fnmatch.fnmatchcase(one, pattern) for pattern in known):
                raise DataError(f"{where}: {one!r} is not in X; {did_you_mean(one, known)}")
        names = [intercept if one == "1" else name(one) for one in conditions]
        weights = each["Weights"]
        if not isinstance(weights, Sequence) or isinstance(weights, str) or not weights:
            raise DataError(f"{where}: Weights is a list of numbers, got {weights!r}")
        several = isinstance(weights[0], Sequence) and not isinstance(weights[0], str)
        rows = weights if several else [weights]
        texts = [weighted(names, row, where) for row in rows]
        found[label] = _tested(", ".join(texts), len(texts), str(each.get("Test", "t")), where)
    dummies = node.content.get("DummyContrasts")
    if dummies:
        check_keys(dummies, ("Contrasts", "Conditions", "Test", "Description"), "DummyContrasts")
        chosen = dummies.get("Contrasts", dummies.get("Conditions"))
        for one in [n for n in node.x if n != 1] if chosen is None else chosen:
            where = f"node {node.name!r}, DummyContrasts"
            if str(one) not in known:
                raise DataError(f"{where}: {one!r} is not in X; {did_you_mean(str(one), known)}")
            text = intercept if str(one) == "1" else name(str(one))
            label = "intercept" if str(one) == "1" else str(one)
            found[label] = _tested(text, 1, str(dummies.get("Test", "t")), where)
        if chosen is None and 1 in node.x and node.level == "dataset":
            found["intercept"] = _tested(intercept, 1, str(dummies.get("Test", "t")), "")
    return found


def _tested(text: str, rows: int, test: str, where: str) -> str:
    if test not in ("t", "F", "pass"):
        raise DataError(f"{where}: Test is 't', 'F' or 'pass', got {test!r}")
    if test == "F":
        return text if rows > 1 else f"F({text})"
    if rows > 1:
        raise DataError(f"{where}: a t-test has one row of weights, not {rows}")
    return text


def _combining(root: Node, nodes: Sequence[Node]) -> dict[str, Any]:
    """Translate what lies between runs and the group: how runs are combined, and over what."""
    between = [node for node in nodes if node.level in ("session", "subject")]
    for node in between:
        if node.kind != "meta" or node.x != [1] or node.instructions:
            raise refuse(
                node, "Model", "runs are combined by fixed effects: X = [1] and Type = 'meta'"
            )
        if not {"contrast", "subject"} <= node.group_by:
            raise refuse(node, "GroupBy", "fixed effects are of each subject and contrast")
        named = [each.get("ConditionList") for each in node.content.get("Contrasts") or []]
        if any(one != [1] for one in named):
            raise refuse(node, "Contrasts", "fixed effects have one contrast, the mean")
    stacked = "run" not in root.group_by
    levels = {node.level for node in between}
    by_session = "session" in (levels or root.group_by) and "subject" not in levels
    direct = not between and not stacked and any(node.level == "dataset" for node in nodes)
    if direct:
        raise refuse(
            root,
            "GroupBy",
            "every run's map would enter the group by itself; put a subject node of Type 'meta' "
            "between, or group by subject alone",
        )
    found: dict[str, Any] = {"unit": "session" if by_session else "subject"}
    if stacked:
        found["stack"] = True
    elif between:
        found["weighting"] = "precision"
    return found


def _group(node: Node, edge: Edge, contrasts: Sequence[str]) -> dict[str, Any]:
    """Translate a dataset node."""
    if node.group_by not in (frozenset(), frozenset({"contrast"})):
        raise refuse(node, "GroupBy", "a dataset node is grouped by contrast, or not at all")
    if node.model.get("HRF") or node.model.get("Options"):
        raise refuse(node, "Model", "maps have neither a response nor a filter")
    chosen = list(contrasts if edge.contrasts is None else edge.contrasts)
    lacking = [one for one in chosen if one not in contrasts]
    if lacking:
        hint = did_you_mean(lacking[0], contrasts)
        raise DataError(f"node {node.name!r}: no contrast {lacking[0]!r} comes in; {hint}")
    found: dict[str, Any] = {"name": node.name, "formula": "", "of": chosen}
    if edge.contrasts is None:
        del found["of"]
    names = [str(one) for one in node.x if one != 1]
    name = quoted
    if not node.group_by:
        found["together"] = True
        if 1 in node.x or set(names) != set(chosen):
            raise refuse(node, "Model.X", "maps of several contrasts have one column each")
        found |= {"of": names, "formula": "effect ~ 0 + contrast"}
        name = _cell
    elif node.model.get("Formula"):
        right = str(node.model["Formula"]).rpartition("~")[2].strip()
        found["formula"] = f"effect ~ {right}"
    else:
        start = ["1"] if 1 in node.x else ["0"]
        found["formula"] = "effect ~ " + " + ".join([*start, *map(quoted, names)])
    if node.instructions:
        found["transformations"] = [dict(step) for step in node.instructions]
    if node.kind == "meta":
        found |= {"model": "meta", "method": "fe"}
    return found | {"contrasts": _contrasts(node, name, "Intercept")} | node.own


def _cell(name: str) -> str:
    return f"`contrast[{name}]`"
