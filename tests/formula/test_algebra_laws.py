"""Random group formulas span what patsy's span; random first-level ones what cell means span."""

import itertools

import numpy as np
import pandas as pd
import patsy
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlm.design.build import build
from voxlm.design.clock import Clock
from voxlm.design.table import build_table
from voxlm.formula import Schema, parse, resolve, resolve_group

# Spans are compared by what each leaves of the other, in units of the columns' length.
TOLERANCE = 1e-7

CELLS = list(itertools.product(["a", "b"], ["F", "M"], ["x", "y", "z"]))
ROWS = CELLS * 6
_RNG = np.random.default_rng(0)
MAPS = pd.DataFrame(ROWS, columns=["group", "sex", "cond"]).assign(
    age=_RNG.normal(size=len(ROWS)), iq=_RNG.normal(size=len(ROWS))
)
EVENTS = MAPS.rename(columns={"cond": "trial_type"}).assign(
    onset=7.0 * np.arange(len(ROWS)), duration=2.0
)
CLOCK = Clock(270, 2.0)

names = st.sampled_from(["group", "sex", "cond", "age", "iq"])
sums = st.recursive(
    names,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "*", ":", "/"]), inner).map(
            lambda t: f"({t[0]}) {t[1]} ({t[2]})"
        ),
        inner.map(lambda t: f"({t})"),
    ),
    max_leaves=4,
)


def left_over(A, B):
    """Return how much of the columns of A is outside the span of B, largest first."""
    A = A / np.maximum(np.linalg.norm(A, axis=0), 1e-300)
    B = B / np.maximum(np.linalg.norm(B, axis=0), 1e-300)
    return np.max(np.abs(A - B @ np.linalg.lstsq(B, A, rcond=1e-10)[0]), initial=0.0)


@given(text=sums, constant=st.sampled_from(["1", "0"]))
@settings(max_examples=150, deadline=None)
def test_group_formulas_span_what_patsy_spans(text, constant):
    formula = f"{constant} + {text}"
    ours = build_table(resolve_group(parse(f"~ {formula}"), Schema.table(MAPS)), MAPS)
    theirs = np.asarray(patsy.dmatrix(formula, MAPS))
    assert ours.matrix.shape[1] == theirs.shape[1]
    assert left_over(ours.matrix, theirs) < TOLERANCE
    assert left_over(theirs, ours.matrix) < TOLERANCE


@given(text=sums)
@settings(max_examples=60, deadline=None)
def test_event_formulas_are_the_convolved_columns_of_patsy(text):
    # Convolution is linear: what spans the amplitudes spans the regressors.
    formula = text.replace("cond", "trial_type")
    meaning = resolve(parse(f"y ~ 0 + {formula} - drift"), Schema.of(EVENTS))
    ours = build(meaning, EVENTS, None, CLOCK).matrix
    amplitudes = np.asarray(patsy.dmatrix(f"0 + {formula}", EVENTS))
    table = EVENTS.assign(**{f"x{k}": x for k, x in enumerate(amplitudes.T)})
    columns = " + ".join(f"x{k}" for k in range(amplitudes.shape[1]))
    by_hand = resolve(parse(f"y ~ 0 + {columns} - drift"), Schema.of(table))
    theirs = build(by_hand, table, None, CLOCK).matrix
    assert ours.shape == theirs.shape
    assert left_over(ours, theirs) < TOLERANCE
    assert left_over(theirs, ours) < TOLERANCE
