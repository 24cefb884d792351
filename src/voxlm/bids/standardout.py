"""From a model of this package, as plain data, to a BIDS Stats Model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

from voxlm.bids.standard import CONFOUND, ENTITIES, TRANSFORMER, VERSION
from voxlm.bids.standardin import LEVELS_OF
from voxlm.contrasts.hypothesis import hypothesis
from voxlm.design.columns import Column
from voxlm.errors import DataError, VoxlmError
from voxlm.formula.parse import parse
from voxlm.formula.syntax import Bar, Call, Listing, Name, Node, Number, Product, String, write
from voxlm.formula.vocabulary import AXES, GROUPS, MOTION, WORDS

#: What of a model the standard has no word for; it goes where the standard leaves room.
OWN = (
    "noise", "maxiter", "rtol", "correction", "tr", "slice_time_ref", "smoothing_fwhm", "scaling",
    "mask", "mesh",
)  # fmt: skip
GROUP_OWN = ("correction", "mask", "smoothing_fwhm", "zeros", "cov_type", "robust", "participants")
DEFAULT_DRIFT = 1 / 128


@dataclass(slots=True)
class Sentence:
    """What has been said of the run node so far."""

    levels: bool  # whether a plain name is a level of trial_type
    default: str
    x: list[Any] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    convolved: dict[str, list[str]] = field(default_factory=dict)
    factored: bool = False
    constant: bool = True
    cutoff: float | None = DEFAULT_DRIFT

    def add(self, variable: str, name: str) -> None:
        """Add a column: what the standard calls it, and what the formula does."""
        self.x.append(variable)
        self.names[name] = variable


def refuse(what: str, why: str) -> DataError:
    """Make an error that names what cannot be said."""
    return DataError(f"{what} cannot be said as a BIDS Stats Model: {why}")


def write_document(model: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a model.

    Parameters
    ----------
    model : mapping
        What :meth:`voxlm.Model.to_dict` returns with ``whole=True``.

    Returns
    -------
    dict
        What the JSON file holds.

    Raises
    ------
    DataError
        Naming what the standard cannot say.
    """
    said = _sentence(model)
    by_run = not model["stack"]
    if by_run and model["weighting"] != "precision":
        raise refuse("weighting = 'unweighted'", "its Type 'meta' weights runs by their precision")
    per = ["subject"] if model["unit"] == "subject" else ["session", "subject"]
    root = {
        "Level": "Run",
        "Name": "run",
        "GroupBy": ["run", "session", "subject"] if by_run else per,
        "Transformations": {"Transformer": TRANSFORMER, "Instructions": _instructions(model, said)},
        "Model": {"Type": "glm", "X": said.x, "Options": _options(said), "Software": _own(model)},
        "Contrasts": _contrasts(model["contrasts"], said.names, "contrasts"),
    }
    nodes = [{key: value for key, value in root.items() if value}]
    if by_run:
        level = "Subject" if model["unit"] == "subject" else "Session"
        nodes.append(
            {
                "Level": level,
                "Name": level.lower(),
                "GroupBy": ["contrast", *per],
                "Model": {"Type": "meta", "X": [1]},
                "DummyContrasts": {"Test": "t"},
            }
        )
    return {
        "Name": model["name"] or "model",
        "BIDSModelVersion": VERSION,
        "Input": _input(model["data"]),
        "Nodes": [*nodes, *(_group(group) for group in model["group"])],
        "Edges": _edges([str(node["Name"]) for node in nodes], model["group"]),
    }


