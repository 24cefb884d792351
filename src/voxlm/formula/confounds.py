"""Words for groups of confound columns, by fMRIPrep's names and its sidecar.

A word expands to columns before any algebra, so ``motion24 - rot_z`` takes one of them away again.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from voxlm.errors import FormulaError, did_you_mean
from voxlm.formula.constants import constant, whole
from voxlm.formula.factors import Factor
from voxlm.formula.naming import Namer
from voxlm.formula.syntax import Call, Name, Node, Number, Product, Span, String, Sum, write
from voxlm.formula.terms import Scrub
from voxlm.formula.vocabulary import AXES, GROUPS, MOTION, NUMBERED, is_difference

MAX_COMPONENTS = 500
#: Masks of anatomical components, as fMRIPrep's sidecar names them, and what people write.
MASKS = {"combined": "combined", "csf": "CSF", "wm": "WM"}
# Since version 21 the components of each mask have a prefix of their own.
PREFIXES = {"combined": "a_comp_cor_", "csf": "c_comp_cor_", "wm": "w_comp_cor_"}
FD, DVARS = 0.5, 1.5
FD_COLUMNS = ("framewise_displacement", "FramewiseDisplacement")
DVARS_COLUMNS = ("std_dvars", "stdDVARS")


def known_confounds(namer: Namer) -> list[str]:
    """List the confounds of the tables, in their order."""
    return [variable.name for variable in namer.schema.of_source("confounds")]


def word(node: Name, namer: Namer) -> list[Factor]:
    """Return the columns that a bare word stands for.

    Raises
    ------
    FormulaError
        If the table lacks one of them.
    """
    if node.text in MOTION:
        return motion(node, namer)
    known = known_confounds(namer)
    if node.text in GROUPS:
        names = list(GROUPS[node.text])
        lacking = [name for name in names if name not in known]
        if lacking:
            raise absent(node, lacking, namer)
    else:
        prefix = NUMBERED[node.text]
        names = [name for name in known if re.fullmatch(re.escape(prefix) + r"_?\d+", name)]
        if not names and node.text == "nonsteady":
            namer.notes.append("nonsteady: fMRIPrep found no non-steady-state scan in this run")
        elif not names:
            raise absent(node, [f"{prefix}*"], namer)
    return keep(node, names, f"word: {len(names)} confounds", namer)


def keep(node: Node, names: Iterable[str], source: str, namer: Namer) -> list[Factor]:
    """Make the factors of some columns and remember the word."""
    made = [namer.keep(column(name, node.span)) for name in names]
    namer.record(write(node), source, "scans", made)
    return made


def column(name: str, span: Span) -> Factor:
    """Make the factor of one confound column."""
    gap = int(is_difference(name))
    node = Name(name, span, quoted=True)
    return Factor("", name, "scans", "numeric", node, ((name, name),), span, gap=gap)


def absent(node: Node, lacking: list[str], namer: Namer) -> FormulaError:
    """Say which columns a word needs and the table lacks."""
    return namer.fail(
        f"{write(node)} needs confounds that the table lacks: {', '.join(lacking)}",
        node,
        did_you_mean(lacking[0], known_confounds(namer)),
    )


def motion(node: Name, namer: Namer) -> list[Factor]:
    """Return 6, 12 or 24 motion parameters; what is not in the table is computed."""
    known = set(known_confounds(namer))
    missing = [axis for axis in AXES if axis not in known]
    if not known:
        raise namer.fail(f"{node.text} needs confounds, and none were given", node)
    if missing:
        raise namer.fail(
            f"{node.text} needs the confounds {', '.join(AXES)}; "
            f"the table lacks {', '.join(missing)}",
            node,
            "give confounds in fMRIPrep's columns, or name your own columns",
        )
    made = []
    for tail in MOTION[node.text]:
        for axis in AXES:
            name = axis + tail
            if name in known:
                made.append(namer.keep(column(name, node.span)))
                continue
            expression, gap = computed(axis, tail, node), int(is_difference(name))
            names = ((axis, axis),)
            factor = Factor("", name, "scans", "numeric", expression, names, node.span, gap=gap)
            made.append(namer.keep(factor))
    new = sum(factor.text not in known for factor in made)
    if new:
        namer.notes.append(
            f"{node.text}: {new} derivatives and squares are not in the confounds "
            "and were computed from the six parameters"
        )
    namer.record(node.text, f"word: {len(made)} motion parameters", "scans", made)
    return made


def computed(axis: str, tail: str, node: Name) -> Node:
    """Write a derivative or a square as an expression of one parameter."""
    place = node.span
    expression: Node = Name(axis, place)
    if "derivative1" in tail:
        before = Call("lag", (expression, Number(1.0, "1", place)), (), place)
        expression = Sum(((1, expression), (-1, before)), place)
    if "power2" in tail:
        expression = Product("^", expression, Number(2.0, "2", place), place)
    return expression


def call(node: Call, namer: Namer) -> list[Factor]:
    """Return the columns of ``acompcor(5)``, ``tcompcor(3)`` or ``match("glob")``."""
    if node.function == "match":
        return match(node, namer)
    if len(node.args) != 1:
        raise namer.fail(f"{node.function}() takes the number of components", node, "acompcor(5)")
    count = whole(node.args[0], namer.text, 1, MAX_COMPONENTS)
    if node.function == "tcompcor":
        forbid_keywords(node, (), namer)
        return components(node, count, numbered("t_comp_cor_", namer), "temporal", namer)
    forbid_keywords(node, ("mask",), namer)
    given = dict(node.keywords).get("mask")
    mask = "combined" if given is None else constant(given, namer.text)
    if given is not None and (not isinstance(mask, str) or mask.lower() not in MASKS):
        raise namer.fail(f"mask is one of {', '.join(MASKS)}", given)
    return components(node, count, anatomical(str(mask).lower(), namer), str(mask), namer)


def forbid_keywords(node: Call, allowed: tuple[str, ...], namer: Namer) -> None:
    """Refuse named arguments a word does not know."""
    for name, value in node.keywords:
        if name not in allowed:
            hint = did_you_mean(name, allowed) if allowed else ""
            raise namer.fail(f"{node.function}() knows no {name!r}", value, hint)


def numbered(prefix: str, namer: Namer) -> list[str]:
    """List the columns of one prefix and a number, in the order of the number."""
    found = [n for n in known_confounds(namer) if re.fullmatch(re.escape(prefix) + r"\d+", n)]
    return sorted(found, key=lambda name: int(name[len(prefix) :]))


def anatomical(mask: str, namer: Namer) -> list[str]:
    """List the anatomical components of one mask, by the sidecar where there is one."""
    sidecar = namer.schema.sidecar
    own = numbered(PREFIXES[mask], namer)
    if mask != "combined" and own:
        return own
    plain = numbered("a_comp_cor_", namer)
    if not isinstance(sidecar, dict):
        if mask == "combined" and plain:
            namer.notes.append(
                "acompcor: there is no sidecar, so the mask of each component is not known; "
                "they were taken in the order of their numbers"
            )
        return plain if mask == "combined" else []
    entries = {name: sidecar.get(name) for name in plain}
    masks = {n: one.get("Mask") if isinstance(one, dict) else None for n, one in entries.items()}
    found = [name for name in plain if masks[name] == MASKS[mask]]
    return found if found or any(masks.values()) else (plain if mask == "combined" else [])


def components(node: Call, count: int, names: list[str], kind: str, namer: Namer) -> list[Factor]:
    """Take the first components of a list."""
    if len(names) < count:
        raise namer.fail(
            f"{write(node)} asks for {count} components; the table has {len(names)} of this kind",
            node.args[0],
            'ask for fewer, or for those of another mask: acompcor(5, mask="csf")'
            if node.function == "acompcor"
            else "ask for fewer",
        )
    return keep(node, names[:count], f"word: {count} {kind} components", namer)


def match(node: Call, namer: Namer) -> list[Factor]:
    """Return the confounds whose names fit a pattern with ``* ? [0-9]``."""
    if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], String):
        raise namer.fail("match() takes one pattern in quotes", node, 'match("a_comp_cor_0[0-4]")')
    pattern = node.args[0].text
    known = known_confounds(namer)
    names = [name for name in known if fnmatch.fnmatchcase(name, pattern)]
    if not names:
        bare = re.sub(r"[*?\[\]]", "", pattern)
        raise namer.fail(
            f"no confound fits the pattern {pattern!r}", node.args[0], did_you_mean(bare, known)
        )
    return keep(node, names, f"word: {len(names)} confounds", namer)


def scrub(node: Node, namer: Namer) -> Scrub:
    """Read ``scrub``, ``scrub(0.5)`` or ``scrub(fd=0.5, dvars=1.5)``."""
    if isinstance(node, Name):
        limits: dict[str, float | None] = {"fd": FD, "dvars": DVARS}
        namer.notes.append(f"scrub: taken as scrub(fd={FD:g}, dvars={DVARS:g})")
    else:
        assert isinstance(node, Call)
        forbid_keywords(node, ("fd", "dvars"), namer)
        given = dict(node.keywords)
        if len(node.args) == 1 and "fd" not in given:
            given["fd"] = node.args[0]
        elif node.args or not given:
            raise namer.fail("scrub() takes fd in mm, dvars, or both", node, "scrub(fd=0.5)")
        limits = {"fd": None, "dvars": None}
        limits |= {name: threshold(value, namer) for name, value in given.items()}
    known = known_confounds(namer)
    for name, columns in (("fd", FD_COLUMNS), ("dvars", DVARS_COLUMNS)):
        if limits[name] is not None and not set(columns) & set(known):
            raise absent(node, [columns[0]], namer)
    shown = ", ".join(f"{name}={value:g}" for name, value in limits.items() if value is not None)
    return Scrub(limits["fd"], limits["dvars"], f"scrub({shown})")


def threshold(node: Node, namer: Namer) -> float:
    """Read a threshold, a positive number."""
    value = constant(node, namer.text)
    if not isinstance(value, float) or not value > 0:
        raise namer.fail("a threshold is a positive number", node)
    return value
