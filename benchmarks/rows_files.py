"""Rows from files to a map: 64×76×64×240 int16 .nii.gz, ~107,000 voxels, six motion columns."""

from __future__ import annotations

import tempfile
from pathlib import Path

from isal import igzip

from benchmarks.data import study
from benchmarks.measure import Measured, Row, Settings, in_turn, same_maps
from benchmarks.ours import file_to_map
from benchmarks.peer_nilearn import nilearn_file, nilearn_t

# nilearn rounds rho to bins of 0.01 and keeps the degrees of freedom of OLS.
CORRELATION = 0.9995


def isal_alone(path: Path) -> int:
    """Decompress a file with isal and throw the bytes away; return how many there were."""
    total, buffer = 0, memoryview(bytearray(4 << 20))
    with igzip.open(path, "rb") as stream:
        while got := stream.readinto(buffer):
            total += got
    return total


def _against_nilearn(fwhm: float | None, settings: Settings) -> Measured:
    files = study(settings.cache)
    with tempfile.TemporaryDirectory() as folder:
        ours, peer, mine, model = in_turn(
            lambda: file_to_map(files, Path(folder, "ours.nii.gz"), fwhm),
            lambda: nilearn_file(files, Path(folder, "peer.nii.gz"), fwhm, settings.peer_jobs),
            settings.repeat,
        )
    return Measured(ours, peer, same_maps(mine, nilearn_t(model, files), "t", CORRELATION))


def plain(settings: Settings) -> Measured:
    """Time files to map against nilearn."""
    return _against_nilearn(None, settings)


def smoothed(settings: Settings) -> Measured:
    """Time files to map with 6 mm smoothing against nilearn."""
    return _against_nilearn(6.0, settings)


def decompression(settings: Settings) -> Measured:
    """Time files to map against decompression alone."""
    files = study(settings.cache)
    with tempfile.TemporaryDirectory() as folder:
        ours, peer, _, n_bytes = in_turn(
            lambda: file_to_map(files, Path(folder, "ours.nii.gz")),
            lambda: isal_alone(files.bold),
            settings.repeat,
        )
    size = files.bold.stat().st_size
    return Measured(ours, peer, f"{size / 1e6:.0f} MB compressed, {n_bytes / 1e6:.0f} MB of bytes")


ROWS = (
    Row(
        "file-to-map",
        "files to z map, 64×76×64×240 int16: AR(1), one t",
        "nilearn FirstLevelModel",
        "faster",
        8,
        15,
        plain,
    ),
    Row(
        "file-to-map-6mm",
        "the same with 6 mm smoothing",
        "nilearn FirstLevelModel",
        "faster",
        6,
        12,
        smoothed,
    ),
    Row(
        "decompression",
        "files to z map, no smoothing",
        "isal decompressing the file",
        "within",
        4,
        2,
        decompression,
    ),
)
