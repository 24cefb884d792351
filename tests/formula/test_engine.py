"""The semi-private parts of formulaic that the engine stands on."""

import pytest
from formulaic import Formula
from formulaic.parser import DefaultFormulaParser
from formulaic.transforms import TRANSFORMS

from voxlm.formula import engine


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("f0 + f1", ["f0", "f1"]),
        ("f1 + f0", ["f1", "f0"]),
        ("(f0) * (f1)", ["f0", "f1", "f0:f1"]),
        ("(f0) / (f1)", ["f0", "f0:f1"]),
        ("(f0 + f1)/(f2)", ["f0", "f1", "f0:f1:f2"]),
        ("(f0 + f1):(f2)", ["f0:f2", "f1:f2"]),
        ("(f0 + f1 + f2)**2", ["f0", "f0:f1", "f0:f2", "f1", "f1:f2", "f2"]),
        ("(f0:f1)*(f1)", ["f0:f1", "f1"]),
        ("(f0):(f0)", ["f0"]),
    ],
)
def test_algebra_in_the_order_it_is_written(text, terms):
    assert [":".join(term) for term in engine.expand(text)] == terms


@pytest.mark.parametrize(
    ("terms", "intercept", "scoped"),
    [
        ("a", False, [[[("a", False)]]]),
        ("a", True, [[[("a", True)]]]),
        ("a b", False, [[[("a", False)]], [[("b", True)]]]),
        ("a b a:b", False, [[[("a", False)]], [[("b", True)]], [[("a", True), ("b", True)]]]),
        ("a a:x", False, [[[("a", False)]], [[("a", False), ("x", False)]]]),
        ("x a:x", False, [[[("x", False)]], [[("a", True), ("x", False)]]]),
        ("a:b", True, [[[("b", True)], [("a", True), ("b", False)]]]),
    ],
)
def test_which_factor_loses_a_level(terms, intercept, scoped):
    keys = tuple(tuple(term.split(":")) for term in terms.split())
    found = engine.structure(keys, frozenset("ab"), intercept)
    assert [[list(part) for part in term] for term in found] == scoped


def test_hooks_are_where_they_were():
    parser = DefaultFormulaParser(include_intercept=False)
    terms = Formula("b + a", _parser=parser, _ordering="none")
    assert [str(term) for term in terms] == ["b", "a"]
    assert set(engine.CONTRASTS) == {"Treatment", "Sum", "Helmert", "Poly", "Diff"}
    assert {"poly", "bs", "cr", "cc"} <= set(TRANSFORMS)
