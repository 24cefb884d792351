"""A BIDS Stats Model as a document: its nodes and edges, checked and in reading order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from voxlm.errors import DataError, did_you_mean
from voxlm.formula.vocabulary import FUNCTIONS, PLAIN, WORDS

VERSION = "1.0.0"
TRANSFORMER = "pybids-transforms-v1"
LEVELS = ("run", "session", "subject", "dataset")
DOCUMENT = ("Name", "BIDSModelVersion", "Description", "Input", "Nodes", "Edges", "$schema")
NODE = (
    "Level", "Name", "GroupBy", "Transformations", "Model", "Contrasts", "DummyContrasts",
    "Description",
)  # fmt: skip
MODEL = ("Type", "X", "Formula", "HRF", "Options", "Software", "Description")
OPTIONS = (
    "HighPassFilterCutoffHz", "LowPassFilterCutoffHz", "ReplaceVariables", "Mask", "Aggregate",
    "Description",
)  # fmt: skip
#: Confounds as fMRIPrep names them: names that no column of events has.
CONFOUND = re.compile(
    r"(trans|rot)_[xyz]\w*|[atcw]_comp_cor_\d+|edge_comp_\d+|crown\w*|cosine_?\d+|csf(_wm)?\w*"
    r"|white_matter\w*|global_signal\w*|framewise_displacement|(std_|non_std_)?dvars|rmsd"
    r"|(non_steady_state|motion)_outlier_?\d+|aroma_motion_\d+"
)
DECIMAL = r"(?:\d+\.?\d*|\.\d+)"
#: Entities of ``Input`` by the names they have in file names.
ENTITIES = {
    "run": "run", "acquisition": "acq", "direction": "dir", "reconstruction": "rec",
    "echo": "echo", "resolution": "res", "density": "den", "desc": "desc", "hemi": "hemi",
    "extension": "extension",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the document.

    Parameters
    ----------
    name, level : str
    group_by : frozenset of str
    content : mapping
        The whole node.
    """

    name: str
    level: str
    group_by: frozenset[str]
    content: Mapping[str, Any]

    @property
    def model(self) -> Mapping[str, Any]:
        """Its ``Model``."""
        return self.content["Model"]  # type: ignore[no-any-return]

    @property
    def x(self) -> list[Any]:
        """Its ``X``."""
        return list(self.model.get("X", []))

    @property
    def kind(self) -> str:
        """Its ``Type``, glm or meta."""
        return str(self.model.get("Type", "glm")).lower()

    @property
    def instructions(self) -> list[Mapping[str, Any]]:
        """Its instructions, in order."""
        given = self.content.get("Transformations") or {}
        if not isinstance(given, Mapping):
            raise refuse(self, "Transformations", "is {'Transformer': …, 'Instructions': […]}")
        if given and given.get("Transformer") != TRANSFORMER:
            name = given.get("Transformer")
            raise refuse(self, "Transformations", f"Transformer {name!r}; only {TRANSFORMER!r}")
        steps = list(given.get("Instructions", []))
        for step in steps:
            if not isinstance(step, Mapping):
                raise refuse(self, "Transformations", f"an instruction is an object, got {step!r}")
        return steps

    @property
    def own(self) -> dict[str, Any]:
        """What ``Software`` holds for this package; what it holds for others is theirs."""
        return dict((self.model.get("Software") or {}).get("voxlm", {}))


def refuse(node: Node | None, place: str, why: str) -> DataError:
    """Make an error that names what cannot be honoured."""
    where = place if node is None else f"node {node.name!r}, {place}"
    return DataError(f"{where} cannot be honoured: {why}")


