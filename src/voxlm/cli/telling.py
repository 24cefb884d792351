"""Errors and warnings in words: one paragraph on standard error, and an exit code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer

from voxlm.errors import VoxlmError, VoxlmWarning
from voxlm.images.atomic import check_writable

#: The work could not be done: a file, a table, a formula or a design is not what it has to be.
FAILED = 1
#: The command was not understood: the same code as an unknown option.
MISUSED = 2
#: Stopped from the keyboard, as shells count it.
STOPPED = 130


class MisuseError(VoxlmError):
    """Options that do not go together."""


@contextmanager
def telling(debug: bool) -> Iterator[None]:
    """Turn errors into a paragraph and an exit code; with ``debug``, let them pass.

    Parameters
    ----------
    debug : bool
        Show tracebacks.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", VoxlmWarning)
            if not debug:
                warnings.showwarning = _tell_warning
            yield
    except (typer.Exit, BrokenPipeError):  # of a closed pipe nobody is left to tell
        raise
    except KeyboardInterrupt as stop:
        how_far = str(stop) or "stopped"
        kept = "" if "kept" in how_far else "; nothing was written"
        typer.echo(f"voxlm: {how_far}{kept}", err=True)
        raise typer.Exit(STOPPED) from stop
    except MisuseError as error:
        if debug:
            raise
        typer.echo(f"voxlm: {error}", err=True)
        raise typer.Exit(MISUSED) from error
    except VoxlmError as error:
        if debug:
            raise
        typer.echo(f"voxlm: {error}", err=True)
        raise typer.Exit(FAILED) from error
    except Exception as error:
        if debug:
            raise
        typer.echo(
            f"voxlm: unexpected {type(error).__name__}: {error}\n"
            "the same command with --debug shows where it happened",
            err=True,
        )
        raise typer.Exit(FAILED) from error


def page_of(report: bool, file: Path | None, out: Path | None) -> Path | None:
    """Return where the page goes, if one is asked for, before anything is fitted."""
    check_page(file, "--report-file")
    if file is not None:
        check_writable(file)
    if out is not None:
        check_writable(out, folder=True)
    if file is not None or not report:
        return file
    if out is None:
        raise MisuseError("--report writes report.html in --out: give --out, or --report-file")
    return out / "report.html"


def check_page(path: Path | None, option: str) -> None:
    """Require the name of a page."""
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise MisuseError(f"{option} {path}: a report is one page; give a name ending in .html")


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Say a warning of ours as a sentence; leave out others, which speak to programmers."""
    del filename, lineno, file, line
    if issubclass(category, VoxlmWarning):
        typer.echo(f"voxlm: note: {message}", err=True)
