"""A place in a contrast text, and what to say when something unfit stands there."""

from __future__ import annotations

import re

from voxlm.contrasts.names import Lexicon, Names, unknown
from voxlm.errors import ContrastError, nearest

MAX_DEPTH = 40
RUN = re.compile(r"[^\s+\-*/=,()<>`'\";&|~!^%]+")
CALL = re.compile(r"(\w+)\s*\(")
# A call to its closing bracket, quotes and one bracket inside it included.
WHOLE_CALL = re.compile(r"\w+\s*\((?:[^()\"']|\"[^\"]*\"|'[^']*'|\([^()]*\))*\)")
POWER = "a contrast is linear: only a number may multiply a column"
COMPARE = "write the difference, `a - b`; the sign of t says which is larger"
QUOTES = "names stand without quotes, or in backticks: `name`"
COMMA = "for a joint test write a comma, `a, b`"
REFUSED = {
    ">": COMPARE,
    "<": COMPARE,
    "!": "a hypothesis is an equality: write `a - b` or `a = b`",
    "^": POWER,
    "|": "a contrast is a sum of columns; random effects belong in the formula",
    "&": COMMA,
    ";": COMMA,
    "~": "a contrast has no ~; formulas have",
    "'": QUOTES,
    '"': QUOTES,
    "%": POWER,
}


class Cursor:
    """A cursor over a contrast text.

    Parameters
    ----------
    text : str
        The contrast.
    names : Names
        All names it may use.
    words : Lexicon
        The names that are looked for at a place where a column may stand.
    """

    def __init__(self, text: str, names: Names, words: Lexicon) -> None:
        self.text, self.names, self.words = text, names, words
        self.at = 0
        self.depth = 0

    def skip(self) -> None:
        """Go to the next character that is not a space."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def peek(self) -> str:
        """Return the character here; empty at the end."""
        return self.text[self.at : self.at + 1]

    def take(self, *signs: str) -> str:
        """Step over one of ``signs`` if it is next, and return it."""
        self.skip()
        sign = self.peek()
        if sign and sign in signs:
            self.at += 1
            self.skip()
            return sign
        return ""

    def call_ahead(self, *calls: str) -> str:
        """Return the word here if it is one of ``calls`` with an opening bracket."""
        self.skip()
        found = CALL.match(self.text, self.at)
        if not found or found.group(1) not in calls:
            return ""
        # A longer column name, such as one that is spelled `F(x)`, goes before the call.
        longer = len(self.words.match(self.text, self.at)) > len(found.group(1))
        return "" if longer else found.group(1)

    def open(self) -> None:
        """Step over an opening bracket."""
        self.skip()
        self.at += 1
        self.deeper()

    def close(self, start: int) -> None:
        """Step over the closing bracket of what began at ``start``."""
        if self.take(")"):
            self.depth -= 1
            return
        if self.at < len(self.text):
            raise self.no_operator()
        raise ContrastError("a bracket is never closed", self.text, (start, self.at), "add a )")

    def deeper(self) -> None:
        """Count one more level of nesting."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"this nests deeper than {MAX_DEPTH} levels", "write the sum out")

    def quoted(self) -> int:
        """Read a name in backticks and return its column."""
        word, span = self.backticks()
        return self.names.column(word, self.text, span)

    def backticks(self) -> tuple[str, tuple[int, int]]:
        """Read a name in backticks."""
        start = self.at
        stop = self.text.find("`", start + 1)
        if stop < 0:
            raise self.error("a backtick is never closed", "names in backticks end in another `")
        self.at = stop + 1
        span = (start, self.at)
        self.skip()
        return self.text[start + 1 : stop], span

    def refuse_tail(self, start: int) -> None:
        """Refuse a known name that runs on into something else, as in ``face.mean``."""
        if self.peek() == "(":
            self.at = start
            raise self.no_call()
        self.refuse_run_on(start)

    def refuse_run_on(self, start: int) -> None:
        """Refuse a word or number that another word follows without a space."""
        run = RUN.match(self.text, start)
        if run and run.end() > self.at:
            raise unknown(run.group(), self.words.entries, self.text, run.span())

    def no_call(self) -> ContrastError:
        """Phrase the error for a call of anything but the known words."""
        whole = WHOLE_CALL.match(self.text, self.at)
        calls = [name for name in self.words.entries if "(" in name]
        if whole and nearest(whole.group(), calls):
            return unknown(whole.group(), calls, self.text, whole.span())
        found = CALL.match(self.text, self.at) or RUN.match(self.text, self.at)
        word = self.text[self.at : found.end()].rstrip("( ") if found else self.peek()
        return ContrastError(
            f"a contrast cannot call {word!r}",
            self.text,
            (self.at, self.at + max(1, len(word))),
            "it may use + - * / with numbers, =, commas, "
            "and term(...), basis(...), joint(...), F(...), emm(...), level(...)",
        )

    def no_operand(self) -> ContrastError:
        """Phrase the error for a place where a name or number was expected."""
        self.skip()
        char = self.peek()
        if CALL.match(self.text, self.at):
            return self.no_call()
        run = RUN.match(self.text, self.at)
        if run and char not in REFUSED:
            return unknown(run.group(), self.words.entries, self.text, run.span())
        if not char:
            return self.error("the contrast stops too early", "a name or a number should follow")
        return self.misfit(char, "a name or a number should stand here")

    def no_operator(self) -> ContrastError:
        """Phrase the error for a place where a sign, a comma or the end was expected."""
        self.skip()
        char = self.peek()
        if char == ")":
            return self.error("this bracket was never opened", "remove it, or open it with (")
        return self.misfit(char, "one of + - * / = , or the end should follow")

    def misfit(self, char: str, expected: str) -> ContrastError:
        """Phrase the error for a character that does not belong here."""
        run = RUN.match(self.text, self.at)
        length = 1 if char in REFUSED or not run else len(run.group())
        word = self.text[self.at : self.at + length]
        return self.error(f"{word!r} cannot stand here", REFUSED.get(char, expected), length)

    def error(self, message: str, hint: str, length: int = 1) -> ContrastError:
        """Return an error with its caret at the cursor."""
        return ContrastError(message, self.text, (self.at, self.at + length), hint)
