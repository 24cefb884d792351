"""A table of maps and its space as plain arrays, to be kept beside statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.bids.maps import Maps
from voxlm.images.space import Space, Table, Volume

Arrays = dict[str, NDArray[Any]]


def pack_maps(maps: Maps) -> Arrays:
    """Return the table, without its images, and the space, as arrays.

    Examples
    --------
    >>> maps = Maps(pd.DataFrame({"group": ["a", "b"]}), data=np.ones((2, 3)) * [[1], [2]])
    >>> again = unpack_maps(pack_maps(maps))
    >>> again.table["group"].tolist(), again.space
    (['a', 'b'], Table(n_voxels=3))
    """
    images = (maps.effect, maps.variance)
    frame = maps.table[[name for name in maps.table if not _among(name, images)]]
    kept: Arrays = {"table_names": np.array(list(frame.columns), dtype=np.str_)}
    kept["table_rows"] = np.array(len(frame))
    for k, name in enumerate(frame.columns):
        kept |= {f"table{k}_{part}": array for part, array in _pack(frame[name]).items()}
    if isinstance(maps.space, Volume):
        kept |= {"space_mask": np.packbits(maps.space.mask), "space_affine": maps.space.affine}
        kept["space_shape"] = np.array(maps.space.shape)
    elif isinstance(maps.space, Table):
        kept["space_columns"] = np.array(maps.space.n_voxels)
    return kept


def unpack_maps(kept: Mapping[str, NDArray[Any]]) -> Maps | None:
    """Return maps without images; None where table or space were not kept."""
    if "table_names" not in kept:
        return None
    space: Space
    if "space_mask" in kept:
        shape = tuple(int(n) for n in kept["space_shape"])
        mask = np.unpackbits(kept["space_mask"], count=int(np.prod(shape))).astype(np.bool_)
        space = Volume(mask.reshape(shape), kept["space_affine"])
    elif "space_columns" in kept:
        space = Table(int(kept["space_columns"]))
    else:
        return None
    columns = {str(name): _unpack(kept, f"table{k}_") for k, name in enumerate(kept["table_names"])}
    frame = pd.DataFrame(columns, index=range(int(kept["table_rows"])))
    return Maps.without_images(frame, space)


def _among(name: str, images: tuple[Any, ...]) -> bool:
    return any(isinstance(one, str) and one == name for one in images)


def _pack(column: pd.Series[Any]) -> Arrays:
    """Keep numbers as they are, labels as text, and the order of a categorical's levels."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = column.cat.categories
        plain = levels.to_numpy() if levels.dtype.kind in "iufb" else levels.astype(str).to_numpy()
        codes = column.cat.codes.to_numpy()
        ordered = np.array(column.cat.ordered)
        return {"codes": codes, "levels": plain.astype(_kind(plain)), "ordered": ordered}
    if column.dtype.kind in "iufb":
        return {"values": column.to_numpy()}
    missing = column.isna().to_numpy()
    text = column.astype(object).where(~missing, "").map(str).to_numpy()
    return {"text": text.astype(np.str_), "missing": missing}


def _kind(values: NDArray[Any]) -> Any:
    return values.dtype if values.dtype.kind in "iufb" else np.str_


def _unpack(kept: Mapping[str, NDArray[Any]], key: str) -> Any:
    if f"{key}values" in kept:
        return kept[f"{key}values"]
    if f"{key}codes" in kept:
        levels, ordered = kept[f"{key}levels"], bool(kept[f"{key}ordered"])
        plain: Any = levels if levels.dtype.kind != "U" else levels.astype(object)
        return pd.Categorical.from_codes(kept[f"{key}codes"], plain, ordered=ordered)
    text = kept[f"{key}text"].astype(object)
    return np.where(kept[f"{key}missing"], np.nan, text)
