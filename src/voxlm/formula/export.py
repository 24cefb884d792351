"""The same model in the words of R and of statsmodels, to paste and check one voxel.

Only what means the same there is written; anything else is an error that says what has no
equivalent.
"""

from __future__ import annotations

from collections.abc import Callable

from voxlm.errors import VoxlmError
from voxlm.formula.factors import Factor
from voxlm.formula.group import GroupMeaning, RandomTerm
from voxlm.formula.syntax import Call, Name, Node, Number, Product, Sum, write
from voxlm.formula.terms import Resolved
from voxlm.formula.vocabulary import PLAIN

R_CODINGS = {
    "Sum": "contr.sum",
    "Helmert": "contr.helmert",
    "Poly": "contr.poly",
    "Diff": "MASS::contr.sdif",
}
R_SAME = frozenset({"log", "exp", "sqrt", "abs", "I", "poly"})
PATSY_NUMPY = frozenset({"log", "exp", "sqrt", "abs"})
PATSY_SAME = frozenset({"center", "bs", "cr", "cc", "I"})


def to_r(meaning: Resolved | GroupMeaning, ar: int = 0) -> str:
    """Write the R call that fits the same model to one voxel.

    Parameters
    ----------
    meaning : Resolved or GroupMeaning
        A formula with its meaning.
    ar : int
        Order of the noise of a first-level model; ``d`` then holds the design's columns and ``y``.

    Raises
    ------
    VoxlmError
        If a word has no equivalent in R.

    Examples
    --------
    >>> import pandas as pd
    >>> from voxlm.formula import Schema, parse, resolve_group
    >>> maps = pd.DataFrame({"group": ["a", "b"], "age": [30.0, 40.0], "subject": ["s", "t"]})
    >>> meaning = resolve_group(parse("y ~ group + age + (1 | subject)"), Schema.table(maps))
    >>> print(to_r(meaning))
    lme4::lmer(y ~ 1 + group + age + (1 | subject), data = d, REML = TRUE)
    """
    if isinstance(meaning, Resolved):
        if not ar:
            return "lm(y ~ 0 + ., data = d)"
        noise = f"nlme::corARMA(p = {ar}, form = ~ 1)"
        return f"nlme::gls(y ~ 0 + ., data = d, correlation = {noise})"
    pieces = fixed_pieces(meaning, r_factor)
    for term in meaning.random:
        inner = [str(int(term.intercept)), *(product(t, r_factor) for t in term.terms)]
        groups = ":".join(quote(group) for group in term.groups)
        pieces.append(f"({' + '.join(inner)} | {groups})")
    text = f"{quote(meaning.formula.response or 'y')} ~ {' + '.join(pieces)}"
    if meaning.random:
        return f"lme4::lmer({text}, data = d, REML = TRUE)"
    return f"lm({text}, data = d)"


def to_statsmodels(meaning: Resolved | GroupMeaning, ar: int = 0, maxiter: int = 3) -> str:
    """Write the statsmodels call that fits the same model to one voxel.

    Parameters
    ----------
    meaning : Resolved or GroupMeaning
        A formula with its meaning.
    ar, maxiter : int
        Order of the noise of a first-level model, and iterations; ``X`` is the design.

    Raises
    ------
    VoxlmError
        If a word has no equivalent, or ``MixedLM`` cannot express the random terms.
    """
    if isinstance(meaning, Resolved):
        if not ar:
            return "sm.OLS(y, X).fit()"
        return f"sm.GLSAR(y, X, rho={ar}).iterative_fit(maxiter={maxiter})"
    pieces = fixed_pieces(meaning, patsy_factor)
    response = meaning.formula.response or "y"
    left = response if PLAIN.fullmatch(response) else f"Q({response!r})"
    text = f"{left} ~ {' + '.join(pieces)}"
    if not meaning.random:
        return f"smf.ols({text!r}, data=d).fit()"
    return f"smf.mixedlm({text!r}, data=d, {mixed_options(meaning)}).fit(reml=True)"


def fixed_pieces(meaning: GroupMeaning, write_factor: Callable[[Factor], str]) -> list[str]:
    """Write the constant and the fixed terms."""
    return [
        str(int(meaning.intercept)),
        *(product(term, write_factor) for term in meaning.terms),
    ]


def product(factors: tuple[Factor, ...], write_factor: Callable[[Factor], str]) -> str:
    """Write one term."""
    return ":".join(write_factor(factor) for factor in factors)


def quote(name: str) -> str:
    """Put backticks around names that need them."""
    return name if PLAIN.fullmatch(name) else f"`{name}`"


def r_factor(factor: Factor) -> str:
    """Write a factor in R's words."""
    node = factor.node
    if isinstance(node, Call) and node.function == "C":
        column = f"factor({quote(factor.names[0][1])})"
        if factor.coding == "Treatment":
            return f'relevel({column}, ref = "{factor.base}")' if factor.base else column
        return f"C({column}, {R_CODINGS[factor.coding]})"
    return r_node(node, dict(factor.names))


