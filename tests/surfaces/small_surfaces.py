"""Small surfaces and grayordinates, written as other programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, ScalarAxis, SeriesAxis

TR = 2.0
T = 40
POINTSET, TRIANGLE, SERIES, NONE = 1008, 1009, 2001, 0


def flat_mesh(rows: int, columns: int, step: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A rectangle of squares, each cut into two triangles along the same diagonal."""
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = at[:-1, :-1], at[:-1, 1:], at[1:, :-1], at[1:, 1:]
    faces = np.concatenate(
        [np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)]
    )
    i, j = np.divmod(np.arange(rows * columns), columns)
    return step * np.c_[i, j, 0 * i].astype(float), faces


def icosphere(divisions: int, radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A sphere of ``10 * 4**divisions + 2`` vertices."""
    g = (1 + 5**0.5) / 2
    places = np.array(
        [[-1, g, 0], [1, g, 0], [-1, -g, 0], [1, -g, 0], [0, -1, g], [0, 1, g],
         [0, -1, -g], [0, 1, -g], [g, 0, -1], [g, 0, 1], [-g, 0, -1], [-g, 0, 1]]
    )  # fmt: skip
    faces = np.array(
        [[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4],
         [11, 10, 2], [10, 7, 6], [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8],
         [3, 8, 9], [4, 9, 5], [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1]]
    )  # fmt: skip
    for _ in range(divisions):
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
        unique, number = np.unique(edges, axis=0, return_inverse=True)
        middle = number.reshape(3, -1) + len(places)
        places = np.concatenate([places, places[unique].mean(axis=1)])
        a, b, c = faces.T
        ab, bc, ca = middle
        faces = np.concatenate(
            [np.c_[a, ab, ca], np.c_[b, bc, ab], np.c_[c, ca, bc], np.c_[ab, bc, ca]]
        )
    return radius * places / np.linalg.norm(places, axis=1, keepdims=True), faces


def surf_image(places: np.ndarray, faces: np.ndarray, structure: str | None = None) -> Any:
    meta = {"AnatomicalStructurePrimary": structure} if structure else {}
    return nib.GiftiImage(
        meta=nib.gifti.GiftiMetaData(meta),
        darrays=[
            nib.gifti.GiftiDataArray(places.astype(np.float32), intent=POINTSET,
                                     datatype="NIFTI_TYPE_FLOAT32"),
            nib.gifti.GiftiDataArray(faces.astype(np.int32), intent=TRIANGLE,
                                     datatype="NIFTI_TYPE_INT32"),
        ],
    )  # fmt: skip


def func_image(rows: np.ndarray, structure: str | None = None, step: float | None = None) -> Any:
    about = {"TimeStep": f"{step:f}"} if step is not None else {}
    meta = {"AnatomicalStructurePrimary": structure} if structure else {}
    return nib.GiftiImage(
        meta=nib.gifti.GiftiMetaData(meta),
        darrays=[
            nib.gifti.GiftiDataArray(row.astype(np.float32), intent=SERIES,
                                     datatype="NIFTI_TYPE_FLOAT32",
                                     meta=nib.gifti.GiftiMetaData(about))
            for row in np.atleast_2d(rows)
        ],
    )  # fmt: skip


def write(path: Path, image: Any) -> Path:
    nib.save(image, path)
    return path


def models(left: np.ndarray, right: np.ndarray, voxels: np.ndarray) -> BrainModelAxis:
    """Cortex inside two masks of vertices, and two structures of voxels, 2 mm."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -10
    axis = BrainModelAxis.from_mask(left, "CortexLeft")
    axis = axis + BrainModelAxis.from_mask(right, "CortexRight")
    half = voxels.copy()
    half[voxels.shape[0] // 2 :] = False
    axis = axis + BrainModelAxis.from_mask(half, "thalamus_left", affine)
    return axis + BrainModelAxis.from_mask(voxels & ~half, "thalamus_right", affine)


def series(rows: np.ndarray, axis: BrainModelAxis, step: float = TR) -> Cifti2Image:
    image = Cifti2Image(rows.astype(np.float32), (SeriesAxis(0, step, len(rows)), axis))
    image.nifti_header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_SERIES")
    return image


def scalars(rows: np.ndarray, axis: BrainModelAxis) -> Cifti2Image:
    rows = np.atleast_2d(rows)
    names = [f"map {k}" for k in range(len(rows))]
    return Cifti2Image(rows.astype(np.float32), (ScalarAxis(names), axis))


def bold(seed: int, n: int, scans: int = T) -> np.ndarray:
    """Series that float32 holds exactly, so that files and arrays are the same numbers."""
    rng = np.random.default_rng(seed)
    return rng.normal(1000, 10, (scans, n)).astype(np.float32)


def events() -> pd.DataFrame:
    onsets = np.arange(4.0, T * TR - 12, 12.0)
    kinds = np.where(np.arange(onsets.size) % 2, "house", "face")
    return pd.DataFrame({"onset": onsets, "duration": 4.0, "trial_type": kinds})
