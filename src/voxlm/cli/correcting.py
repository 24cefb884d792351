"""Options of corrections, worded once for every command that corrects."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from voxlm.cli.telling import MisuseError

Alpha = Annotated[float, typer.Option(help="The error rate to hold.")]
TwoSided = Annotated[
    bool, typer.Option("--two-sided/--one-sided", help="Both signs of t, or positive ones alone.")
]
FormingP = Annotated[
    list[float] | None,
    typer.Option(help="Cluster-forming threshold as uncorrected p; repeatable. [default: 0.001]"),
]
Forming = Annotated[
    list[float] | None,
    typer.Option(help="Instead, in units of the statistic; repeatable."),
]
Connectivity = Annotated[
    int | None, typer.Option(help="Neighbours of a voxel: 6, 18 or 26. [default: 6]")
]
Group = "Permutation"
NPerm = Annotated[
    int | None,
    typer.Option(help="Permutations. [default: 5000; pari: 1000]", rich_help_panel=Group),
]
Blocks = Annotated[
    str | None,
    typer.Option(help="Column of the table whose rows belong together.", rich_help_panel=Group),
]
Exchange = Annotated[
    str | None,
    typer.Option(help="within or whole blocks. [default: within]", rich_help_panel=Group),
]
Permute = Annotated[
    str | None,
    typer.Option(help="auto, flip, shuffle or both. [default: auto]", rich_help_panel=Group),
]
Tail = Annotated[
    str | None,
    typer.Option(help="count, or pareto for small p. [default: count]", rich_help_panel=Group),
]
Level = Annotated[str | None, typer.Option(help="Of grf: voxel or cluster. [default: voxel]")]

PERMUTED = ("maxt", "maxt_step", "cluster_extent", "cluster_mass", "tfce")
CLUSTERS = ("forming_p", "forming", "connectivity")
PERMUTATIONS = ("n_perm", "seed", "blocks", "exchange", "permute")
PERMUTES = (*CLUSTERS, *PERMUTATIONS, "tail", "progress")
TAKES = {
    **dict.fromkeys(("none", "bonferroni", "holm", "fdr", "fdr_by"), ()),
    **dict.fromkeys(PERMUTED, PERMUTES),
    "ari": CLUSTERS,
    "pari": (*CLUSTERS, *PERMUTATIONS),
    "grf": ("level", *CLUSTERS),
}


def correction_options(method: str, **given: Any) -> dict[str, Any]:
    """Return the options that were given, one threshold as a number.

    Parameters
    ----------
    method : str
    **given
        None where an option was not given. ``progress`` goes to corrections that permute.

    Raises
    ------
    MisuseError
        For an option that the method does not take.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in ("forming", "forming_p"):
        if name in chosen and len(chosen[name]) == 1:
            chosen[name] = chosen[name][0]
    if method not in PERMUTED:
        chosen.pop("progress", None)
    other = [name for name in chosen if name not in TAKES.get(method, chosen)]
    if other:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in other)
        why = "" if "n_perm" in TAKES[method] else ", which permutes nothing"
        raise MisuseError(f"{named}: not for {method}{why}")
    return chosen
