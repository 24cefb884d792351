"""Options that commands share, worded once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Model(StrEnum):
    """Which noise the model has."""

    lm = "lm"
    glsar = "glsar"


class Level(StrEnum):
    """Which levels of a model are run."""

    all = "all"
    subject = "subject"
    group = "group"


class ScalingName(StrEnum):
    """What the data are divided by."""

    percent = "percent"
    grand_mean = "grand_mean"
    none = "none"


Formula = Annotated[
    str, typer.Argument(metavar="FORMULA", help='The model, such as "y ~ face + house + motion".')
]
Events = Annotated[
    list[Path] | None,
    typer.Option(help="Events table (.tsv, .csv); once a run, in the order of the images."),
]
Confounds = Annotated[
    list[Path] | None,
    typer.Option(help="Confounds table, a row a scan; once a run, in the order of the images."),
]
Mesh = Annotated[
    list[Path] | None,
    typer.Option(help="Surface of a hemisphere (.surf.gii), for data on it; once a hemisphere."),
]
Width = Annotated[float | None, typer.Option(help="Width of a Gaussian, in mm.")]
Hrf = Annotated[
    str, typer.Option(help='Response of event terms without a tag, such as "glover + derivative".')
]
Report = Annotated[
    bool,
    typer.Option("--report", help="Also write one page with maps, tables, diagnostics, in --out."),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(help="Write that page here (.html) instead. [default: report.html in --out]"),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.")]
MaybeSeed = Annotated[
    int | None,
    typer.Option(help="Of what is drawn at random; the same numbers again. [default: 0]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="Model file: .toml, .json, or a BIDS Stats Model (_smdl.json)."
    ),
]
Bids = Annotated[Path, typer.Option(help="Folder of the BIDS data set.", show_default=False)]
Participants = Annotated[
    list[str] | None,
    typer.Option(help="Label of a subject, with or without sub-; repeatable. [default: all]"),
]
