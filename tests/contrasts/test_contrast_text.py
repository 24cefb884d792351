"""Contrast text to rows: a table of what is read, a table of what is refused."""

import contextlib
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlm.contrasts import hypothesis
from voxlm.design.columns import Column
from voxlm.errors import ContrastError

COLUMNS = [
    Column("face", "hrf(face, 'spm + derivative')", "task", "face"),
    Column("face_derivative", "hrf(face, 'spm + derivative')", "task", "face", "derivative"),
    Column("house", "house", "task", "house"),
    Column("house_derivative", "house", "task", "house", "derivative"),
    Column("trial_type[tool]", "trial_type", "task", "tool", aliases=("tool",)),
    Column("trial_type[tool]:rt", "trial_type:rt", "task", "tool", "", "rt", aliases=("tool:rt",)),
    Column("left-hand", "left-hand", "task", "left-hand", aliases=("twin",)),
    Column("left", "left", "task", "left", aliases=("twin",)),
    Column("hand", "hand", "task", "hand"),
    Column("go-stop", "go-stop", "task", "go-stop"),
    Column("2back", "2back", "task", "2back"),
    Column("my word", "my word", "task", "my word"),
    Column("C(site)[T.b]", "C(site)", "group"),
    Column("fir_delay_1", "fir(cue)", "task", "cue", "delay_1"),
    Column("fir_delay_2", "fir(cue)", "task", "cue", "delay_2"),
    Column("constant", "1", "constant"),
]
NAMES = [column.name for column in COLUMNS]


def rows(*wanted):
    """Matrix with the given weights, a dict a row."""
    C = np.zeros((len(wanted), len(NAMES)))
    for q, weights in enumerate(wanted):
        for name, weight in weights.items():
            C[q, NAMES.index(name)] = weight
    return C


TOOL, SLOPE = "trial_type[tool]", "trial_type[tool]:rt"
FACE_HOUSE = {"face": 1, "house": -1}
HOUSE_TOOL = {"house": 1, TOOL: -1}
READ = [  # text, rows, null values, kind
    ("face", [{"face": 1}], [0], "t"),
    ("-face", [{"face": -1}], [0], "t"),
    ("face - house", [FACE_HOUSE], [0], "t"),
    ("  face\n-\thouse ", [FACE_HOUSE], [0], "t"),
    ("face-house", [FACE_HOUSE], [0], "t"),
    ("2*face - house - tool", [{"face": 2, "house": -1, TOOL: -1}], [0], "t"),
    ("(face + house)/2 - tool", [{"face": 0.5, "house": 0.5, TOOL: -1}], [0], "t"),
    ("1/3*face", [{"face": 1 / 3}], [0], "t"),
    ("face*2/4 - 1e-1*house", [{"face": 0.5, "house": -0.1}], [0], "t"),
    ("-(face - 2*(house - tool))", [{"face": -1, "house": 2, TOOL: -2}], [0], "t"),
    ("face - house = 0.5", [FACE_HOUSE], [0.5], "t"),
    ("0.5 = face - house", [FACE_HOUSE], [0.5], "t"),
    ("face = house", [FACE_HOUSE], [0], "t"),
    ("face = house + 1/4", [FACE_HOUSE], [0.25], "t"),
    ("face = house = tool", [FACE_HOUSE, HOUSE_TOOL], [0, 0], "F"),
    ("face = house = 2", [FACE_HOUSE, {"house": 1}], [0, 2], "F"),
    ("face, house", [{"face": 1}, {"house": 1}], [0, 0], "F"),
    ("face - house = 0, house - tool = 1", [FACE_HOUSE, HOUSE_TOOL], [0, 1], "F"),
    ("joint(face, house)", [{"face": 1}, {"house": 1}], [0, 0], "F"),
    ("F(face - house)", [FACE_HOUSE], [0], "F"),
    ("F(face, F(house))", [{"face": 1}, {"house": 1}], [0, 0], "F"),
    ("term(trial_type)", [{TOOL: 1}], [0], "F"),
    ("term(1)", [{"constant": 1}], [0], "F"),
    ("term(C(site))", [{"C(site)[T.b]": 1}], [0], "F"),
    ("term(hrf(face, 'spm + derivative'))", [{"face": 1}, {"face_derivative": 1}], [0, 0], "F"),
    ("basis(face)", [{"face": 1}, {"face_derivative": 1}], [0, 0], "F"),
    ("basis(cue)", [{"fir_delay_1": 1}, {"fir_delay_2": 1}], [0, 0], "F"),
    ("basis(tool:rt)", [{SLOPE: 1}], [0], "F"),
    (
        "basis(face) - basis(house)",
        [FACE_HOUSE, {"face_derivative": 1, "house_derivative": -1}],
        [0, 0],
        "F",
    ),
    ("basis(face) = 1", [{"face": 1}, {"face_derivative": 1}], [1, 1], "F"),
    ("face_derivative", [{"face_derivative": 1}], [0], "t"),
    ("tool:rt - tool", [{SLOPE: 1, TOOL: -1}], [0], "t"),
    ("trial_type[tool]:rt", [{SLOPE: 1}], [0], "t"),
    ("C(site)[T.b]", [{"C(site)[T.b]": 1}], [0], "t"),
    ("`left-hand` - left", [{"left-hand": 1, "left": -1}], [0], "t"),
    ("left - hand", [{"left": 1, "hand": -1}], [0], "t"),
    ("go-stop - face", [{"go-stop": 1, "face": -1}], [0], "t"),
    ("2back - face", [{"2back": 1, "face": -1}], [0], "t"),
    ("2*2back", [{"2back": 2}], [0], "t"),
    ("my word - face", [{"my word": 1, "face": -1}], [0], "t"),
    ("`my word`/2", [{"my word": 0.5}], [0], "t"),
]


