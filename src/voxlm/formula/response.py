"""The response words of a formula: ``hrf(face, "spm + derivative")`` and ``hrf(face, spm)``."""

from __future__ import annotations

from typing import Any

from voxlm.errors import FormulaError, VoxlmError, did_you_mean
from voxlm.formula.syntax import Call, Name, Node, String, Sum
from voxlm.formula.vocabulary import MODIFIERS, RESPONSES

HINT = 'write "spm" or "glover", with + derivative or + derivative + dispersion'


def response_of(node: Call, text: str, default: Any) -> Any:
    """Return the response a tag names, as text; the model's own if it names none.

    Parameters
    ----------
    node : Call
        ``hrf(terms, response)``.
    text : str
        The formula, for carets.
    default : object
        The response of the model.

    Raises
    ------
    FormulaError
        For a response nobody knows, or further arguments.
    """
    if len(node.args) > 2 or node.keywords:
        extra = node.keywords[0][1] if node.keywords else node.args[2]
        raise FormulaError("hrf() takes terms and one response", text, extra.span, HINT)
    if len(node.args) == 1:
        return default
    words = response_words(node.args[1], text)
    problem = find_problem(words)
    if problem:
        raise FormulaError(problem[0], text, node.args[1].span, problem[1])
    return " + ".join(words)


def response_words(node: Node, text: str) -> list[str]:
    """Read ``spm + derivative``, quoted or bare, as words."""
    match node:
        case String(text=written):
            return [word.strip().lower() for word in written.split("+")]
        case Name(text=word):
            return [word.lower()]
        case Sum(items=items) if all(s > 0 and isinstance(i, Name) for s, i in items):
            return [item.text.lower() for _, item in items if isinstance(item, Name)]
        case _:
            raise FormulaError("a response is a name", text, node.span, HINT)


def find_problem(words: list[str]) -> tuple[str, str] | None:
    """Say what is wrong with the words of a response, and the next step."""
    first, *added = words
    if first not in RESPONSES:
        return f"unknown response {first!r}", did_you_mean(first, RESPONSES)
    for word in added:
        if word not in MODIFIERS:
            return f"a response has no {word!r}", did_you_mean(word, MODIFIERS)
    if len(set(added)) < len(added):
        return "a derivative is asked for twice", HINT
    return None


def check_response(response: Any) -> None:
    """Require that a model's response is a known text or a response as a value.

    Raises
    ------
    VoxlmError
        If it is neither.
    """
    if isinstance(response, str):
        problem = find_problem([word.strip().lower() for word in response.split("+")])
        if problem:
            raise VoxlmError(f"hrf={response!r}: {problem[0]}; {problem[1]}")
    elif not hasattr(response, "kernels"):
        raise VoxlmError(f"hrf={response!r} is no response; {HINT}, or give a value of vx.hrf")
