"""An F test of every term of a group formula, at every voxel.

Axes: V voxels, P columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import lazy_loader
import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from voxlm.contrasts.hypothesis import Hypothesis
from voxlm.design.table import fixed
from voxlm.errors import DataError, did_you_mean
from voxlm.formula.factors import Factor
from voxlm.formula.schema import bare
from voxlm.kernels.rank import rank

regions = lazy_loader.load("voxlm.analysis.regiontable", suppress_warning=True)

if TYPE_CHECKING:
    from voxlm.analysis.contrast import Contrast
    from voxlm.analysis.groupfit import GroupFit

Floats = NDArray[np.float64]

SMALL = 1e-10  # a weight that is rounding against the largest of its row


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TermTests:
    """An F test of every term, at every voxel.

    Parameters
    ----------
    type : int
        1, 2 or 3.
    tests : mapping of str to Contrast
        By term, in the order of the formula; ``tests["age"]`` has ``F p df df_num``, its image, and
        corrections.
    """

    type: int
    tests: Mapping[str, Contrast]

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms, in the order of the formula."""
        return tuple(self.tests)

    def __getitem__(self, term: str) -> Contrast:
        if term not in self.tests:
            raise DataError(f"no term called {term!r}; {did_you_mean(term, self.terms)}")
        return self.tests[term]

    @property
    def F(self) -> Floats:  # noqa: N802
        """F of every term, shape ``(terms, V)``."""
        return np.stack([test.F for test in self.tests.values()])

    @property
    def p(self) -> Floats:
        """P of every term, shape ``(terms, V)``."""
        return np.stack([test.p for test in self.tests.values()])

    def tidy(self, where: Any) -> pd.DataFrame:
        """Return a long table of some voxels: one row a voxel and term.

        Parameters
        ----------
        where : int, (i, j, k), array of bool or int, path or image
            A voxel, or a region.

        Returns
        -------
        DataFrame
            ``voxel term df_num df F p_value``.
        """
        rows = []
        for name, test in self.tests.items():
            df = np.broadcast_to(test.df, test.F.shape)
            for voxel in regions.voxels_at(where, test.space):
                rows.append((voxel, name, test.df_num, df[voxel], test.F[voxel], test.p[voxel]))
        names = ["voxel", "term", "df_num", "df", "F", "p_value"]
        return pd.DataFrame(rows, columns=names).sort_values("voxel", kind="stable")

    def __repr__(self) -> str:
        unit = next(iter(self.tests.values())).space.counted
        lines = [f"Type {'I' * self.type} tests of terms, medians over {unit}"]
        width = max(map(len, self.terms))
        lines.append(f"{'':{width}}  NumDF    DenDF   F value  p < 0.05")
        for name, test in self.tests.items():
            share = 100.0 * float(np.mean(test.p[np.isfinite(test.p)] < 0.05))
            lines.append(
                f"{name:{width}}  {test.df_num:5d}  {np.nanmedian(test.df):7.1f}  "
                f"{np.nanmedian(test.F):8.3f}  {share:.1f} % of {unit}"
            )
        return "\n".join(lines)


def test_terms(fit: GroupFit, kind: int) -> TermTests:
    """Test every term of a fit's formula.

    Parameters
    ----------
    fit : GroupFit
        By :func:`voxlm.lmer`, or :func:`voxlm.lm` over maps.
    kind : {1, 2, 3}
        Type of test.

    Returns
    -------
    TermTests

    Raises
    ------
    DataError
        Another type, a formula of a constant alone, columns that depend on each other.
    """
    if kind not in (1, 2, 3):
        raise DataError(f"tests of terms are of type 1, 2 or 3, got {kind!r}")
    design = fit.design
    if not design.meaning.meaning.terms:
        raise DataError("the formula has a constant alone: there is no term to test")
    if rank(design.matrix) < len(design.columns):
        raise DataError("the columns depend on each other: ask contrasts that can be estimated")
    # Of a formula of one term lmerTest takes the sequential test, whatever the type.
    alone = len(design.meaning.meaning.terms) == 1
    rows = _marginal(fit) if kind == 3 and not alone else _sequential(fit, 1 if alone else kind)
    tests = {}
    for name, C in rows.items():
        largest = np.abs(C).max(axis=1, keepdims=True)
        clean = np.where(np.abs(C) > SMALL * largest, C, 0.0)
        text = f"{name}, type {'I' * kind}"
        tests[name] = fit.f_test(Hypothesis(clean, np.zeros(len(C)), "F", text, design.names))
    return TermTests(kind, tests)


