"""A page: sections of prose, tables and pictures, in one file that asks for nothing outside.

A page is data until :func:`render` lays it out. The template, its style and its script lie in
``templates/``; pictures and viewers are written into the page itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

import jinja2
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voxlm.report.canvas import owner

#: Dots per inch of pictures in a page: sharp at the width they are shown in.
PAGE_DPI = 110


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph; ``kind`` is ``note`` for what was assumed, ``lead`` for a verdict."""

    text: str
    kind: str = ""
    tag: str = field(default="prose", init=False)


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be copied as it is; ``columns`` are kept one below the other on a narrow page."""

    text: str
    label: str
    columns: bool = False
    tag: str = field(default="code", init=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms and what they are."""

    pairs: tuple[tuple[str, str], ...]
    tag: str = field(default="facts", init=False)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: heads, and cells as text; numeric columns are set right and can be sorted by."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    tag: str = field(default="grid", init=False)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with what it shows in words; ``wide`` ones take a row of their own."""

    png: str
    width: int
    height: int
    alt: str
    caption: str
    wide: bool = False
    tag: str = field(default="picture", init=False)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A page inside the page, set up when it is asked for."""

    html: str
    title: str
    tag: str = field(default="viewer", init=False)

    @property
    def data(self) -> str:
        """The page as JSON that cannot end the script element it lies in."""
        return json.dumps(self.html).replace("</", "<\\/").replace("<!--", "<\\u0021--")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section."""

    text: str
    tag: str = field(default="heading", init=False)


Block = Prose | Code | Facts | Grid | Picture | Viewer | Heading


@dataclass(frozen=True, slots=True)
class Section:
    """One tab of the page."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Parameters
    ----------
    title, subtitle : str
    sections : tuple of Section
    footer : str
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    footer: str = ""


def picture(drawn: Figure | Axes, alt: str, caption: str = "", *, wide: bool = False) -> Picture:
    """Turn a figure into a picture that lies in the page.

    Parameters
    ----------
    drawn : Figure or Axes
    alt : str
        What it shows, for those who do not see it.
    caption : str
        Shown under it; ``alt`` where not given.
    wide : bool
        Whether it takes a row of its own.

    Returns
    -------
    Picture

    Examples
    --------
    >>> from voxlm.report.canvas import axes_or_new
    >>> made = picture(axes_or_new(None, 2.0, 1.0), "nothing yet")
    >>> made.width, made.height, made.caption
    (220, 110, 'nothing yet')
    """
    figure = drawn if isinstance(drawn, Figure) else owner(drawn)
    buffer = BytesIO()
    figure.savefig(
        buffer, dpi=PAGE_DPI, format="png", facecolor="white", metadata={"Software": None}
    )
    width, height = (round(side * PAGE_DPI) for side in figure.get_size_inches())
    coded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(coded, width, height, alt, caption or alt, wide)


def grid(
    frame: pd.DataFrame,
    caption: str,
    formats: Mapping[str, str] | None = None,
    heads: Mapping[str, str] | None = None,
) -> Grid:
    """Turn a table into one that can be laid out.

    Parameters
    ----------
    frame : DataFrame
    caption : str
    formats : mapping of str to str, optional
        How the numbers of a column are written, such as ``".2f"``.
    heads : mapping of str to str, optional
        What columns are called.

    Returns
    -------
    Grid

    Examples
    --------
    >>> grid(pd.DataFrame({"a": [1.234], "b": ["x"]}), "two columns", {"a": ".1f"}).rows
    (('1.2', 'x'),)
    """
    formats, heads = formats or {}, heads or {}
    numeric = tuple(pd.api.types.is_numeric_dtype(frame[name]) or name in formats for name in frame)
    columns = [
        [_cell(value, formats.get(str(name), "")) for value in frame[name]] for name in frame
    ]
    rows = tuple(zip(*columns, strict=True)) if columns else ()
    return Grid(caption, tuple(heads.get(str(n), str(n)) for n in frame), rows, numeric)


def _cell(value: Any, written: str) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "–" if written else ""
    said = format(value, written) if written else str(value)
    return said.replace("-", "−") if written else said


def render(page: Page) -> str:
    """Lay a page out.

    Parameters
    ----------
    page : Page

    Returns
    -------
    str
        HTML that loads nothing from outside.

    Examples
    --------
    >>> html = render(Page("A <fit>", "", (Section("Model", (Prose("y ~ 1"),)),)))
    >>> "A &lt;fit&gt;" in html, "http" in html.split("<body")[0]
    (True, False)
    """
    html: str = _template().render(page=page)
    return html


@cache
def _template() -> Any:
    folder = files("voxlm.report") / "templates"
    names = ("page.html.j2", "blocks.html.j2", "page.css", "page.js")
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in names}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2")