@pytest.mark.parametrize(("text", "wanted", "null", "kind"), READ, ids=[r[0] for r in READ])
def test_read(text, wanted, null, kind):
    h = hypothesis(text, COLUMNS)
    np.testing.assert_array_equal(h.C, rows(*wanted))
    np.testing.assert_array_equal(h.null, null)
    assert h.kind == kind
    assert h.notes == ()


REFUSED = [  # text, what stands under the caret, part of the message
    ("fce - house", "fce", "did you mean 'face'?"),
    ("face - hose", "hose", "did you mean 'house'?"),
    ("face.mean()", "face.mean", "did you mean 'face'?"),
    ("face[0]", "face[0]", "did you mean 'face'?"),
    ("2face", "2face", "did you mean 'face' or"),
    ("`fac`", "`fac`", "did you mean 'face'?"),
    ("twin", "twin", "write one of them in full: `left-hand`, `left`"),
    ("left-hand - left", "left-hand", "read in two ways"),
    ("face*house", "face*house", "linear"),
    ("2/face", "2/face", "linear"),
    ("face**2", "*", "power"),
    ("face^2", "^", "only a number may multiply"),
    ("face/0", "face/0", "division by zero"),
    ("face/(1 - 1)", "face/(1 - 1)", "division by zero"),
    ("face > house", ">", "write the difference"),
    ("face < house", "<", "write the difference"),
    ("face >= house", ">", "write the difference"),
    ("face == house", "=", "one ="),
    ("face != house", "!", "equality"),
    ("face; house", ";", "comma"),
    ("face & house", "&", "comma"),
    ("face | house", "|", "random effects belong in the formula"),
    ("y ~ face", "y", "unknown name"),
    ("'face'", "'", "without quotes"),
    ("face + 1", "face + 1", "for a null value other than 0"),
    ("1", "1", "a number stands alone"),
    ("0*face", "0*face", "names no column"),
    ("face - face", "face - face", "weights cancel"),
    ("face = face", "face = face", "weights cancel"),
    ("1 = 2", "1 = 2", "names no column"),
    ("face house", "house", "should follow"),
    ("face 2", "2", "should follow"),
    ("face -", "", "stops too early"),
    ("face,", "", "stops too early"),
    ("face =", "", "stops too early"),
    ("* face", "*", "a name or a number should stand here"),
    (", face", ",", "a name or a number should stand here"),
    ("face,, house", ",", "a name or a number should stand here"),
    ("(face", "(face", "never closed"),
    ("F(face, house", "F(face, house", "never closed"),
    ("face)", ")", "never opened"),
    ("`face", "`", "backtick is never closed"),
    ("joint(face) - house", "-", "should follow"),
    ("house - joint(face)", "joint", "cannot stand inside arithmetic"),
    ("basis(face) - house", "house", "2 and 1 rows cannot be added"),
    ("basis(face) = tool", "basis(face) = tool", "2 rows cannot equal 1"),
    ("term(fac)", "fac", "unknown term 'fac'"),
    ("term()", ")", "needs a name"),
    ("basis(contant)", "contant", "unknown condition"),
    ("basis(constant)", "constant", "no response function"),
    ("basis(twin)", "twin", "ambiguous"),
    ("__import__('os').system('ls')", "__import__", "cannot call '__import__'"),
    ("face(0)", "face", "cannot call 'face'"),
    ('emm("group")', "emm", "not made by a formula"),
    ("lambda x: x", "lambda", "unknown name"),
    ("[c for c in face]", "[c", "unknown name"),
    ("{face: 1}", "{face:", "unknown name"),
    ("face = house = 1, face = 5", "face = house = 1, face = 5", "contradicts"),
    ("1e99*1e99*1e99*1e99*face", "1e99*1e99*1e99*1e99*face", "too large"),
    ("1e999*face", "1e999", "unknown name"),
    ("(" * 60 + "face" + ")" * 60, "(", "nests deeper"),
    ("-" * 60 + "face", "-", "nests deeper"),
]


