"""Real voxels, against FSL: python -m validation.fsl_film_voxels.compare_fsl."""

from __future__ import annotations

import numpy as np

import voxlm as vx
from validation.compare import compare, show, show_check
from validation.data import folder
from voxlm.contrasts.combine import combine

DATA = folder("fsl_film_voxels")


def designs(X: np.ndarray, filtered: np.ndarray) -> tuple[vx.Design, vx.Run]:
    """Return FSL's columns and data that FSL's film_gls saw: the constant is not among them."""
    columns = tuple(vx.Column(f"x{k + 1}", f"x{k + 1}", "task") for k in range(X.shape[1]))
    constant = vx.Column("constant", "1", "constant")
    matrix = np.column_stack([X, np.ones(len(X))])
    return vx.Design(matrix, (*columns, constant), None, "FSL's X"), vx.Run(filtered, scaling=None)


def film() -> dict[str, vx.Fit]:
    """Fit FSL's columns with independent and with AR(p) noise."""
    film = np.load(DATA / "film_data.npz")
    Y = film["ts_data"].reshape(-1, film["ts_data"].shape[-1]).T.astype(np.float64)
    design, run = designs(film["X"], Y)
    return {
        "lm": vx.lm(design, run),
        "glsar, order 1": vx.glsar(design, run),
        "glsar, order 2": vx.glsar(design, run, order=2),
        "glsar, order 4": vx.glsar(design, run, order=4),
    }


def against_film(fits: dict[str, vx.Fit]) -> dict[str, dict[str, float]]:
    """Compare effects and t maps of FSL's five contrasts."""
    film = np.load(DATA / "film_data.npz")
    rows = {}
    for name, fit in fits.items():
        asked = [fit.contrast(np.append(row, 0.0)) for row in film["C"]]
        rows[f"{name}: effect"] = compare([con.effect for con in asked], film["G"].T)
        rows[f"{name}: se"] = compare([con.se for con in asked], np.sqrt(film["V"].T))
        rows[f"{name}: t"] = compare([con.t for con in asked], film["T"].T)
    return rows


def given_whitening() -> dict[str, dict[str, float]]:
    """Fit FSL's whitened data on FSL's whitened columns."""
    film = np.load(DATA / "film_data.npz")
    X, Y = film["WX"], film["WY"].astype(np.float64)
    columns = tuple(vx.Column(f"x{k + 1}", f"x{k + 1}", "task") for k in range(X.shape[1]))
    fit = vx.lm(vx.Design(X, columns, None, "FSL's WX"), vx.Run(Y, scaling=None))
    return {
        "effect": compare([fit.contrast(c).effect for c in film["C"]], film["G"].T),
        "t": compare([fit.contrast(c).t for c in film["C"]], film["T"].T),
    }


def fixed_effects() -> dict[str, dict[str, float]]:
    """Combine four runs' effects and variances by precision, as flameo's fixed effects do."""
    ffx = np.load(DATA / "ffx_data.npz")
    runs = [
        (con[None].astype(float), var[None, None].astype(float), 1.0)
        for con, var in zip(ffx["con"].T, ffx["var"].T, strict=True)
    ]
    pooled = combine(runs, "precision")
    return {
        "effect": compare(pooled.effect[0], ffx["con_ffx"]),
        "variance": compare(pooled.cov[0, 0], ffx["var_ffx"]),
        "t": compare(pooled.effect[0] / np.sqrt(pooled.cov[0, 0]), ffx["t_ffx"]),
    }


def main() -> None:
    """Print every comparison."""
    fits = film()
    show("FSL's columns, our noise models, against film_gls", against_film(fits))
    show("FSL's whitened data and columns, against film_gls", given_whitening())
    rho, acf = fits["glsar, order 1"].rho[0], np.load(DATA / "film_data.npz")["acf"]
    show("Lag-one correlation of the noise", {"rho, acf[1]": compare(rho, acf[1])})
    show("Fixed effects over four runs, against flameo", fixed_effects())
    show_check(fits)


if __name__ == "__main__":
    main()
