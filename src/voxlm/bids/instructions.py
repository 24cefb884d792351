"""Instructions that change tables before a formula reads them, as BIDS Stats Models has them.

The names and arguments are those of ``pybids-transforms-v1``; this page says which there are, and
:mod:`voxlm.bids.transform` carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxlm.errors import did_you_mean

INSTRUCTION = "Instructions of pybids-transforms-v1 over the tables, before the formula."

#: Each instruction and its arguments beside ``Input`` and ``Output``.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "And": (),
    "Assign": ("Target", "InputAttr", "TargetAttr"),
    "Copy": (),
    "Delete": (),
    "Demean": (),
    "DropNA": (),
    "Factor": ("Constraint", "RefLevel", "Sep"),
    "Group": (),
    "Lag": ("Shift", "Order", "Mode", "Constant", "Difference"),
    "Not": (),
    "Or": (),
    "Orthogonalize": ("Other",),
    "Power": ("Value",),
    "Product": (),
    "Rename": (),
    "Replace": ("Replace", "Attribute"),
    "Scale": ("Demean", "Rescale", "ReplaceNA"),
    "Select": (),
    "Split": ("By",),
    "Sum": ("Weights",),
    "Threshold": ("Threshold", "Binarize", "Above", "Signed"),
}
#: Those that need an output of their own, and those that need another argument.
WITH_OUTPUT = ("And", "Or", "Product", "Sum", "Rename", "Copy", "Group")
NEEDED = {"Assign": "Target", "Orthogonalize": "Other", "Split": "By", "Replace": "Replace"}
NEEDED |= {"Power": "Value"}
#: Those that have no meaning for the table of a group.
FIRST_LEVEL = ("Assign", "Lag", "DropNA")
REFUSED = {
    "Convolve": "the response belongs to the formula: hrf(face, 'spm + derivative')",
    "Filter": "its query is code, which a model file never runs; use Threshold, or Factor and And",
    "Resample": "the design reads every variable at the scan times itself; leave it out",
    "ToDense": "the design reads every variable at the scan times itself; leave it out",
}
PLACES = ("Name", "Input", "Output")


def bare(word: str) -> str:
    """Return a word as it is compared: ``ReplaceNA``, ``replace_na`` and ``replaceNa`` are one.

    Examples
    --------
    >>> bare("replace_na"), bare("ReplaceNA")
    ('replacena', 'replacena')
    """
    return word.replace("_", "").lower()


def spelled(word: str) -> str | None:
    """Return the instruction that a name stands for; pybids takes any case, and ``And_``."""
    return {bare(name): name for name in (*ARGUMENTS, *REFUSED)}.get(bare(word))


def check_instruction(
    step: Mapping[str, Any], level: str = "run"
) -> tuple[tuple[str, ...], str] | None:
    """Return the place and the problem of an instruction that cannot be carried out.

    Parameters
    ----------
    step : mapping
        One instruction.
    level : {"run", "group"}
        Whose tables.

    Returns
    -------
    tuple or None
        The key, if it is about one, and a sentence.

    Examples
    --------
    >>> check_instruction({"Name": "Factr", "Input": ["trial_type"]})
    (('Name',), "unknown instruction 'Factr'; did you mean 'Factor'?")
    """
    given = step.get("Name")
    name = spelled(given) if isinstance(given, str) else None
    if name is None:
        if given is None:
            return (), "an instruction has a Name"
        return ("Name",), f"unknown instruction {given!r}; {did_you_mean(str(given), ARGUMENTS)}"
    if name in REFUSED:
        return ("Name",), f"{name} cannot be honoured: {REFUSED[name]}"
    if level == "group" and name in FIRST_LEVEL:
        return ("Name",), f"{name} has no meaning for a table with one row a map"
    known = (*PLACES, *ARGUMENTS[name])
    heard = {bare(word): word for word in known}
    for key in step:
        if bare(key) not in heard:
            return (key,), f"{name} has no argument {key!r}; {did_you_mean(key, known)}"
    needed = ("Input", NEEDED.get(name, "Input"))
    lacking = [word for word in needed if bare(word) not in read(step)]
    if name in WITH_OUTPUT and "output" not in read(step):
        lacking.append("Output")
    return ((), f"{name} needs {lacking[0]}") if lacking else None


def read(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an instruction by their bare names."""
    return {bare(key): value for key, value in step.items()}
