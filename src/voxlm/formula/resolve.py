"""Words and promises to a meaning: terms on events, terms on scans, and what is implied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from voxlm.errors import FormulaError, did_you_mean
from voxlm.formula import algebra, confounds
from voxlm.formula.engine import Term
from voxlm.formula.factors import Factor
from voxlm.formula.lookup import is_word
from voxlm.formula.naming import Namer
from voxlm.formula.response import basis_of, check_response, subset_of
from voxlm.formula.schema import Schema
from voxlm.formula.specials import drift_of, interaction_of, is_drift, is_scrub, regressor_of
from voxlm.formula.syntax import Bar, Call, Formula, Name, Node, Number, Span, walk, write
from voxlm.formula.terms import (
    IMPLIED_DRIFT,
    Drift,
    EventTerm,
    Interaction,
    Regressor,
    Resolved,
    ScanTerm,
    Scrub,
    Tag,
    Word,
    product,
)
from voxlm.formula.vocabulary import MACROS, TAGS


def resolve(
    formula: Formula,
    schema: Schema,
    hrf: Any = "spm",
    responses: Mapping[str, Any] | None = None,
) -> Resolved:
    """Give the words of a first-level formula their meaning.

    Parameters
    ----------
    formula : Formula
        From :func:`voxlm.formula.parse`.
    schema : Schema
        The promises of the events and confounds tables.
    hrf : str or Response
        The response of event terms that name none.
    responses : mapping of str to Response, optional
        Further responses by the names that ``hrf(face, name)`` calls them.

    Returns
    -------
    Resolved

    Raises
    ------
    FormulaError
        For unknown and ambiguous names, terms that mix events and scans or two responses, and a
        minus that removes nothing; each with its place and the next step.

    Examples
    --------
    >>> import pandas as pd
    >>> from voxlm.formula.parse import parse
    >>> events = pd.DataFrame({"onset": [0.0], "duration": [1.0], "trial_type": ["face"]})
    >>> resolve(parse("y ~ fce"), Schema.of(events))
    Traceback (most recent call last):
        ...
    voxlm.errors.FormulaError: unknown name 'fce'
      y ~ fce
          ^^^
    did you mean 'face'?
    """
    check_response(hrf)
    for response in (responses or {}).values():
        check_response(response)
    reader = Resolver(formula, schema, hrf, dict(responses or {}))
    for sign, item in formula.rhs.items:
        reader.add(sign, item)
    return reader.finish()


@dataclass(slots=True)
class Resolver:
    """The state of one resolution: terms so far, and what each key stands for."""

    formula: Formula
    schema: Schema
    hrf: Any
    responses: dict[str, Any]
    namer: Namer = field(init=False)
    tags: dict[str, Tag] = field(default_factory=dict)
    terms: list[Term] = field(default_factory=list)
    spans: dict[frozenset[str], Span] = field(default_factory=dict)
    drift: Drift | None = IMPLIED_DRIFT
    constant: bool = True
    scrubs: list[Scrub] = field(default_factory=list)
    interactions: list[Interaction] = field(default_factory=list)
    regressors: list[Regressor] = field(default_factory=list)
    items: list[tuple[str, list[Term]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.namer = Namer(self.schema, self.formula.text)

    def fail(self, message: str, span: Span, hint: str = "") -> FormulaError:
        """Make an error at a place of the formula."""
        return FormulaError(message, self.formula.text, span, hint)

    def add(self, sign: int, item: Node) -> None:
        """Take one item of the right side into account."""
        if isinstance(item, Number) and item.value in (0.0, 1.0):
            self.set_constant(item, (sign > 0) == bool(item.value))
        elif isinstance(item, Name) and self.is_free(item, "constant"):
            self.set_constant(item, sign > 0)
        elif isinstance(item, Name) and self.is_free(item, "drift"):
            self.named_drift(sign, item)
        elif isinstance(item, Call) and is_drift(item):
            self.set_drift(sign, item)
        elif isinstance(item, Call) and item.function == "ppi":
            self.add_interaction(sign, item)
        elif isinstance(item, Call) and item.function == "voxel":
            self.add_regressor(sign, item)
        elif is_scrub(item) and not self.schema.find("scrub"):
            self.add_scrub(sign, item)
        elif any(isinstance(node, Bar) for node in walk(item)):
            raise self.fail(
                "random terms belong to group formulas",
                item.span,
                "at the first level, fit one model a run; random effects come with vx.lmer",
            )
        else:
            self.add_terms(sign, item)

    def is_free(self, node: Name, word: str) -> bool:
        """Tell whether a name is a word of ours that no column is called."""
        return node.text == word and not node.quoted and not self.schema.find(word)

    def set_constant(self, item: Node, on: bool) -> None:
        """Switch the constant of the run; taking it away twice removes nothing."""
        if not on and not self.constant:
            raise self.fail("this removes nothing: the constant is already gone", item.span)
        self.constant = on

    def named_drift(self, sign: int, item: Name) -> None:
        """Read ``- drift`` and ``+ drift``."""
        if sign > 0:
            self.drift = self.drift or IMPLIED_DRIFT
            return
        if self.drift is None:
            raise self.fail("this minus removes nothing: the drift is already gone", item.span)
        if not self.drift.implied:
            raise self.fail(
                f"the formula both asks for {self.drift.text} and takes the drift away", item.span
            )
        self.drift = None

    def set_drift(self, sign: int, item: Call) -> None:
        """Read ``cosine(1/128)`` or ``poly(3)``; it replaces the implied drift."""
        if sign < 0:
            raise self.fail(
                "this minus removes nothing", item.span, "write - drift to leave drift out"
            )
        if self.drift is None or not self.drift.implied:
            raise self.fail("the formula says twice what the drift is", item.span)
        self.drift = drift_of(item, self.formula.text)

    def add_scrub(self, sign: int, item: Node) -> None:
        """Read ``scrub(fd=0.5)``."""
        if sign < 0:
            raise self.fail("this minus removes nothing", item.span, "leave scrub out")
        if self.scrubs:
            raise self.fail("the formula says twice which scans to take out", item.span)
        self.scrubs.append(confounds.scrub(item, self.namer))

    def add_interaction(self, sign: int, item: Call) -> None:
        """Read ``ppi(seed, trial_type, deconvolve=True)``; the seed becomes a term as well."""
        if sign < 0:
            raise self.fail("this minus removes nothing", item.span, "leave ppi out")
        made = interaction_of(item, self.leaf, self.namer.factors, self.formula.text)
        self.interactions.append(made)
        self.add_terms(1, item.args[0])

    def add_regressor(self, sign: int, item: Call) -> None:
        """Read ``voxel("map.nii.gz")``."""
        if sign < 0:
            raise self.fail("this minus removes nothing", item.span, "leave voxel out")
        made = regressor_of(item, self.formula.text)
        if made in self.regressors:
            raise self.fail("the formula has this regressor twice", item.span, "leave one out")
        self.regressors.append(made)

    def add_terms(self, sign: int, item: Node) -> None:
        """Add the terms of an item, or take them away."""
        text = self.formula.text
        found = algebra.expand(item, self.leaf, text)
        if sign < 0:
            self.terms = algebra.remove(self.terms, found, item, text)
            return
        self.terms = algebra.join(self.terms, found)
        self.items.append((write(item), found))
        for term in found:
            self.spans.setdefault(frozenset(term), item.span)

    def leaf(self, node: Node) -> list[Term]:
        """Return the terms a name or a call stands for."""
        if isinstance(node, Name):
            if is_word(node, self.schema) and node.text == "scrub":
                raise self.fail("scrub stands alone in the sum", node.span)
            if is_word(node, self.schema):
                return [(factor.key,) for factor in confounds.word(node, self.namer)]
            return [(self.namer.name(node).key,)]
        if isinstance(node, Call) and node.function in TAGS:
            return self.tagged(node)
        if isinstance(node, Call) and is_drift(node):
            raise self.fail(
                f"{node.function}() of a number is the drift and stands alone in the sum", node.span
            )
        assert isinstance(node, Call)
        if node.function in ("scrub", "ppi", "voxel"):
            raise self.fail(f"{node.function}() stands alone in the sum", node.span)
        if node.function in MACROS:
            return [(factor.key,) for factor in confounds.call(node, self.namer)]
        return [(self.namer.call(node).key,)]

    def tagged(self, node: Call) -> list[Term]:
        """Return the terms of ``hrf(formula, response)``, each with the key of its tag."""
        if not node.args:
            example = 'hrf(face, "spm + derivative")'
            raise self.fail(f"{node.function}() needs terms", node.span, example)
        text = self.formula.text
        inner = algebra.expand(node.args[0], self.leaf, text)
        if any(key in self.tags for term in inner for key in term):
            raise self.fail("a response inside a response", node.span)
        basis, subset = basis_of(node, text, self.hrf, self.responses), subset_of(node, text)
        if subset is not None:
            self.check_subset(subset.column, node)
        same = (t.key for t in self.tags.values() if (t.response, t.subset) == (basis, subset))
        key = next(same, f"h{len(self.tags)}")
        self.tags.setdefault(key, Tag(key, basis, write(node), node.span, subset))
        return [(*term, key) for term in inner]

    def check_subset(self, name: str, node: Call) -> None:
        """Require that a subset names a column of the events."""
        known = [variable.name for variable in self.schema.of_source("events")]
        if name not in known:
            place = dict(node.keywords)["subset"].span
            raise self.fail(
                f"subset names no column of the events: {name!r}", place, did_you_mean(name, known)
            )

    def finish(self) -> Resolved:
        """Sort the terms by the clock they live on."""
        events: list[EventTerm] = []
        scans: list[ScanTerm] = []
        for term in self.terms:
            tags = [self.tags[key] for key in term if key in self.tags]
            factors = tuple(self.namer.factors[key] for key in term if key not in self.tags)
            span = self.spans[frozenset(term)]
            text = ":".join(factor.text for factor in factors)
            self.check_term(factors, tags, span)
            if factors[0].clock == "events":
                events.append(EventTerm(factors, text, span, tags[0] if tags else None))
            else:
                scans.append(ScanTerm(factors, text, span))
        self.check_repeats(events)
        if not (events or scans or self.drift or self.constant or self.scrubs):
            whole_text = (0, len(self.formula.text))
            raise self.fail("no column is left", whole_text, "add a term, a constant or a drift")
        return Resolved(
            self.formula,
            self.schema,
            tuple(events),
            tuple(scans),
            self.drift,
            self.constant,
            self.hrf,
            self.all_words(),
            tuple(self.notes(events)),
            tuple(self.scrubs),
            self.shown(),
            tuple(self.interactions),
            tuple(self.regressors),
        )

    def check_term(self, factors: tuple[Factor, ...], tags: list[Tag], span: Span) -> None:
        """Refuse terms that mix clocks or responses."""
        clocks = {factor.clock for factor in factors}
        if len(clocks) > 1:
            event = next(f.text for f in factors if f.clock == "events")
            scan = next(f.text for f in factors if f.clock == "scans")
            raise self.fail(
                f"this mixes events and scans: {event} has one value an event, {scan} one a scan",
                span,
                f"a psychophysiological interaction is written ppi({scan}, {event})",
            )
        if len(tags) > 1:
            shown = " and ".join(tag.text for tag in tags)
            raise self.fail(f"this term has two responses: {shown}", span)
        if tags and "events" not in clocks:
            raise self.fail("only event columns are convolved; this lives on scans", tags[0].span)

    def check_repeats(self, events: Iterable[EventTerm]) -> None:
        """Refuse one term under two responses: their columns would fight for the same variance."""
        seen: dict[frozenset[str], EventTerm] = {}
        for term in events:
            keys = frozenset(factor.key for factor in term.factors)
            if keys in seen:
                raise self.fail(
                    f"{term.text} is here twice, with two responses",
                    term.span,
                    "give it one response; a richer one contains the other",
                )
            seen[keys] = term

    def shown(self) -> tuple[str, ...]:
        """Write the scan terms, as the words they came from where all of a word is left."""
        left = {frozenset(term) for term in self.terms}
        pieces: list[str] = []
        done: set[frozenset[str]] = set()
        for text, found in self.items:
            scans = [t for t in found if self.namer.factors[t[0]].clock == "scans"]
            new = [t for t in scans if frozenset(t) in left and frozenset(t) not in done]
            done |= {frozenset(t) for t in new}
            if len(new) == len(found) > 0:
                pieces.append(text)
            else:
                pieces += [product(tuple(self.namer.factors[k] for k in term)) for term in new]
        return tuple(pieces)

    def all_words(self) -> tuple[Word, ...]:
        """List every word with its meaning, what is implied last."""
        words = [*self.namer.words]
        for tag in self.tags.values():
            rows = f"events with {tag.subset.text}" if tag.subset else "events"
            words.append(Word(tag.text, f"response: {tag.response}", rows, (tag.key,)))
        words += [
            Word(scrub.text, "scans to be taken out", "scans", ("scrub",)) for scrub in self.scrubs
        ]
        words += [
            Word(made.text, f"interaction with {made.seed.text}", "scans", ("ppi",))
            for made in self.interactions
        ]
        words += [
            Word(made.text, "image with a value a scan and voxel", "scans", ("voxel",))
            for made in self.regressors
        ]
        if self.drift:
            source = "implied drift" if self.drift.implied else "drift"
            words.append(Word(self.drift.text, source, "scans", ("drift",)))
        if self.constant:
            words.append(Word("1", "implied constant of the run", "scans", ("constant",)))
        return tuple(words)

    def notes(self, events: Iterable[EventTerm]) -> list[str]:
        """Say what a reader may not expect."""
        found = list(self.namer.notes)
        condition = self.schema.condition
        if condition is None or len(condition.levels) < 2:
            return found
        for term in events:
            plain = all(f.kind == "numeric" and not f.condition for f in term.factors)
            if plain:
                found.append(
                    f"{term.text} scales every one of the {condition.rows} events; "
                    f"{condition.levels[0]}:{term.text} scales those of one condition"
                )
        return found