def check_keys(
    given: Any, known: Sequence[str], where: str, needed: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Require an object with keys of the standard, those needed among them."""
    if not isinstance(given, Mapping):
        raise DataError(f"{where} is an object, got {given!r}")
    for key in given:
        if key not in known:
            raise DataError(f"{where}: unknown key {key!r}; {did_you_mean(str(key), known)}")
    for key in needed:
        if key not in given:
            raise DataError(f"{where} lacks {key}")
    return given


def nodes_of(document: Mapping[str, Any]) -> list[Node]:
    """Return the nodes, checked."""
    if "Steps" in document:
        raise DataError(
            "'Steps' cannot be honoured: it is of a draft before version 1.0.0, which has Nodes"
        )
    check_keys(document, DOCUMENT, "the document")
    given = document.get("Nodes")
    if not isinstance(given, Sequence) or not given:
        raise DataError("the document has no Nodes")
    found: list[Node] = []
    for number, content in enumerate(given, start=1):
        check_keys(content, NODE, f"node {number}")
        name = str(content.get("Name", number))
        level = str(content.get("Level", "")).lower()
        if level not in LEVELS:
            raise DataError(f"node {name!r}: Level is one of {', '.join(LEVELS)}, got {level!r}")
        if name in [node.name for node in found]:
            raise DataError(f"two nodes are called {name!r}")
        check_keys(content.get("Model"), MODEL, f"node {name!r}, Model")
        check_keys(content["Model"].get("Options") or {}, OPTIONS, f"node {name!r}, Options")
        groups = frozenset(str(word).lower() for word in content.get("GroupBy") or [])
        node = Node(name, level, groups, content)
        if node.kind not in ("glm", "meta"):
            raise refuse(node, "Model.Type", f"{node.kind!r} is neither glm nor meta")
        found.append(node)
    return found


@dataclass(frozen=True, slots=True)
class Edge:
    """What goes from one node to another."""

    source: Node
    destination: Node
    contrasts: tuple[str, ...] | None


def edges_of(document: Mapping[str, Any], nodes: Sequence[Node]) -> list[Edge]:
    """Return the edges; without any, nodes follow each other as they stand."""
    given = document.get("Edges")
    if given is None:
        return [Edge(a, b, None) for a, b in pairwise(nodes)]
    named = {node.name: node for node in nodes}
    found = []
    for content in given:
        check_keys(content, ("Source", "Destination", "Filter", "Description"), "an edge")
        ends = [str(content.get(key)) for key in ("Source", "Destination")]
        for end in ends:
            if end not in named:
                raise DataError(f"an edge names a node {end!r}; {did_you_mean(end, named)}")
        kept = content.get("Filter") or {}
        for key in kept:
            if key.lower() != "contrast":
                raise DataError(f"edge {' → '.join(ends)}, Filter by {key!r} cannot be honoured")
        chosen = next(iter(kept.values()), None)
        contrasts = None if chosen is None else tuple(str(one) for one in chosen)
        found.append(Edge(named[ends[0]], named[ends[1]], contrasts))
    return found


def incoming(node: Node, edges: Sequence[Edge]) -> list[Edge]:
    """Return the edges that end at a node; one, of another level, for a dataset node."""
    found = [edge for edge in edges if edge.destination is node]
    if node.level == "dataset" and len(found) != 1:
        raise refuse(node, "Edges", f"a dataset node has one source, this one {len(found)}")
    if found and found[0].source.level == "dataset":
        raise refuse(node, "Edges", "its source is a dataset node")
    return found


def quoted(name: str) -> str:
    """Write a column's name as a formula and a contrast read it.

    Examples
    --------
    >>> quoted("face"), quoted("trial_type.left-hand")
    ('face', '`trial_type.left-hand`')
    """
    plain = PLAIN.fullmatch(name) and "." not in name
    return name if plain and name not in FUNCTIONS | WORDS else f"`{name}`"


def weighted(names: Sequence[str], weights: Sequence[Any], where: str) -> str:
    """Write one row of weights as a contrast.

    Examples
    --------
    >>> weighted(["face", "house", "tool"], [1, "-1/2", -0.5], "here")
    'face - 1/2*house - 0.5*tool'
    """
    if len(names) != len(weights):
        raise DataError(f"{where}: {len(weights)} weights for {len(names)} conditions")
    text = ""
    for name, weight in zip(names, weights, strict=True):
        written = str(weight).replace(" ", "")
        if not re.fullmatch(rf"[-+]?{DECIMAL}([eE][-+]?\d+)?(/{DECIMAL})?", written):
            raise DataError(f"{where}: {weight!r} is no weight")
        sign = "-" if written.startswith("-") else "+"
        size = written.lstrip("+-")
        if float(size.partition("/")[0]) == 0:
            continue
        term = name if size in ("1", "1.0") else f"{size}*{name}"
        text += f" {sign} {term}" if text else f"{'-' * (sign == '-')}{term}"
    if not text:
        raise DataError(f"{where}: every weight is 0")
    return text
