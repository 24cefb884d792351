"""Items that stand alone in a sum: drift, scans to be taken out, and interactions with a seed."""

from __future__ import annotations

from collections.abc import Mapping

from voxlm.errors import FormulaError
from voxlm.formula import algebra
from voxlm.formula.algebra import Leaf
from voxlm.formula.constants import constant, is_constant, number, whole
from voxlm.formula.factors import Factor
from voxlm.formula.syntax import Call, Name, Node, String, write
from voxlm.formula.terms import Drift, EventTerm, Interaction, Regressor

MAX_DRIFT_ORDER = 20


def is_scrub(node: Node) -> bool:
    """Tell whether an item is ``scrub`` or ``scrub(…)``."""
    bare = isinstance(node, Name) and node.text == "scrub" and not node.quoted
    return bare or (isinstance(node, Call) and node.function == "scrub")


def is_drift(node: Call) -> bool:
    """Tell whether a call is a drift: ``cosine(hz)``, or ``poly`` of a number."""
    if node.function == "cosine":
        return True
    return node.function == "poly" and len(node.args) == 1 and is_constant(node.args[0])


def drift_of(item: Call, text: str) -> Drift:
    """Read ``cosine(1/128)`` or ``poly(3)``.

    Raises
    ------
    FormulaError
        If the argument is no frequency in Hz, or no order.
    """
    if len(item.args) != 1 or item.keywords:
        raise FormulaError(f"{item.function}() takes one number", text, item.span, "cosine(1/128)")
    if item.function == "poly":
        order = whole(item.args[0], text, 1, MAX_DRIFT_ORDER)
        return Drift("poly", order, write(item))
    value = number(item.args[0], text)
    if value <= 0:
        raise FormulaError(
            "the cut-off is a frequency in Hz", text, item.args[0].span, "cosine(1/128)"
        )
    return Drift("cosine", value, write(item))


def regressor_of(item: Call, text: str) -> Regressor:
    """Read ``voxel("map.nii.gz")`` or ``voxel("resp.tsv", slice=True)``; no file is opened.

    Raises
    ------
    FormulaError
        If the argument is no file name in quotes, or ``slice`` is neither True nor False.
    """
    words = dict(item.keywords)
    if len(item.args) != 1 or set(words) - {"slice"} or not isinstance(item.args[0], String):
        raise FormulaError(
            "voxel() takes the name of an image in quotes", text, item.span, 'voxel("map.nii.gz")'
        )
    slicewise = constant(words["slice"], text) if words else False
    if not isinstance(slicewise, bool):
        raise FormulaError("slice is True or False", text, item.span)
    return Regressor(str(constant(item.args[0], text)), write(item), slicewise)


def interaction_of(item: Call, leaf: Leaf, known: Mapping[str, Factor], text: str) -> Interaction:
    """Read ``ppi(seed, trial_type, deconvolve=True)``.

    Parameters
    ----------
    item : Call
        The call.
    leaf : callable
        Gives the terms of a name.
    known : mapping
        The factors by key; names met here are added to it by ``leaf``.
    text : str
        The formula, for carets.

    Raises
    ------
    FormulaError
        If the seed is no confound column, or what follows is no event term.
    """
    words = dict(item.keywords)
    if len(item.args) != 2 or set(words) - {"deconvolve"}:
        example = "ppi(seed, trial_type, deconvolve=True)"
        raise FormulaError("ppi() takes a seed and event terms", text, item.span, example)
    found = algebra.expand(item.args[0], leaf, text)
    inner = algebra.expand(item.args[1], leaf, text)
    if len(found) != 1 or len(found[0]) != 1 or known[found[0][0]].clock != "scans":
        raise FormulaError("the seed of ppi() is one confound column", text, item.args[0].span)
    if not inner or not all(
        key in known and known[key].clock == "events" for t in inner for key in t
    ):
        raise FormulaError(
            "ppi() takes event terms of the model's response", text, item.args[1].span
        )
    deconvolve = constant(words["deconvolve"], text) if words else True
    if not isinstance(deconvolve, bool):
        raise FormulaError("deconvolve is True or False", text, item.span)
    terms = []
    for term in inner:
        factors = tuple(known[key] for key in term)
        terms.append(EventTerm(factors, ":".join(f.text for f in factors), item.span))
    return Interaction(known[found[0][0]], tuple(terms), deconvolve, write(item))