def _marginal(fit: GroupFit) -> dict[str, Floats]:
    """Return what each term's coefficients are when every factor is coded to sum to zero."""
    coding = fit.design.meaning
    meaning, memory = coding.meaning, dict(coding.memory)

    def coded(coding: str) -> Any:
        def turned(factor: Factor) -> Factor:
            if factor.kind != "categorical" or factor.coding == coding:
                return factor
            return replace(factor, coding=coding, base=None)

        return replace(meaning, terms=tuple(tuple(map(turned, term)) for term in meaning.terms))

    other, plain = coded("Sum"), coded("Treatment")
    table, X = bare(fit.maps.table), fit.design.matrix
    treated = fixed(plain, table, dict(memory))
    turn = np.linalg.pinv(fixed(other, table, memory)) @ treated
    # lmerTest's rows ask for differences from a first level, whatever the coding.
    back = np.linalg.pinv(treated) @ X
    return {name: _reduced(turn[at], at) @ back for name, at in _places(other).items()}


def _reduced(rows: Floats, at: NDArray[np.int64]) -> Floats:
    """Combine rows so that each asks for one coefficient of its own: the same F, lmerTest's df."""
    return np.asarray(np.linalg.solve(rows[:, at], rows))


def _sequential(fit: GroupFit, kind: int) -> dict[str, Floats]:
    """Return what each term's columns add to those before it, or to all that do not contain it."""
    meaning, X = fit.design.meaning.meaning, fit.design.matrix
    if fit.model == "lm" and fit.root is not None:  # lmerTest takes no notice of weights here
        X = X * fit.root[:, None]
    places = _places(meaning)
    names = list(places)
    constant = np.arange(int(meaning.intercept))
    found = {}
    for t, name in enumerate(names):
        before = [
            s
            for s in range(len(names))
            if (s < t if kind == 1 else s != t and not _inside(meaning.terms[t], meaning.terms[s]))
        ]
        first = np.concatenate([constant, *(places[names[s]] for s in before)]).astype(np.int64)
        last = np.setdiff1d(np.arange(X.shape[1]), np.concatenate([first, places[name]]))
        order = np.concatenate([first, places[name], last])
        R = scipy.linalg.qr(X[:, order], mode="r")[0][: X.shape[1]]
        C = np.zeros((places[name].size, X.shape[1]))
        C[:, order] = R[first.size : first.size + places[name].size]
        own = places[name]
        # Rows of the same span, scaled as lmerTest has them, since pooled df depend on that.
        pivots = C[np.arange(own.size), own][:, None]
        held = any(_inside(meaning.terms[t], other) for other in meaning.terms)
        found[name] = C / pivots if kind == 1 or held else _reduced(C, own)
    return found


def _places(meaning: Any) -> dict[str, NDArray[np.int64]]:
    """Return the columns of each term, by its name."""
    of = np.array([column.term for column in meaning.columns])
    return {
        ":".join(factor.text for factor in term): np.flatnonzero(of == t) + int(meaning.intercept)
        for t, term in enumerate(meaning.terms)
    }


def _inside(one: tuple[Factor, ...], other: tuple[Factor, ...]) -> bool:
    """Tell whether a term is contained in another: fewer factors, the same numbers."""
    numbers = [{f.key for f in term if f.kind == "numeric"} for term in (one, other)]
    return numbers[0] == numbers[1] and {f.key for f in one} < {f.key for f in other}