@pytest.mark.parametrize(("text", "under", "said"), REFUSED, ids=[r[0][:40] for r in REFUSED])
def test_refused(text, under, said):
    with pytest.raises(ContrastError) as caught:
        hypothesis(text, COLUMNS)
    error = caught.value
    start, stop = error.span
    assert error.text[start:stop] == under
    assert said in str(error)
    assert "^" in str(error).splitlines()[2]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_empty_text(text):
    with pytest.raises(ContrastError, match="the contrast is empty"):
        hypothesis(text, COLUMNS)


def test_long_text_is_refused_quickly():
    with pytest.raises(ContrastError, match="at most 4000"):
        hypothesis("face + " * 1000 + "face", COLUMNS)


def test_a_tilde_is_explained():
    with pytest.raises(ContrastError, match="formulas have"):
        hypothesis("face ~ house", COLUMNS)


def test_longest_name_wins_where_only_one_reading_exists():
    columns = [Column(name, name, "task", name) for name in ("left", "left-hand", "left-hand-up")]
    C = hypothesis("left-hand-up - left-hand + left", columns).C
    np.testing.assert_array_equal(C, [[1, -1, 1]])


def test_a_column_name_hides_an_alias():
    columns = [
        Column("face", "face", "task", "face"),
        Column("trial_type[face]", "trial_type", "task", "face", aliases=("face",)),
    ]
    np.testing.assert_array_equal(hypothesis("face", columns).C, [[1, 0]])


def test_the_same_name_twice_is_ambiguous():
    columns = [Column("face", "face", "task", "face", run=run) for run in ("1", "2")]
    with pytest.raises(ContrastError, match="ambiguous: it stands for 2 columns"):
        hypothesis("face", columns)


def test_columns_called_as_the_four_words():
    columns = [Column(name, name, "confound") for name in ("F", "term", "F(x)")]
    np.testing.assert_array_equal(hypothesis("F - term", columns).C, [[1, -1, 0]])
    np.testing.assert_array_equal(hypothesis("F(x) - F", columns).C, [[-1, 0, 1]])
    assert hypothesis("F(F)", columns).kind == "F"


SIGNS = [
    "(",
    ")",
    "+",
    "-",
    "*",
    "/",
    "=",
    "==",
    ",",
    " ",
    ">",
    "`",
    "'",
    '"',
    "[",
    "]",
    "\n",
    "\x00",
]
WORDS = ["tool", "twin", "F(", "joint(", "term(", "basis(", "1", "0.5", "1e9", "__import__", "é"]
PIECES = st.sampled_from([*NAMES, *WORDS, *SIGNS])


@settings(deadline=1000, max_examples=600)
@given(st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=60)))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        h = hypothesis(text, COLUMNS)
    except ContrastError:
        return
    assert h.C.any(axis=1).all()
    assert np.isfinite(h.C).all()
    assert np.isfinite(h.null).all()


@pytest.mark.slow
def test_a_hundred_thousand_texts_are_read_or_refused_in_time():
    rng = np.random.default_rng(20)
    pieces = [*NAMES, *WORDS, *SIGNS, "tool", *map(chr, range(32, 127))]
    lengths = rng.integers(0, 25, 100_000)
    slowest = 0.0
    for n in lengths:
        text = "".join(pieces[i] for i in rng.integers(0, len(pieces), n))
        start = time.perf_counter()
        with contextlib.suppress(ContrastError):
            hypothesis(text, COLUMNS)
        slowest = max(slowest, time.perf_counter() - start)
    assert slowest < 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["face,", "-", "(", "face=", "basis(face),", "face + ", "1e9*", "`"]
)
def test_no_text_takes_long(piece):
    text = (piece * 4000)[: 4000 - 5] + " face"
    start = time.perf_counter()
    with contextlib.suppress(ContrastError):
        hypothesis(text, COLUMNS)
    assert time.perf_counter() - start < 1.0


WEIGHTS = st.lists(st.fractions(-20, 20, max_denominator=12), min_size=3, max_size=3)


@settings(deadline=None, max_examples=100)
@given(WEIGHTS.filter(any))
def test_law_what_is_printed_is_read_back(weights):
    columns = [Column(name, name, "task", name) for name in ("face", "go-stop", "x:y")]
    text = " + ".join(f"({w}) * {c.name}" for w, c in zip(weights, columns, strict=True))
    h = hypothesis(text, columns)
    np.testing.assert_array_equal(h.C[0], [float(w) for w in weights])
    np.testing.assert_array_equal(hypothesis(h.rows[0], columns).C, h.C)