def r_node(node: Node, names: dict[str, str]) -> str:
    """Write an expression in R's words."""
    match node:
        case Name(text=text):
            return quote(names.get(text, text))
        case Sum(items=items):
            signs = [("+ " if sign > 0 else "- ") + r_node(item, names) for sign, item in items]
            return " ".join(signs).removeprefix("+ ")
        case Product(sign=sign, left=left, right=right):
            return f"{grouped(left, names, r_node)} {sign} {grouped(right, names, r_node)}"
        case Call(function="center", args=args, keywords=()):
            return f"scale({r_node(args[0], names)}, scale = FALSE)"
        case Call(function="scale", args=args, keywords=()):
            return f"scale({r_node(args[0], names)})"
        case Call(function="bs", args=args, keywords=keywords):
            return f"splines::bs({listed(args, keywords, names, r_node)})"
        case Call(function=word, args=args, keywords=keywords) if word in R_SAME:
            return f"{word}({listed(args, keywords, names, r_node)})"
        case Number(text=text):
            return text
        case _:
            raise VoxlmError(f"{write(node)} has no equivalent in R that gives the same columns")


def patsy_factor(factor: Factor) -> str:
    """Write a factor in patsy's words."""
    node = factor.node
    if isinstance(node, Call) and node.function == "C":
        coding = f'{factor.coding}("{factor.base}")' if factor.base else factor.coding
        return f"C({patsy_name(factor.names[0][1])}, {coding})"
    return patsy_node(node, dict(factor.names))


def patsy_name(name: str) -> str:
    """Quote a name as patsy does."""
    return name if name.isidentifier() else f"Q({name!r})"


def patsy_node(node: Node, names: dict[str, str]) -> str:
    """Write an expression in patsy's words."""
    match node:
        case Name(text=text):
            return patsy_name(names.get(text, text))
        case Sum(items=items):
            signs = [("+ " if s > 0 else "- ") + patsy_node(item, names) for s, item in items]
            return " ".join(signs).removeprefix("+ ")
        case Product(sign=sign, left=left, right=right):
            mark = "**" if sign == "^" else sign
            return f"{grouped(left, names, patsy_node)} {mark} {grouped(right, names, patsy_node)}"
        case Call(function="scale" | "standardize" as word, args=args, keywords=()):
            ddof = 1 if word == "scale" else 0
            return f"standardize({patsy_node(args[0], names)}, ddof={ddof})"
        case Call(function=word, args=args, keywords=keywords) if word in PATSY_NUMPY:
            return f"np.{word}({listed(args, keywords, names, patsy_node)})"
        case Call(function=word, args=args, keywords=keywords) if word in PATSY_SAME:
            if word == "center" and keywords:
                raise VoxlmError(f"{write(node)} has no equivalent in statsmodels")
            return f"{word}({listed(args, keywords, names, patsy_node)})"
        case Number():
            return node.text
        case _:
            raise VoxlmError(f"{write(node)} has no equivalent in statsmodels")


Writer = Callable[[Node, dict[str, str]], str]


def grouped(node: Node, names: dict[str, str], writer: Writer) -> str:
    """Write one side of a product, in parentheses where it would be read apart."""
    text = writer(node, names)
    return f"({text})" if isinstance(node, Sum | Product) else text


def listed(
    args: tuple[Node, ...],
    keywords: tuple[tuple[str, Node], ...],
    names: dict[str, str],
    writer: Writer,
) -> str:
    """Write the arguments of a call: the variable, then plain values as they stand."""
    shown = [writer(args[0], names), *(write(arg) for arg in args[1:])]
    return ", ".join(shown + [f"{word}={write(value)}" for word, value in keywords])


def mixed_options(meaning: GroupMeaning) -> str:
    """Write what ``MixedLM`` needs for the random terms.

    Raises
    ------
    VoxlmError
        For correlated slopes beside another grouping, which it cannot express.
    """
    random = meaning.random
    groups = {term.groups for term in random}
    if len(random) == 1:
        return one_group(random[0])
    if any(term.intercept and term.terms for term in random):
        raise VoxlmError("MixedLM cannot express correlated slopes beside other random terms")
    if len(groups) == 1:
        return uncorrelated(random)
    if any(term.terms for term in random):
        raise VoxlmError("MixedLM cannot express slopes beside other groupings")
    outer, inner = random[0].groups, random[-1].groups
    if len(random) == 2 and inner[: len(outer)] == outer and len(outer) == 1:
        name = inner[-1]
        formula = f"0 + C({patsy_name(name)})"
        options = f"re_formula='1', vc_formula={{{name!r}: {formula!r}}}"
        return f"groups={outer[0]!r}, {options}"
    parts = {
        ":".join(t.groups): "0 + " + ":".join(f"C({patsy_name(g)})" for g in t.groups)
        for t in random
    }
    return f"groups=np.ones(len(d)), re_formula='0', vc_formula={parts!r}"


def group_argument(term: RandomTerm) -> str:
    """Write the grouping of one term."""
    if len(term.groups) == 1:
        return f"groups={term.groups[0]!r}"
    joined = " + ':' + ".join(f"d[{group!r}].astype(str)" for group in term.groups)
    return f"groups={joined}"


def one_group(term: RandomTerm) -> str:
    """Write a single random term."""
    if not term.terms:
        return group_argument(term)
    inner = [str(int(term.intercept)), *(product(t, patsy_factor) for t in term.terms)]
    return f"{group_argument(term)}, re_formula={' + '.join(inner)!r}"


def uncorrelated(random: tuple[RandomTerm, ...]) -> str:
    """Write independent terms of one grouping."""
    slopes = [product(term.terms[0], patsy_factor) for term in random if term.terms]
    level = any(term.intercept for term in random)
    parts = {slope: f"0 + {slope}" for slope in slopes}
    return f"{group_argument(random[0])}, re_formula='{int(level)}', vc_formula={parts!r}"
