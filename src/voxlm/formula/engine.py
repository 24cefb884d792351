"""The only door to formulaic: the algebra of terms, and which factor loses a level where.

formulaic sees keys of our own making (``f0``, ``f1``), never a user's text and never a value, with
an empty context, so nothing it could evaluate reaches it. Its parser class, the ``structure`` of a
model specification and the contrast classes are semi-private; a test holds us to them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Loaded on first use: a formula of plain conditions and confounds needs none of it.
formulaic = lazy_loader.load("formulaic")

Term = tuple[str, ...]
Scoped = tuple[tuple[str, bool], ...]

CONTRASTS = {
    "Treatment": "TreatmentContrasts",
    "Sum": "SumContrasts",
    "Helmert": "HelmertContrasts",
    "Poly": "PolyContrasts",
    "Diff": "DiffContrasts",
}


@lru_cache(maxsize=1024)
def expand(text: str) -> tuple[Term, ...]:
    """Expand algebra over keys into terms, in the order they are written.

    Examples
    --------
    >>> expand("(f0) * (f1)")
    (('f0',), ('f1',), ('f0', 'f1'))
    """
    terms = _algebra(text)
    return tuple(tuple(str(factor.expr) for factor in term.factors) for term in terms)


@lru_cache(maxsize=256)
def structure(
    terms: tuple[Term, ...], categorical: frozenset[str], intercept: bool
) -> tuple[tuple[Scoped, ...], ...]:
    """Decide how the factors of each term are coded so that no column repeats another.

    Parameters
    ----------
    terms : tuple of tuple of str
        Terms as keys, in the order their coding is settled in.
    categorical : frozenset of str
        The keys that stand for factors with levels.
    intercept : bool
        Whether a constant comes before them all.

    Returns
    -------
    tuple
        For each term the products it is made of; in each product, pairs (key, whether that factor
        loses a level).

    Examples
    --------
    >>> structure((("a",), ("b",)), frozenset({"a", "b"}), False)
    (((('a', False),),), ((('b', True),),))
    """
    keys = sorted({key for term in terms for key in term})
    words = pd.Categorical(["u", "v", "u", "v"])
    frame = pd.DataFrame({k: words if k in categorical else np.arange(4.0) for k in keys})
    written = [":".join(term) for term in terms]
    text = " + ".join((["1"] if intercept else []) + written) or "0"
    matrix = _algebra(text).get_model_matrix(
        frame, context={}, na_action="raise", ensure_full_rank=True
    )
    rows = matrix.model_spec.structure[1 if intercept else 0 :]
    return tuple(tuple(scope(part) for part in row.scoped_terms) for row in rows)


def _algebra(text: str) -> Any:
    """Parse a right side without the constant that formulaic would add."""
    parser = formulaic.parser.DefaultFormulaParser(include_intercept=False)
    return formulaic.Formula(text, _parser=parser, _ordering="none")


def scope(part: Any) -> Scoped:
    """Read one of formulaic's scoped terms."""
    return tuple((str(f.factor.expr), bool(f.reduced)) for f in part.factors)


def coding(name: str, levels: tuple[str, ...], base: str | None) -> tuple[NDArray[Any], list[str]]:
    """Return the reduced coding of a factor, shape ``(levels, levels - 1)``, and its labels.

    Examples
    --------
    >>> matrix, words = coding("Treatment", ("a", "b", "c"), None)
    >>> words
    ['[T.b]', '[T.c]']
    """
    # A base is a level of the table's own, never something to evaluate.
    kind = getattr(formulaic.transforms.contrasts, CONTRASTS[name])
    contrast = kind(base) if base is not None else kind()
    found: list[Hashable] = list(levels)
    matrix = contrast.get_coding_matrix(found, reduced_rank=True, sparse=False)
    names = contrast.get_coding_column_names(found, reduced_rank=True)
    pattern = contrast.get_factor_format(found, reduced_rank=True)
    written = [pattern.format(name="", field=field) for field in names]
    return np.asarray(matrix, dtype=np.float64), written


def spread(
    name: str, values: NDArray[np.float64], options: Mapping[str, Any], memory: dict[str, Any]
) -> dict[str, NDArray[np.float64]]:
    """Spread one variable over columns by ``poly``, ``bs``, ``cr`` or ``cc``.

    Parameters
    ----------
    name : str
        The transform.
    values : ndarray, shape (N,)
        Finite values.
    options : mapping
        Its further arguments.
    memory : dict
        Knots and norms: written when empty, else used, so that new rows are coded as the old.

    Examples
    --------
    >>> list(spread("poly", np.arange(5.0), {"degree": 2}, {}))
    ['1', '2']
    """
    out: Any = formulaic.transforms.TRANSFORMS[name](pd.Series(values), _state=memory, **options)
    columns = getattr(out, "__wrapped__", out)
    if isinstance(columns, Mapping):
        return {str(k): np.asarray(v, dtype=np.float64) for k, v in columns.items()}
    array = np.asarray(columns, dtype=np.float64)
    return {str(k + 1): array[:, k] for k in range(array.shape[1])}