def _edges(names: Sequence[str], groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Join the nodes of a subject one after the other, and each group to the last."""
    found: list[dict[str, Any]] = [{"Source": a, "Destination": b} for a, b in pairwise(names)]
    for group in groups:
        edge: dict[str, Any] = {"Source": names[-1], "Destination": group["name"]}
        if group["of"]:
            edge["Filter"] = {"contrast": list(group["of"])}
        found.append(edge)
    return found


def _input(data: Mapping[str, Any]) -> dict[str, Any]:
    for key in ("exclude", "derivatives", "trial_types"):
        if data.get(key):
            raise refuse(f"data.{key}", "its Input names what is taken")
    found: dict[str, Any] = {key: [data[key]] for key in ("task", "space") if data.get(key)}
    found |= {key[:-1]: list(data[key]) for key in ("subjects", "sessions") if data.get(key)}
    spelled = {short: long for long, short in ENTITIES.items()}
    for key, value in (data.get("filters") or {}).items():
        if key not in spelled:
            raise refuse(f"data.filters.{key}", "it is no entity of its Input")
        found[spelled[key]] = value if isinstance(value, list) else [value]
    return found


def _own(model: Mapping[str, Any]) -> dict[str, Any]:
    return {"voxlm": {key: model[key] for key in OWN if model.get(key) is not None}}


def _options(said: Sentence) -> dict[str, Any]:
    return {} if said.cutoff is None else {"HighPassFilterCutoffHz": said.cutoff}


def _sentence(model: Mapping[str, Any]) -> Sentence:
    """Read the formula as columns."""
    hrf = model["hrf"]
    if not isinstance(hrf, str):
        raise refuse("hrf", "it knows spm, glover and fir, and no names for others")
    said = Sentence(not model["transformations"], hrf)
    for text in (model["formula"], *(f"y ~ {word}" for word in model["confounds"])):
        for sign, node in parse(text).rhs.items:
            _say(said, sign, node)
    if said.constant:
        said.add(1, "constant")  # type: ignore[arg-type]
    return said


def _say(said: Sentence, sign: int, node: Node) -> None:
    """Say one term."""
    if isinstance(node, Number) and node.value in (0, 1):
        said.constant = (sign > 0) == bool(node.value)
    elif isinstance(node, Name) and node.text == "drift" and sign < 0:
        said.cutoff = None
    elif isinstance(node, Name) and sign < 0:
        taken = said.names.pop(node.text, None)
        if taken is None:
            raise refuse(f"- {node.text}", "it takes away what no name stands for")
        said.x.remove(taken)
    elif isinstance(node, Name):
        _say_name(said, node, said.default)
    elif isinstance(node, Call) and node.function == "cosine":
        said.cutoff = number(node.args[0])
    elif isinstance(node, Call) and node.function == "match" and isinstance(node.args[0], String):
        said.add(node.args[0].text, write(node))
    elif isinstance(node, Call) and node.function in ("hrf", "fir", "boxcar") and not sign < 0:
        _say_tagged(said, node)
    else:
        raise refuse(write(node), "X lists variables by their names")


def number(node: Node) -> float:
    """Return a number, or one divided by another."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Product) and node.sign == "/":
        return number(node.left) / number(node.right)
    raise refuse(write(node), "a number is needed")


def _say_name(said: Sentence, node: Name, response: str) -> None:
    """Say a name: a group of confounds, a confound, or a variable of events."""
    if node.text in WORDS and not node.quoted:
        for name in _expanded(node.text):
            said.add(name, name)
        return
    if CONFOUND.fullmatch(node.text):
        said.add(node.text, node.text)
        return
    variable = node.text
    if said.levels:
        said.factored = True
        variable = LEVELS_OF + ("*" if node.text == "trial_type" else node.text)
    if response != "boxcar":
        said.convolved.setdefault(response, []).append(variable)
    said.add(variable, node.text)
    if not response.startswith("fir"):
        for word in response.split(" + ")[1:]:
            said.add(f"{variable}_{word}", f"{node.text}_{word}")


def _expanded(word: str) -> list[str]:
    if word in MOTION:
        return [axis + tail for tail in MOTION[word] for axis in AXES]
    if word in GROUPS:
        return list(GROUPS[word])
    raise refuse(word, "how many columns it has depends on the run; use match('…')")


def _say_tagged(said: Sentence, node: Call) -> None:
    """Say variables with a response of their own."""
    terms = node.args[0]
    names = (
        [terms] if isinstance(terms, Name) else [item for _, item in getattr(terms, "items", ())]
    )
    if (node.keywords and node.function != "fir") or not all(isinstance(n, Name) for n in names):
        raise refuse(write(node), "a response there has a name, and so has what it is given to")
    response = node.function
    if node.function == "hrf":
        given = node.args[1] if len(node.args) > 1 else None
        response = said.default if given is None else getattr(given, "text", "")
        if isinstance(given, Name | String) is False and given is not None:
            raise refuse(write(node), "a response there is named by a text")
    if node.function == "fir":
        found = dict(node.keywords).get("delays", node.args[1] if len(node.args) > 1 else None)
        if not isinstance(found, Listing):
            raise refuse(write(node), "fir needs its delays")
        response = f"fir {[number(item) for item in found.items]}"
    for name in names:
        assert isinstance(name, Name)
        _say_name(said, name, response)


def _instructions(model: Mapping[str, Any], said: Sentence) -> list[dict[str, Any]]:
    """Write what makes the variables, and their responses."""
    found = [dict(step) for step in model["transformations"]]
    if said.factored:
        found.append({"Name": "Factor", "Input": ["trial_type"]})
    for response, variables in said.convolved.items():
        step: dict[str, Any] = {"Name": "Convolve", "Input": variables}
        if response.startswith("fir"):
            delays = [float(one) for one in response[5:-1].split(",")]
            step |= {"Model": "fir", "fir_delays": [int(d) if d % 1 == 0 else d for d in delays]}
        else:
            base, *rest = response.split(" + ")
            if base not in ("spm", "glover"):
                raise refuse(f"the response {response!r}", "it knows spm, glover and fir")
            step |= {"Model": base, **{word.capitalize(): True for word in rest}}
        found.append(step)
    return found


def _contrasts(
    given: Mapping[str, str], names: Mapping[str, Any], place: str
) -> list[dict[str, Any]]:
    """Write contrasts as conditions and weights."""
    columns = [Column(name, name, "task", name) for name in names]
    found = []
    for label, text in given.items():
        try:
            asked = hypothesis(text, columns)
        except VoxlmError as error:
            raise refuse(f"{place}.{label}", " ".join(str(error).split())) from error
        if asked.null.any():
            raise refuse(f"{place}.{label}", "its null value is 0")
        used = [at for at in range(len(columns)) if asked.C[:, at].any()]
        rows = [[_weight(asked.C[row, at]) for at in used] for row in range(len(asked.C))]
        found.append(
            {
                "Name": label,
                "ConditionList": [names[columns[at].name] for at in used],
                "Weights": rows[0] if asked.kind == "t" else rows,
                "Test": asked.kind,
            }
        )
    return found


def _weight(value: float) -> float | int | str:
    """Write a weight so that it comes back as it was."""
    if value == int(value):
        return int(value)
    near = Fraction(value).limit_denominator(1000)
    return str(near) if float(near) == value else float(value)


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    """Write a dataset node."""
    where = f"group {group['name']!r}"
    random = any(isinstance(node, Bar) for _, node in parse(group["formula"]).rhs.items)
    if (
        random
        or group["model"] == "lmer"
        or (group["model"] == "meta" and group.get("method") != "fe")
    ):
        what = "random terms" if random else f"model = {group['model']!r}"
        raise refuse(f"{where}: {what}", "its Types are glm and fixed effects")
    names: dict[str, Any] = {}
    intercept = True
    if group["together"]:
        intercept, names = _together(group, where)
    else:
        for sign, node in parse(group["formula"]).rhs.items:
            if isinstance(node, Number):
                intercept = (sign > 0) == bool(node.value)
            elif isinstance(node, Name) and sign > 0:
                names[node.text] = node.text
            else:
                raise refuse(f"{where}: {write(node)}", "X lists variables by their names")
    known = ({"Intercept": 1} if intercept else {}) | names
    own = {key: group[key] for key in GROUP_OWN if group.get(key) is not None}
    model = {"Type": "meta" if group["model"] == "meta" else "glm", "X": list(known.values())}
    found = {
        "Level": "Dataset",
        "Name": group["name"],
        "GroupBy": [] if group["together"] else ["contrast"],
        "Model": model | {"Software": {"voxlm": own}},
        "Contrasts": _contrasts(group["contrasts"], known, f"{where}, contrasts"),
    }
    if group["transformations"]:
        steps = [dict(step) for step in group["transformations"]]
        found["Transformations"] = {"Transformer": TRANSFORMER, "Instructions": steps}
    return found


def _together(group: Mapping[str, Any], where: str) -> tuple[bool, dict[str, Any]]:
    """Return the columns of several contrasts' maps in one model."""
    terms = {write(node) for _, node in parse(group["formula"]).rhs.items}
    if terms != {"0", "contrast"} or not group["of"]:
        raise refuse(where, "maps of several contrasts are 'effect ~ 0 + contrast', named in of")
    return False, {f"contrast[{name}]": name for name in group["of"]}
